//! What a plan changes of a request's body: members added over the dialect's own, and members left out.

use serde_json::{Map, Value, json};

use super::exchange::Ask;
use super::preset::{self, Scoring};
use super::{dialect, echo, llama_cpp};
use crate::domain::{ApiSpec, Dialect, Generation, Message, Request};

/// Puts the plan's own members into a body, objects into objects, and takes out what it wants left out: members by their names,
/// those within others by names with dots between.
pub(super) fn adjust(spec: &ApiSpec, body: &mut Map<String, Value>) {
    merge(body, &spec.extra);
    for path in &spec.omit {
        leave_out(body, path);
    }
}

fn merge(into: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        match (into.get_mut(name), value) {
            (Some(Value::Object(there)), Value::Object(value)) => merge(there, value),
            _ => drop(into.insert(name.clone(), value.clone())),
        }
    }
}

fn leave_out(body: &mut Map<String, Value>, path: &str) {
    match path.split_once('.') {
        None => drop(body.shift_remove(path)),
        Some((name, rest)) => {
            if let Some(Value::Object(within)) = body.get_mut(name) {
                leave_out(within, rest);
            }
        }
    }
}

/// The members that a subject's requests can have, as paths with dots between the names: what a plan can leave out.
///
/// They are read off requests with every setting; a single one may have fewer.
#[must_use]
pub fn members(spec: &ApiSpec) -> Vec<String> {
    let stop = vec!["\n".to_owned()];
    let generation = Generation { max_tokens: 16, stop, temperature: 0.5, top_p: 0.5, seed: 1, constraint: None };
    let message = |role: &str| Message { role: role.to_owned(), content: "?".to_owned() };
    let tool = json!({"type": "function", "function": {"name": "f", "description": "?", "parameters": {"type": "object"}}});
    let messages = vec![message("system"), message("user")];
    let asked = [
        Request::Generate { prompt: "?".to_owned(), generation: generation.clone() },
        Request::Chat { messages, tools: vec![tool], generation: generation.clone() },
    ];
    let mut bodies: Vec<Map<String, Value>> =
        asked.iter().filter_map(|request| dialect::encode(&Ask { spec, request }).ok()).map(|wire| wire.body).collect();
    if spec.dialect == Dialect::LlamaCpp {
        bodies.push(llama_cpp::completion(&Value::Null, &generation, spec.stream).body);
    }
    if preset::scoring(spec) == Scoring::Echo {
        bodies.push(echo::wire(spec, &[], 1).body);
    }
    let mut paths = Vec::new();
    for body in &bodies {
        list(body, "", &mut paths);
    }
    paths.sort();
    paths.dedup();
    paths
}

fn list(body: &Map<String, Value>, before: &str, paths: &mut Vec<String>) {
    for (name, value) in body {
        let path = format!("{before}{name}");
        if let Value::Object(within) = value {
            list(within, &format!("{path}."), paths);
        }
        paths.push(path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::domain::Preset;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(members) = value else { panic!("it is an object") };
        members
    }

    #[test]
    fn a_plans_members_go_over_and_into_the_dialects_own() {
        let mut body = object(json!({"model": "m", "seed": 1, "options": {"num_ctx": 2048, "top_k": 0}, "stop": ["a"]}));
        merge(&mut body, &object(json!({"seed": 2, "options": {"num_ctx": 8192}, "stop": [], "top_k": 40})));
        let expected = json!({"model": "m", "seed": 2, "options": {"num_ctx": 8192, "top_k": 0}, "stop": [], "top_k": 40});
        assert_eq!(Value::Object(body), expected);
    }

    #[test]
    fn what_is_left_out_is_named_by_its_path_and_its_neighbours_stay() {
        let mut spec = fixture::spec(Preset::Bedrock, Dialect::Bedrock, "m", false);
        spec.omit = ["inferenceConfig.topP", "seed", "seed.deeper", "nothing.here"].map(str::to_owned).to_vec();
        spec.extra = object(json!({"inferenceConfig": {"maxTokens": 9}}));
        let mut body = object(json!({"inferenceConfig": {"maxTokens": 64, "topP": 1.0, "temperature": 0.0}, "seed": 1}));
        adjust(&spec, &mut body);
        assert_eq!(Value::Object(body), json!({"inferenceConfig": {"maxTokens": 9, "temperature": 0.0}}));
    }

    #[test]
    fn the_members_of_every_preset_are_known_within_objects_too() {
        for (preset, path) in [
            (Preset::Bedrock, "inferenceConfig.topP"),
            (Preset::Ollama, "options.repeat_penalty"),
            (Preset::Openai, "max_completion_tokens"),
            (Preset::Anthropic, "temperature"),
            (Preset::LlamaServer, "dynatemp_range"),
            (Preset::Vllm, "prompt_logprobs"),
            (Preset::Mistral, "random_seed"),
        ] {
            let spec = fixture::spec(preset, preset::of(preset).dialects[0], "m", true);
            let members = members(&spec);
            assert!(members.iter().any(|member| member == path), "{preset:?} {members:?}");
            assert!(!members.contains(&"topP".to_owned()), "{preset:?} {members:?}");
        }
    }
}
