//! What is run: llama-server with flags from the plan, or the plan's own command.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::domain::{ApiSpec, Preset, ServerSpec};

/// Where servers listen: nobody else's machine is to reach them.
const HOST: &str = "127.0.0.1";
/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command with `{host}`, `{port}` and `{model}` still to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    words: Vec<String>,
    /// Whether it is llama-server with flags of ours.
    known: bool,
}

impl CommandLine {
    /// The command of a plan's server; `trained` is the model's own context, where it is known.
    ///
    /// A command that says where `{port}` goes is taken as it is. Otherwise it is llama-server (the program's path, or
    /// nothing for the one on the search path), and the flags for the plan's settings are put behind it.
    ///
    /// # Errors
    /// A command without `{port}` for a server whose flags aren't known, settings beside a command that is taken as it is,
    /// and a model that isn't there.
    pub(super) fn new(spec: &ApiSpec, server: &ServerSpec, trained: Option<usize>) -> Result<Self, String> {
        let whole = server.command.iter().any(|word| word.contains("{port}"));
        let named = server.command.iter().chain(&server.args).any(|word| word.contains("{model}"));
        if server.model.is_none() && named {
            return Err("it says `{model}`, and no model file is named".into());
        }
        let mut words = server.command.clone();
        if whole {
            unused(server)?;
        } else if spec.preset == Preset::LlamaServer {
            if words.is_empty() {
                words.push("llama-server".into());
            }
            words.extend(flags(spec, server, trained)?);
        } else {
            return Err(format!("the flags of `{}` are not known here: it must say `{{port}}`", spec.preset.word()));
        }
        words.extend(server.args.iter().cloned());
        Ok(Self { words, known: !whole })
    }

    /// The words to run.
    pub(super) fn filled(&self, port: u16, model: Option<&Path>) -> Vec<String> {
        let model = model.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let fill = |word: &String| word.replace("{host}", HOST).replace("{port}", &port.to_string()).replace("{model}", &model);
        self.words.iter().map(fill).collect()
    }

