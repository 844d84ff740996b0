//! What dialects are made of: a request on its way out, and an answer as it comes in, whole or piece by piece.

use serde_json::{Map, Value, json};

use super::super::{Failure, Reply, RetryClass};
use super::preset;
use crate::domain::{Answer, ApiSpec, CauseKind, Digest, Finish, Generation, Message, Request, Served};

/// One request to be written in a dialect.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The subject.
    pub spec: &'a ApiSpec,
    /// What is asked.
    pub request: &'a Request,
}

/// How the body of a response is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON document.
    Whole,
    /// Server-sent events.
    Sse,
    /// One JSON document a line.
    Lines,
    /// Amazon's binary event stream.
    AwsEvents,
}

/// One HTTP request of a dialect: always a POST with a JSON body.
#[derive(Clone, Debug, PartialEq)]
pub struct Wire {
    /// Path and query behind the base URL, with a slash in front.
    pub path: String,
    /// Headers of the dialect beside those for the key and the type of the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body, before the plan's `extra` and `omit`.
    pub body: Map<String, Value>,
    /// How the response comes.
    pub framing: Framing,
}

/// One piece of a streamed response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its type, where the framing has types: an event's name.
    pub event: Option<&'a str>,
    /// What it carries, without the framing.
    pub data: &'a [u8],
}

/// Whether a stream goes on after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More is to come.
    More,
    /// The answer is complete.
    Done,
}

/// A tool call in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallDraft {
    /// The service's own mark of it; empty where it gives none.
    pub id: String,
    /// The place that the service last gave it; none where it gives none.
    pub index: Option<u64>,
    /// The tool's name.
    pub name: String,
    /// Its arguments as JSON text.
    pub arguments: String,
}

/// An answer in the making: dialects add to it what they read, in the order in which it comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The text so far.
    pub text: String,
    /// Tool calls, by their place.
    pub calls: Vec<CallDraft>,
    /// The generated token ids, where the dialect tells.
    pub tokens: Vec<u32>,
    /// Why it ended; none while the dialect has not said so.
    pub finish: Option<Finish>,
    /// Whether the service kept (a part of) the answer back by a filter.
    pub filtered: bool,
    /// How many pieces brought text or calls.
    pub pieces: u64,
    /// What the endpoint told beside it.
    pub served: Served,
}

impl Draft {
    /// Adds text; nothing where there is none.
    pub fn say(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.pieces += 1;
        }
    }

    /// The tool call at a place, made where it is not there yet.
    pub fn call(&mut self, place: usize) -> &mut CallDraft {
        if self.calls.len() <= place {
            self.calls.resize(place + 1, CallDraft::default());
        }
        self.pieces += 1;
        &mut self.calls[place]
    }

    /// Cuts the text at the first of the request's stop texts: not every service takes them all, and some leave them in.
    pub fn cut(&mut self, stops: &[String]) {
        let found = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| self.text.find(stop.as_str())).min();
        if let Some(end) = found {
            self.text.truncate(end);
            self.finish = self.finish.and(Some(Finish::Stop));
        }
    }

    /// The complete answer. Where tools were called, its text is the first call as `{"name": …, "arguments": …}`, as a
    /// tool-call scorer reads it; with several calls, a list of them.
    ///
    /// # Errors
    /// [`CauseKind::Filtered`] where a filter kept it back, [`CauseKind::Malformed`] where it never ended.
    pub fn finish(self) -> Result<Reply, Failure> {
        if self.filtered {
            let what = "the service's content filter kept the answer back";
            return Err(Failure::new(CauseKind::Filtered, RetryClass::No, what));
        }
        let Some(finish) = self.finish else {
            let what = "the response ended before the answer did";
            return Err(Failure::new(CauseKind::Malformed, RetryClass::Transient, what));
        };
        let text = if self.calls.is_empty() { self.text } else { calls(&self.calls) };
        let answer = Answer::Text { text, tokens: self.tokens, finish };
        Ok(Reply { answer, served: Some(Box::new(self.served)), headroom: super::super::Headroom::default() })
    }
}

/// Tool calls as text. Arguments that are no JSON are kept as they are, so that the scorer can say so.
fn calls(calls: &[CallDraft]) -> String {
    let written: Vec<String> = calls
        .iter()
        .map(|call| {
            let name = Value::from(call.name.as_str());
            let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
            format!(r#"{{"name": {name}, "arguments": {arguments}}}"#)
        })
        .collect();
    match written.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

impl Ask<'_> {
    /// The digest of what is asked as it is sent: a prompt that goes out as one message of a user is a conversation.
    #[must_use]
    pub fn prompt(&self) -> Digest {
        match self.request {
            Request::Generate { prompt, .. } if !preset::raw(self.spec) => {
                let message = Message { role: "user".to_owned(), content: prompt.clone() };
                conversation(std::slice::from_ref(&message), &[])
            }
            request => prompt_digest(request),
        }
    }
}

/// The digest of what is asked, settings left out: `chat:` of messages and tools, which a template is still to render, `text:` of
/// what a model reads as it is. The order of members in a tool's schema does not change it.
pub(super) fn prompt_digest(request: &Request) -> Digest {
    match request {
        Request::Chat { messages, tools, .. } => conversation(messages, tools),
        Request::Generate { prompt, .. } => text(prompt),
        Request::Perplexity { text: document } => text(document),
        Request::Choice { context, options } => text(&json!([context, options]).to_string()),
    }
}

/// The digest of a text.
fn text(text: &str) -> Digest {
    Digest::new(format!("text:blake3:{}", blake3::hash(text.as_bytes()).to_hex()))
}

/// The digest of a conversation.
fn conversation(messages: &[Message], tools: &[Value]) -> Digest {
    let messages: Vec<Value> = messages.iter().map(|message| json!([message.role, message.content])).collect();
    let mut written = String::new();
    canonical(&json!([messages, tools]), &mut written);
    Digest::new(format!("chat:blake3:{}", blake3::hash(written.as_bytes()).to_hex()))
}

/// JSON without white space, members by name.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            into.push('{');
            for (name, member) in members {
                into.push_str(&Value::from(name.as_str()).to_string());
                into.push(':');
                canonical(member, into);
                into.push(',');
            }
            into.push('}');
        }
        Value::Array(items) => {
            into.push('[');
            for item in items {
                canonical(item, into);
                into.push(',');
            }
            into.push(']');
        }
        scalar => into.push_str(&scalar.to_string()),
    }
}

/// A sample's seed in 31 bits, which every service takes: some hold it in 32, and one of those values means "at random".
#[must_use]
pub fn seed(generation: &Generation) -> u64 {
    (generation.seed ^ generation.seed >> 32) & 0x7fff_ffff
}

/// A response that is not what the dialect says; asking again could help.
pub fn malformed(what: impl std::fmt::Display) -> Failure {
    Failure::new(CauseKind::Malformed, RetryClass::Transient, format!("the response is not what was agreed: {what}"))
}

/// A request that a dialect cannot express.
pub fn inexpressible(what: impl Into<String>) -> Failure {
    Failure::new(CauseKind::Refused, RetryClass::No, what)
}

#[cfg(test)]
#[path = "tests/exchange.rs"]
mod tests;
