//! What is concluded of a subject from what it tells.

use std::time::Duration;

use super::ability::{self, Demand};
use super::finding::{Examined, Finding, Verdict};
use super::pair::Known;
use super::{merged, pair, shown, way};
use crate::domain::{ApiSpec, Dialect, Digest, EngineSpec, Origin, Preset, Price, ScriptedSpec};
use crate::engine::scripted::ScriptedEngine;
use crate::engine::{Capabilities, Endpoint, Engine};
use crate::plan::{Overrides, Plan};

fn spec(preset: Preset) -> ApiSpec {
    ApiSpec {
        preset,
        dialect: Dialect::OpenaiChat,
        base_url: "https://host/v1".into(),
        model: "m".into(),
        key: None,
        region: None,
        project: None,
        api_version: None,
        stream: false,
        batch: false,
        extra: serde_json::Map::new(),
        omit: Vec::new(),
        headers: std::collections::BTreeMap::new(),
        tokenizer: None,
        server: None,
    }
}

fn origin(path: &str) -> Origin {
    Origin { host: "host:443".into(), path: path.into(), ..Origin::default() }
}

/// The default plan's smoke suite.
fn plan() -> Plan {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let overrides = Overrides { suites: Some(vec![root.join("suites/smoke.toml")]), ..Overrides::default() };
    Plan::load(&root.join("quantgate.toml"), &overrides).expect("the shipped plan is good")
}

fn known(change: impl FnOnce(&mut Known)) -> Known {
    let spec = ScriptedSpec { right_per_mille: 900, salt: String::new(), noise_per_mille: 0 };
    let engine = ScriptedEngine::new(&spec, []);
    let mut known = Known { identity: engine.identity().clone(), able: engine.capabilities() };
    change(&mut known);
    known
}

fn find<'f>(all: &'f [Finding], name: &str) -> &'f Finding {
    all.iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("{name} is looked at"))
}

#[test]
fn a_region_is_bad_only_where_the_address_contradicts_it() {
    let region = |stated: Option<&str>, told: Option<&str>, path: &str| {
        let origin = Origin { stated_region: stated.map(str::to_owned), region: told.map(str::to_owned), ..origin(path) };
        let all = way::of(Some(&spec(Preset::Bedrock)), Some(&origin));
        all.into_iter().find(|finding| finding.name == "region").map(|finding| finding.verdict)
    };
    assert_eq!(region(Some("eu"), Some("eu-west-1"), "cloud marketplace"), Some(Verdict::Fine));
    assert_eq!(region(Some("eu"), Some("us-east-1"), "cloud marketplace"), Some(Verdict::Bad));
    assert_eq!(region(Some("eu"), None, "managed API"), Some(Verdict::Doubtful));
    assert_eq!(region(None, Some("eu"), "managed API"), Some(Verdict::Fine));
    assert_eq!(region(None, None, "managed API"), Some(Verdict::Doubtful));
    assert_eq!(region(None, None, "this machine"), None);
}

#[test]
fn a_path_says_who_sees_the_prompts() {
    let says = |preset, path: &str| find(&way::of(Some(&spec(preset)), Some(&origin(path))), "path").clone();
    assert!(says(Preset::Mistral, "managed API").says.contains("prompts leave this machine and are processed by Mistral AI"));
    assert!(says(Preset::Bedrock, "cloud marketplace").says.contains("Amazon Web Services"));
    assert!(says(Preset::LlamaServer, "this machine").says.contains("nothing leaves it"));
    assert_eq!(says(Preset::Litellm, "gateway").verdict, Verdict::Doubtful);
    assert_eq!(says(Preset::Litellm, "this machine").verdict, Verdict::Doubtful, "a proxy here may pass requests on");
    assert!(find(&way::of(None, None), "path").says.contains("in this process"));
}

#[test]
fn what_tasks_need_and_a_subject_lacks_keeps_the_run_from_starting() {
    let (plan, able) = (plan(), known(|_| ()).able);
    let demand = Demand::of(&plan, 1);
    let fine = ability::of_tasks(able, &demand);
    assert!(fine.iter().all(|finding| finding.verdict == Verdict::Fine), "{fine:?}");
    let poor = Capabilities { log_likelihood: false, tools: false, raw: false, ..able };
    let found = ability::of_tasks(poor, &demand);
    let bad: Vec<&str> = found.iter().filter(|f| f.verdict == Verdict::Bad).map(|f| f.says.as_str()).collect();
    assert_eq!(bad, ["no log-likelihoods of given texts, which recall, prose need", "no tools, which tools need"]);
    let partial = ability::of_tasks(Capabilities { distributions: false, ..able }, &demand);
    assert_eq!(find(&partial, "divergence").verdict, Verdict::Doubtful);
}