    /// The program's name without its folder.
    pub(super) fn program(&self) -> String {
        let program = self.words.first().map(String::as_str).unwrap_or_default();
        Path::new(program).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// What the program, run in a folder, says of its version; none where it isn't known how to ask.
    pub(super) async fn version(&self, folder: &Path, withheld: &[String]) -> Option<String> {
        let program = self.words.first().filter(|_| self.known)?;
        let mut command = Command::new(program);
        command.arg("--version").current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
        for name in withheld {
            command.env_remove(name);
        }
        let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        said.lines().find_map(|line| line.trim().strip_prefix("version:")).map(|version| version.trim().to_owned())
    }

    /// What about it can change an answer. Port, host and path of the model can't, and are left as placeholders.
    pub(super) fn details(&self, version: Option<&str>) -> BTreeMap<String, String> {
        let mut details = BTreeMap::from([("server".to_owned(), self.program())]);
        if let Some(version) = version {
            details.insert("server version".into(), version.into());
        }
        details.insert("server flags".into(), self.words.get(1..).unwrap_or_default().join(" "));
        if self.known {
            let flag = |short: &str, long: &str| {
                let at = self.words.iter().rposition(|word| word == short || word == long)?;
                self.words.get(at + 1).cloned()
            };
            let key = flag("-ctk", "--cache-type-k").unwrap_or_else(|| "f16".into());
            let value = flag("-ctv", "--cache-type-v").unwrap_or_else(|| "f16".into());
            details.insert("kv".into(), if key == value { key } else { format!("{key}, {value}") });
        }
        details
    }
}

/// Refuses settings that a command of the plan's own would leave without effect.
fn unused(server: &ServerSpec) -> Result<(), String> {
    let given = [
        ("context", server.context.is_some()),
        ("parallel", server.parallel.is_some()),
        ("threads", server.threads.is_some()),
        ("kv_cache", server.kv_cache.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((key, _)) => {
            Err(format!("it says `{{port}}`, so it is taken as it is, and `{key}` has no effect: write it into it"))
        }
    }
}

/// llama-server's flags for what a plan says.
fn flags(spec: &ApiSpec, server: &ServerSpec, trained: Option<usize>) -> Result<Vec<String>, String> {
    if server.model.is_none() {
        return Err("llama-server needs a model file".into());
    }
    let mut flags: Vec<String> = ["--model", "{model}", "--host", "{host}", "--port", "{port}"].map(str::to_owned).into();
    let mut say = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
    // One request at a time, unless the plan wants more: requests that are computed together may change each other's sums.
    let parallel = server.parallel.unwrap_or(1).max(1);
    // The server divides its context among its slots.
    let context = server.context.map(u64::from).or_else(|| trained.filter(|_| parallel > 1).map(|context| context as u64));
    say("--ctx-size", context.map_or(0, |context| context * u64::from(parallel)).to_string());
    say("--parallel", parallel.to_string());
    if let Some(threads) = server.threads {
        say("--threads", threads.to_string());
    }
    if let Some(kind) = &server.kv_cache {
        say("--cache-type-k", kind.clone());
        say("--cache-type-v", kind.clone());
    }
    if !spec.model.is_empty() {
        say("--alias", spec.model.clone());
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(preset: &str) -> ApiSpec {
        let spec = json!({"preset": preset, "dialect": "llama-cpp", "base_url": "", "model": "demo"});
        serde_json::from_value(spec).expect("it is a spec")
    }

    fn server(command: &[&str]) -> ServerSpec {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let model = Some("m.gguf".into());
        ServerSpec { command, model, context: None, parallel: None, threads: None, kv_cache: None, args: Vec::new() }
    }

    #[test]
    fn a_plan_that_says_nothing_gets_one_slot_of_the_models_own_context() {
        let line = CommandLine::new(&spec("llama-server"), &server(&[]), Some(512)).expect("it is a command");
        let words = line.filled(81, Some(Path::new("/tmp/m.gguf"))).join(" ");
        assert_eq!(words, "llama-server --model /tmp/m.gguf --host 127.0.0.1 --port 81 --ctx-size 0 --parallel 1 --alias demo");
        assert_eq!(
            line.details(None)["server flags"],
            "--model {model} --host {host} --port {port} --ctx-size 0 --parallel 1 --alias demo"
        );
        assert_eq!(line.details(None)["kv"], "f16");
    }

    #[test]
    fn every_slot_has_the_context_that_the_plan_states_for_a_request() {
        let mut asked = server(&["/opt/bin/llama-server"]);
        (asked.context, asked.parallel, asked.threads) = (Some(1_000), Some(4), Some(2));
        asked.kv_cache = Some("q8_0".into());
        asked.args = vec!["-fa".into(), "on".into(), "-ctv".into(), "f16".into()];
        let line = CommandLine::new(&spec("llama-server"), &asked, Some(512)).expect("it is a command");
        let words = line.filled(81, Some(Path::new("m"))).join(" ");
        assert!(words.contains("--ctx-size 4000 --parallel 4 --threads 2 --cache-type-k q8_0 --cache-type-v q8_0"), "{words}");
        assert!(words.starts_with("/opt/bin/llama-server --model m") && words.ends_with("-fa on -ctv f16"), "{words}");
        assert_eq!((line.details(None)["kv"].as_str(), line.program().as_str()), ("q8_0, f16", "llama-server"));
    }

    #[test]
    fn a_command_that_says_where_the_port_goes_is_taken_as_it_is() {
        let line = CommandLine::new(&spec("vllm"), &server(&["vllm", "serve", "{model}", "--port={port}"]), None);
        let line = line.expect("it is a command");
        assert_eq!(line.filled(8_001, Some(Path::new("m"))), ["vllm", "serve", "m", "--port=8001"]);
        assert_eq!(line.details(None)["server flags"], "serve {model} --port={port}");
    }

    #[test]
    fn commands_that_cannot_work_are_refused_before_anything_starts() {
        let error = CommandLine::new(&spec("openai-compatible"), &server(&["serve"]), None).expect_err("no port");
        assert!(error.contains("`openai-compatible` are not known here: it must say `{port}`"), "{error}");
        let ignored = ServerSpec { kv_cache: Some("q8_0".into()), ..server(&["llama-server", "--port={port}"]) };
        let error = CommandLine::new(&spec("llama-server"), &ignored, None).expect_err("no effect");
        assert!(error.contains("`kv_cache` has no effect"), "{error}");
        let none = ServerSpec { model: None, ..server(&[]) };
        assert!(CommandLine::new(&spec("llama-server"), &none, None).expect_err("no model").contains("needs a model"));
        let none = ServerSpec { model: None, ..server(&["x", "{port}", "{model}"]) };
        assert!(CommandLine::new(&spec("vllm"), &none, None).expect_err("no model").contains("{model}"));
    }
}
