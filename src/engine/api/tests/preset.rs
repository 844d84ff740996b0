//! The table of services, addresses and regions.

use super::super::fixture::spec;
use super::*;

#[test]
fn every_preset_has_a_dialect_a_key_variable_and_room_for_requests() {
    for (word, preset) in Preset::ALL {
        let facts = of(preset);
        assert!(!facts.dialects.is_empty() && facts.concurrency > 0 && facts.key_variable.len() > 4, "{word}");
        assert!(["managed API", "cloud marketplace", "gateway", "self-hosted"].contains(&facts.path), "{word}");
        if let Some(address) = facts.base_url {
            assert!(!address.ends_with('/') && address.starts_with("http"), "{word}");
        }
    }
}

#[test]
fn addresses_that_go_by_region_need_one() {
    assert_eq!(base_url(Preset::Mistral, None).as_deref(), Some("https://api.mistral.ai/v1"));
    assert_eq!(base_url(Preset::Bedrock, None), None);
    let paris = base_url(Preset::Bedrock, Some("eu-west-3"));
    assert_eq!(paris.as_deref(), Some("https://bedrock-runtime.eu-west-3.amazonaws.com"));
    assert_eq!(base_url(Preset::OpenaiCompatible, Some("eu")), None);
}

#[test]
fn hosts_tell_their_regions() {
    let cases = [
        ("api.mistral.ai", Some("eu")),
        ("api.deepseek.com:443", Some("cn")),
        ("https://bedrock-runtime.eu-west-3.amazonaws.com", Some("eu-west-3")),
        ("bedrock-runtime-fips.us-gov-east-1.amazonaws.com", Some("us-gov-east-1")),
        ("vpce-0a1b-xyz.bedrock-runtime.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
        ("europe-west4-aiplatform.googleapis.com", Some("europe-west4")),
        ("aiplatform.eu.rep.googleapis.com", Some("eu")),
        ("aiplatform.googleapis.com", Some("global")),
        ("swedencentral.api.cognitive.microsoft.com", Some("swedencentral")),
        ("mistral-large.francecentral.models.ai.azure.com", Some("francecentral")),
        ("eu.api.openai.com", Some("eu")),
        ("api.openai.com", None),
        ("res.openai.azure.com", None),
        ("localhost:8000", None),
        ("[::1]:8000", None),
    ];
    for (host, region) in cases {
        assert_eq!(region_of(host).as_deref(), region, "{host}");
    }
}

#[test]
fn european_names_outside_the_eu_do_not_lie_in_it() {
    for told in ["eu", "eu-west-3", "europe-west4", "swedencentral", "eu-central-1"] {
        assert!(lies_in(told, "eu"), "{told}");
    }
    for told in ["eu-west-2", "eu-central-2", "europe-west2", "europe-west6", "uksouth", "us-east-1", "global", "cn"] {
        assert!(!lies_in(told, "eu"), "{told}");
    }
    assert!(lies_in("us-east-1", "us") && lies_in("eastus2", "us") && !lies_in("australiaeast", "us"));
    assert!(lies_in("eu-west-3", "eu-west-3") && !lies_in("eu-west-3", "eu-west-1"));
}

#[test]
fn the_way_of_a_request_is_told_by_its_host_where_the_protocol_tells_nothing() {
    assert_eq!(path_of(Preset::Vllm, "127.0.0.1:8000"), "this machine");
    assert_eq!(path_of(Preset::Ollama, "[::1]:11434"), "this machine");
    assert_eq!(path_of(Preset::Litellm, "127.0.0.1:4000"), "gateway", "it passes requests on");
    assert_eq!(path_of(Preset::OpenaiCompatible, "10.0.0.7:9000"), "self-hosted");
    assert_eq!(path_of(Preset::OpenaiCompatible, "models.team.svc"), "self-hosted");
    assert_eq!(path_of(Preset::OpenaiCompatible, "api.example.com"), "managed API");
    assert_eq!(path_of(Preset::Bedrock, "bedrock-runtime.eu-west-3.amazonaws.com"), "cloud marketplace");
}

#[test]
fn paths_fit_addresses_with_and_without_the_protocols_version() {
    let path = |preset, base_url: &str, version: Option<&str>| {
        let mut spec = spec(preset, Dialect::OpenaiChat, "m", false);
        spec.base_url = base_url.into();
        spec.api_version = version.map(str::to_owned);
        api_path(&spec, "/chat/completions")
    };
    assert_eq!(path(Preset::Vllm, "http://h:8000", None), "/v1/chat/completions");
    assert_eq!(path(Preset::Vllm, "http://h:8000/v1", None), "/chat/completions");
    assert_eq!(path(Preset::Azure, "https://r.openai.azure.com", None), "/openai/v1/chat/completions");
    assert_eq!(path(Preset::Azure, "https://r.openai.azure.com/openai/v1", None), "/chat/completions");
    let deployment = path(Preset::Azure, "https://r.openai.azure.com/openai/deployments/d", Some("2024-10-21"));
    assert_eq!(deployment, "/chat/completions?api-version=2024-10-21");
    assert_eq!(path(Preset::Azure, "https://e.eastus.models.ai.azure.com", None), "/v1/chat/completions");
    assert_eq!(root_path("http://h:8000/v1", "/tokenize"), "/../tokenize");
    assert_eq!(root_path("http://h:8000", "/tokenize"), "/tokenize");
}

#[test]
fn models_are_listed_where_each_service_lists_them() {
    let path = |preset| models_path(&spec(preset, of(preset).dialects[0], "m", false));
    assert_eq!(path(Preset::Openai).as_deref(), Some("/models"));
    assert_eq!(path(Preset::LlamaServer).as_deref(), Some("/v1/models"));
    assert_eq!(path(Preset::Ollama).as_deref(), Some("/api/tags"));
    assert_eq!(path(Preset::Anthropic).as_deref(), Some("/v1/models"));
    assert_eq!(path(Preset::Bedrock), None);
    assert_eq!(health_path(&spec(Preset::Vllm, Dialect::OpenaiChat, "m", false)).as_deref(), Some("/../health"));
}

#[test]
fn only_servers_that_tell_of_prompts_can_score_given_texts() {
    let scoring = |preset, dialect, model| scoring(&spec(preset, dialect, model, false));
    assert_eq!(scoring(Preset::Vllm, Dialect::OpenaiCompletions, "m"), Scoring::Echo);
    assert_eq!(scoring(Preset::LlamaServer, Dialect::LlamaCpp, "m"), Scoring::Forced);
    assert_eq!(scoring(Preset::LlamaServer, Dialect::OpenaiCompletions, "m"), Scoring::None);
    assert_eq!(scoring(Preset::Openai, Dialect::OpenaiCompletions, "davinci-002"), Scoring::Echo);
    assert_eq!(scoring(Preset::Openai, Dialect::OpenaiCompletions, "gpt-3.5-turbo-instruct"), Scoring::None);
    for (_, preset) in Preset::ALL {
        assert_eq!(scoring(preset, Dialect::OpenaiChat, "m"), Scoring::None);
    }
    for name in could_score() {
        let word = name.split(' ').next().unwrap();
        let (_, preset) = Preset::ALL.into_iter().find(|(known, _)| *known == word).unwrap();
        let dialect = if name.contains(r#"(api = "completions")"#) { Dialect::OpenaiCompletions } else { of(preset).dialects[0] };
        assert_ne!(scoring(preset, dialect, "m"), Scoring::None, "{name}");
        assert!(of(preset).dialects.contains(&dialect), "{name}");
    }
}

#[test]
fn codestral_continues_prompts_and_other_models_of_mistral_do_not() {
    assert!(raw(&spec(Preset::Mistral, Dialect::Mistral, "codestral-2508", false)));
    assert!(!raw(&spec(Preset::Mistral, Dialect::Mistral, "codestral-embed-2505", false)));
    assert!(!raw(&spec(Preset::Mistral, Dialect::Mistral, "mistral-small-2603", false)));
    assert!(!raw(&spec(Preset::Litellm, Dialect::OpenaiChat, "m", false)));
}

#[test]
fn keys_go_where_the_service_wants_them() {
    let mut azure = spec(Preset::Azure, Dialect::OpenaiChat, "m", false);
    azure.base_url = "https://r.openai.azure.com/openai/v1".into();
    assert_eq!(key_place(&azure), KeyPlace::ApiKey);
    azure.base_url = "https://e.inference.ai.azure.com/v1".into();
    assert_eq!(key_place(&azure), KeyPlace::Bearer);
    assert_eq!(key_place(&spec(Preset::Anthropic, Dialect::Anthropic, "m", false)), KeyPlace::XApiKey);
}
