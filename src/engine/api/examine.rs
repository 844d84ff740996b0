//! A closer look at an open subject, for a person: what only its endpoint can tell, a line each.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::super::{Engine, Failure, RetryClass};
use super::ask::post;
use super::preset::root_path;
use super::{ApiEngine, preset};
use crate::domain::{Answer, CauseKind, Generation, Message, Preset, Request};

/// Most tokens of a prompt that is sent to see whether it is cut.
const LONGEST: usize = 32_768;
/// Most lines of the prompt that shows how many tokens a line has.
const RULER: usize = 40;
/// Tokens of a context for each line of that prompt: it is to fit where little does.
const LINE: usize = 64;
/// Share of a stated context that is filled.
const FILLED: f64 = 0.9;
/// How much shorter than its parts a prompt may be counted before it counts as cut.
const SLACK: f64 = 0.95;
/// A word that no model would say by itself.
const NEEDLE: &str = "Quarzuhr-4711";
/// Text whose tokens show how a tokenizer cuts: cases, digits, spaces, accents, other scripts, signs, code.
const SAMPLE: &str = "The quick brown fox; 3.14159 and 1,234,567.\n\n\tif x != y { return \"naïve café\" }  Straße 你好 Привет 🙂 don't_HTTPServer";

/// How bad what was found is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Fine,
    /// A person should know of it; a run is possible.
    Doubtful,
    /// A run would not measure what it should.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What, in a word: `endpoint`, `certificate`, `key`, `model`, `template`, `tokenizer`, `context`, `log-likelihoods`.
    pub name: &'static str,
    /// How it is.
    pub verdict: Standing,
    /// What was found, as a sentence without its capital and full stop.
    pub says: String,
}

fn check(name: &'static str, verdict: Standing, says: impl Into<String>) -> Check {
    Check { name, verdict, says: says.into() }
}

impl ApiEngine {
    /// Looks closer: at what was told when the subject was opened, and with some requests of its own at its tokens and its
    /// context. `root` is the folder that the plan's relative paths start from. Where an answer costs money, no long prompt
    /// is sent.
    pub async fn examine(&self, root: &Path) -> Vec<Check> {
        let mut all = vec![self.reached(), self.certificate(), self.keyed(), self.named(), self.templated()];
        all.extend(self.scored());
        all.extend(self.tokenizer(root).await);
        all.extend(self.context().await);
        for check in &mut all {
            check.says = self.http.scrub(&check.says);
        }
        all
    }

    fn reached(&self) -> Check {
        let address = self.origin.address.as_deref().unwrap_or("an unknown address");
        check("endpoint", Standing::Fine, format!("{} at {} ({address})", self.identity.engine, self.origin.host))
    }

    fn certificate(&self) -> Check {
        // A gateway of this machine is one, wherever it passes requests on to.
        match (&self.origin.tls_issuer, preset::path_of(Preset::Vllm, &self.origin.host)) {
            (Some(issuer), _) => check("certificate", Standing::Fine, format!("issued by {issuer}")),
            (None, "this machine") => check("certificate", Standing::Fine, "none is needed on this machine"),
            (None, _) => check("certificate", Standing::Doubtful, "none: prompts, answers and key can be read on the way"),
        }
    }

    fn keyed(&self) -> Check {
        let needed = preset::of(self.spec.preset).key_needed;
        match (self.http.has_key(), needed) {
            (true, _) => check("key", Standing::Fine, "sent, and not refused"),
            (false, true) => check("key", Standing::Doubtful, "none, and the service usually wants one"),
            (false, false) => check("key", Standing::Fine, "none, and none is wanted"),
        }
    }

    fn named(&self) -> Check {
        let model = &self.spec.model;
        match &self.resolved {
            // A gateway's names are its configuration's: there is no other to pin.
            Some(resolved) if self.spec.preset == Preset::Litellm => {
                check("model", Standing::Fine, format!("`{model}`, behind which the gateway has {resolved}"))
            }
            Some(resolved) => {
                let says = format!("`{model}` stands for {resolved} today: name that, so that it is the same model tomorrow");
                check("model", Standing::Doubtful, says)
            }
            None if self.identity.weights.is_content() => {
                check("model", Standing::Fine, format!("`{model}`, by its content {}", self.identity.weights))
            }
            None => check("model", Standing::Fine, format!("`{model}`; the service does not prove its content")),
        }
    }

    fn templated(&self) -> Check {
        let template = &self.identity.template;
        if template.is_told() {
            return check("template", Standing::Fine, template.to_string());
        }
        check("template", Standing::Doubtful, "not told: whether it is the canary's is not known")
    }

    fn scored(&self) -> Option<Check> {
        if self.capabilities.log_likelihood {
            return Some(check("log-likelihoods", Standing::Fine, "told, of any text"));
        }
        let why = self.native.as_ref().and_then(|native| native.unforced.clone())?;
        Some(check("log-likelihoods", Standing::Doubtful, why))
    }