#[test]
fn limits_say_how_long_a_run_takes_at_least_and_prices_what_it_costs_at_most() {
    let demand = Demand::of(&plan(), 1);
    assert_eq!(demand.requests, 7 * 60 + 20);
    let endpoint = Endpoint {
        name: "host".into(),
        concurrency: 8,
        requests_per_minute: Some(44.0),
        tokens_per_minute: None,
        timeout: Duration::from_mins(1),
        hedge: false,
    };
    let limits = ability::of_limits(Some(&endpoint), &demand, None).expect("there is an endpoint");
    assert_eq!(
        limits.says,
        "up to 8 requests at once, 44 requests a minute, a time-out of 60 s; 440 requests take at least 10 minutes"
    );
    let price = Some(Price { input: 1e6, output: 0.0, cached: None });
    let cost = ability::of_cost(price, &demand, Some(1.0), Some(5.0)).expect("there is a price");
    assert_eq!(cost.verdict, Verdict::Doubtful);
    assert!(cost.says.ends_with("the plan stops at 5"), "{}", cost.says);
    assert_eq!(ability::of_cost(price, &demand, None, None), None, "where nothing was counted, nothing is said");
}

#[test]
fn a_prompt_that_may_not_fit_is_told_of() {
    let (demand, able) = (Demand::of(&plan(), 1), known(|_| ()).able);
    let context = |tokens, rate| ability::of_context(Capabilities { context: tokens, ..able }, &demand, rate).verdict;
    assert_eq!(context(1 << 20, Some(1.0)), Verdict::Fine);
    assert_eq!(context(64, Some(1.0)), Verdict::Doubtful);
    assert_eq!(context(64, None), Verdict::Fine, "how many tokens a prompt takes is not known");
    assert_eq!(context(usize::MAX, Some(1.0)), Verdict::Doubtful);
}

#[test]
fn another_vocabulary_or_template_than_the_canarys_would_be_invalid_and_an_untold_one_is_only_doubtful() {
    let plan = plan();
    let verdict = |name: &str, variant: &Known| find(&pair::of(&plan, &plan.subjects[1], variant, &known(|_| ())), name).verdict;
    let with = |vocabulary: Digest, template: Digest| {
        known(|known| {
            known.identity.vocabulary = vocabulary;
            known.identity.template = template;
        })
    };
    let same = known(|_| ());
    assert_eq!((verdict("vocabulary", &same), verdict("chat template", &same)), (Verdict::Fine, Verdict::Fine));
    assert_eq!(verdict("weights", &same), Verdict::Doubtful, "its weights are the canary's");
    let other = with("blake3:1".into(), "blake3:2".into());
    assert_eq!((verdict("vocabulary", &other), verdict("chat template", &other)), (Verdict::Unfair, Verdict::Unfair));
    let untold = with(Digest::untold(), Digest::untold());
    assert_eq!((verdict("vocabulary", &untold), verdict("chat template", &untold)), (Verdict::Doubtful, Verdict::Doubtful));
    let message = known(|known| known.able.raw = false);
    assert_eq!(verdict("prompts", &message), Verdict::Unfair);
}

#[test]
fn what_an_engine_says_itself_stands_in_place_of_what_was_concluded_of_the_same() {
    let told = vec![Finding::fine("endpoint", "seen"), Finding::doubtful("model", "`m` stands for m-2411 today: name that")];
    let checks = vec![
        Finding::fine("host", "guessed"),
        Finding::bad("region", "wrong"),
        Finding::doubtful("note", "`m` stands for m-2411 today, and may stand for another tomorrow"),
        Finding::doubtful("note", "another matter"),
    ];
    let all = merged(told, checks);
    let shown: Vec<(&str, &str)> = all.iter().map(|finding| (finding.name.as_str(), finding.says.as_str())).collect();
    let expected = [
        ("endpoint", "seen"),
        ("model", "`m` stands for m-2411 today: name that"),
        ("region", "wrong"),
        ("note", "another matter"),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn the_worst_finding_decides_the_exit_code() {
    let examined = |verdicts: &[Verdict]| Examined {
        subject: "canary".into(),
        role: "canary".into(),
        engine: shown::engine(&EngineSpec::Api(Box::new(spec(Preset::Vllm)))),
        checks: verdicts.iter().map(|&verdict| Finding::new("a", verdict, "b")).collect(),
    };
    let worst = |verdicts: &[Verdict]| (examined(verdicts).worst().code(), shown::summary(&[examined(verdicts)]));
    assert_eq!(worst(&[Verdict::Fine]), (0, "a run can start".into()));
    assert_eq!(worst(&[Verdict::Fine, Verdict::Doubtful]), (0, "a run can start; 1 check is worth a look".into()));
    assert_eq!(worst(&[Verdict::Unfair, Verdict::Doubtful]), (4, "1 check would make a comparison INVALID".into()));
    assert_eq!(worst(&[Verdict::Unfair, Verdict::Bad, Verdict::Bad]), (2, "2 checks keep a run from starting".into()));
}

#[test]
fn how_prompts_begin_is_shown_where_it_is_odd() {
    let mut identity = known(|_| {}).identity;
    assert!(shown::beginning(&identity).is_none());
    identity.details.insert("beginning".into(), "the chat template writes BOS twice".into());
    let finding = shown::beginning(&identity).expect("it is odd");
    assert_eq!(finding.verdict, Verdict::Doubtful);
    assert!(finding.says.contains("BOS twice"), "{}", finding.says);
}