    /// Whether the service cuts text into the same tokens as the model's own tokenizer.
    async fn tokenizer(&self, root: &Path) -> Option<Check> {
        let path = root.join(self.spec.tokenizer.as_ref()?);
        let own = Tokenizer::from_file(&path).and_then(|tokenizer| tokenizer.encode(SAMPLE, false));
        let own = match own {
            Ok(encoding) => encoding.get_ids().to_vec(),
            Err(fault) => {
                return Some(check("tokenizer", Standing::Bad, format!("{} cannot be used: {fault}", path.display())));
            }
        };
        Some(match self.tokens(SAMPLE).await {
            Ok(Some(theirs)) if theirs == own => check(
                "tokenizer",
                Standing::Fine,
                format!("the service's {} tokens of a sample are {}'s", own.len(), path.display()),
            ),
            Ok(Some(theirs)) => {
                let at = own.iter().zip(&theirs).take_while(|(own, their)| own == their).count();
                let says = format!("the service cuts a sample into other tokens than {} from token {at} on", path.display());
                check("tokenizer", Standing::Bad, says)
            }
            Ok(None) => check("tokenizer", Standing::Doubtful, "the service does not tell how it cuts text into tokens"),
            Err(failure) => check("tokenizer", Standing::Doubtful, failure.message),
        })
    }

    /// The service's tokens of a text, without special ones; none where it doesn't tell.
    async fn tokens(&self, text: &str) -> Result<Option<Vec<u32>>, Failure> {
        if let Some(native) = &self.native {
            return native.ids(&*post(&self.http, &self.spec), text, false).await.map(Some);
        }
        let body = match self.spec.preset {
            Preset::LlamaServer => json!({"content": text, "add_special": false, "parse_special": false}),
            Preset::Vllm => json!({"model": self.spec.model, "prompt": text, "add_special_tokens": false}),
            _ => return Ok(None),
        };
        let path = root_path(&self.spec.base_url, "/tokenize");
        let told = self.http.post(&path, &[], body.to_string().into_bytes()).await?.json().await?;
        let ids =
            told.get("tokens").and_then(Value::as_array).map(|ids| ids.iter().filter_map(Value::as_u64).collect::<Vec<_>>());
        Ok(ids.map(|ids| ids.into_iter().map(|id| id as u32).collect()))
    }

    /// Whether a prompt that should fit is read to its end: a word stands on its first line, and the service counts what it
    /// read. The count decides: a small model need not find the word.
    async fn context(&self) -> Option<Check> {
        let own = matches!(self.origin.path.as_str(), "this machine" | "self-hosted");
        let stated = self.capabilities.context.min(LONGEST);
        if self.capabilities.context == usize::MAX {
            // That nobody told it is said beside the plan's longest prompt.
            return None;
        }
        if !own {
            let says =
                format!("{} tokens by the service's word; a prompt of that length was not paid for", self.capabilities.context);
            return Some(check("context", Standing::Fine, says));
        }
        let few = RULER.min(stated / LINE).max(2);
        let untried = |failure: Failure| format!("a test prompt was not answered: {}", failure.message);
        let ruler = match self.count(few).await {
            Ok((Some(tokens), _)) => tokens as f64 / few as f64,
            Ok((None, _)) => return Some(check("context", Standing::Doubtful, "the endpoint does not count what it reads")),
            Err(failure) => return Some(check("context", Standing::Doubtful, untried(failure))),
        };
        let lines = (stated as f64 * FILLED / ruler) as usize;
        let expected = lines as f64 * ruler;
        Some(match self.count(lines).await {
            Ok((Some(read), found)) if read as f64 >= expected * SLACK => {
                let word = if found {
                    "and its first line's word came back"
                } else {
                    "and the model did not find the first line's word"
                };
                check(
                    "context",
                    Standing::Fine,
                    format!("of a stated {stated} tokens, a prompt of {read} was read whole, {word}"),
                )
            }
            Ok((read, _)) => {
                let read = read.unwrap_or_default();
                let says = format!("a prompt of about {expected:.0} tokens was cut to {read}: the stated context is {stated}");
                check("context", Standing::Bad, says)
            }
            Err(failure) if failure.retry == RetryClass::No && failure.kind == CauseKind::Refused => {
                let says =
                    format!("a prompt of about {expected:.0} tokens is refused where {stated} are stated: {}", failure.message);
                check("context", Standing::Doubtful, says)
            }
            Err(failure) => check("context", Standing::Doubtful, untried(failure)),
        })
    }

    /// Tokens that are read of a prompt of so many lines, and whether the word of its first line comes back.
    async fn count(&self, lines: usize) -> Result<(Option<u64>, bool), Failure> {
        let mut text = format!("The word to remember is {NEEDLE}.\n");
        for line in 1..lines {
            text.extend([format!("Line {line:06} says nothing of interest to anybody.\n")]);
        }
        text.push_str("The word to remember is");
        let generation = Generation { max_tokens: 16, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
        let request = if self.capabilities.raw {
            Request::Generate { prompt: text, generation }
        } else {
            Request::Chat { messages: vec![Message { role: "user".to_owned(), content: text }], tools: Vec::new(), generation }
        };
        // A long prompt takes longer than the requests of a run: what it takes is no fault here.
        let asked =
            tokio::time::timeout(self.endpoint.timeout.max(Duration::from_mins(1)), self.answer(std::slice::from_ref(&request)));
        let late = || Failure::new(CauseKind::Timeout, RetryClass::Transient, "a long prompt was not answered in time");
        let reply = asked.await.map_err(|_| late())?.pop().ok_or_else(late)??;
        let found = matches!(&reply.answer, Answer::Text { text, .. } if text.contains(NEEDLE));
        let usage =
            reply.served.and_then(|served| if served.truncated { Some(0) } else { served.usage.map(|usage| usage.prompt) });
        Ok((usage, found))
    }
}
