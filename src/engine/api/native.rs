//! What a llama.cpp server tells of itself: its room, its tokens, its chat template, and whether tokens can be forced on it.

use serde_json::{Value, json};

use super::super::template::ChatTemplate;
use super::super::{BoxFuture, Failure, RetryClass};
use super::exchange::{Wire, inexpressible, malformed};
use super::forced::{self, Span};
use super::llama_cpp;
use crate::domain::{CauseKind, Message};
use crate::weights::Special;

/// Sends one request and brings back the JSON of its response; everything else about HTTP is its own.
pub(super) type Post<'a> = dyn Fn(Wire) -> BoxFuture<'a, Result<Value, Failure>> + Send + Sync + 'a;

/// What renders conversations.
enum Renderer {
    /// The server's template, rendered here: the same text as for a model in this process.
    Own(Box<ChatTemplate>),
    /// `/apply-template`, for a template that can't be read here.
    Server,
}

/// A llama.cpp server, as it was found.
pub(super) struct Native {
    /// Most tokens of prompt and answer together, of one request.
    pub(super) context: usize,
    /// Why log-likelihoods can't be had, where they can't.
    pub(super) unforced: Option<String>,
    /// What is worth knowing about it, a sentence each.
    pub(super) notes: Vec<String>,
    renderer: Option<Renderer>,
    /// What the tokenizer puts in front of a text of its own.
    front: Vec<u32>,
    /// BOS, or else the end token: what an empty context starts with.
    start: Option<u32>,
    bos_text: String,
}

impl Native {
    /// Gets to know a server. `props` is its `/props`; tokens, the template and forced tokens are tried out.
    ///
    /// # Errors
    /// Those of the requests, and properties or tokens that can't be read.
    pub(super) async fn open(props: &Value, post: &Post<'_>) -> Result<Self, Failure> {
        llama_cpp::check(props)?;
        let text = |key: &str| props.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let settings = props.get("default_generation_settings");
        let context = settings.and_then(|settings| settings.get("n_ctx")).and_then(Value::as_u64);
        let context = context.ok_or_else(|| malformed("/props has no `default_generation_settings.n_ctx`"))?;
        let (bos, eos) = (text("bos_token").unwrap_or_default(), text("eos_token").unwrap_or_default());
        let mut native = Self {
            context: context as usize,
            unforced: None,
            notes: Vec::new(),
            renderer: None,
            front: front(post).await?,
            start: None,
            bos_text: bos.clone(),
        };
        for token in [&bos, &eos] {
            if native.start.is_none() && !token.is_empty() {
                native.start = single(&tokens(post, token, false).await?);
            }
        }
        native.try_forcing(post).await?;
        if let Some(template) = text("chat_template") {
            let special = Special { bos_text: bos, eos_text: eos, ..Special::default() };
            native.try_template(post, &template, special).await?;
        }
        Ok(native)
    }

    /// Whether conversations can be rendered.
    pub(super) fn chats(&self) -> bool {
        self.renderer.is_some()
    }

    /// Most tokens that can be read and scored: the server ends an answer one token before its context is full.
    pub(super) fn room(&self) -> usize {
        self.context.saturating_sub(1)
    }

    /// The token that stands before the first.
    ///
    /// # Errors
    /// [`CauseKind::Refused`] where there is neither a BOS nor an EOS token.
    pub(super) fn start(&self) -> Result<u32, Failure> {
        self.start.ok_or_else(|| inexpressible("the server's model has neither a BOS nor an EOS token to start with"))
    }

    /// The ids of a text; `whole` puts in front what the tokenizer puts before a text of its own.
    ///
    /// # Errors
    /// Those of the request.
    pub(super) async fn ids(&self, post: &Post<'_>, text: &str, whole: bool) -> Result<Vec<u32>, Failure> {
        let mut ids = if whole { self.front.clone() } else { Vec::new() };
        if !text.is_empty() {
            ids.extend(tokens(post, text, false).await?);
        }
        Ok(ids)
    }

    /// The prompt for an answer to the messages: its text and its tokens.
    ///
    /// # Errors
    /// Those of the requests; [`CauseKind::Refused`] where there is no template, or it refuses the conversation.
    pub(super) async fn rendered(
        &self,
        post: &Post<'_>,
        messages: &[Message],
        tools: &[Value],
    ) -> Result<(String, Vec<u32>), Failure> {
        let (text, whole) = match &self.renderer {
            Some(Renderer::Own(template)) => (template.render(messages, tools)?, false),
            Some(Renderer::Server) => {
                let text = apply(post, messages, tools).await?;
                let whole = self.bos_text.is_empty() || !text.starts_with(&self.bos_text);
                (text, whole)
            }
            None => return Err(inexpressible("the server's model has no chat template")),
        };
        let ids = self.ids(post, &text, whole).await?;
        if ids.is_empty() {
            return Err(inexpressible("the chat template rendered an empty prompt"));
        }
        Ok((text, ids))
    }

    /// Forces two unlikely tokens on the server, and looks whether it obeys.
    async fn try_forcing(&mut self, post: &Post<'_>) -> Result<(), Failure> {
        let Some(&token) = tokens(post, "a b", false).await?.last() else {
            return Err(malformed("/tokenize gives no tokens for `a b`"));
        };
        let span = Span { prompt: vec![self.start.unwrap_or(token)], targets: vec![token, token] };
        let outcome = match post(forced::wire(&span, 1)).await {
            Ok(body) => forced::scores(&body, &span).map(|_| ()),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(failure) if failure.retry == RetryClass::No || failure.kind == CauseKind::Malformed => {
                let why = failure.message;
                self.unforced = Some(format!(
                    "its log-likelihoods can't be had: given tokens cannot be forced on it by a grammar ({why}); a llama.cpp of \
                     2026 can, and so can a model in this process"
                ));
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Compiles the template, and compares what it renders with what the server renders.
    async fn try_template(&mut self, post: &Post<'_>, source: &str, special: Special) -> Result<(), Failure> {
        let own = match ChatTemplate::new(source, &special, |_| None) {
            Ok(own) => own,
            Err(error) => {
                self.notes.push(format!("its chat template cannot be read here ({error}): the server renders it"));
                self.renderer = Some(Renderer::Server);
                return Ok(());
            }
        };
        let messages = [Message { role: "user".into(), content: "Which is it?".into() }];
        let tool = json!({"type": "function", "function": {"name": "look_up", "description": "Looks a word up.", "parameters":
            {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}}});
        for (what, tools) in [("a conversation", &[][..]), ("tools", &[tool][..])] {
            let (ours, theirs) = (own.render(&messages, tools), apply(post, &messages, tools).await);
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) if bare(&ours, &special.bos_text) == bare(&theirs, &special.bos_text) => {}
                (Ok(_), Ok(_)) => self.notes.push(format!(
                    "its own chat endpoint renders {what} otherwise than its template does: prompts are rendered here, as for a \
                     model in this process"
                )),
                (Ok(_), Err(failure)) if failure.retry == RetryClass::No => {
                    self.notes.push(format!("/apply-template refuses {what}: {}", failure.message));
                }
                (_, Err(failure)) if failure.retry != RetryClass::No => return Err(failure),
                (Err(failure), _) => self.notes.push(format!("its chat template refuses {what}: {}", failure.message)),
                (Ok(_), Err(failure)) => return Err(failure),
            }
        }
        self.renderer = Some(Renderer::Own(Box::new(own)));
        Ok(())
    }
}

/// A rendered text without the BOS that one renderer writes and the other leaves to the tokenizer.
fn bare<'a>(text: &'a str, bos: &str) -> &'a str {
    if bos.is_empty() { text } else { text.strip_prefix(bos).unwrap_or(text) }
}

/// The only one of a list.
fn single(ids: &[u32]) -> Option<u32> {
    if let [id] = ids { Some(*id) } else { None }
}

/// What the tokenizer puts in front of a text.
async fn front(post: &Post<'_>) -> Result<Vec<u32>, Failure> {
    let with = tokens(post, "a", true).await?;
    let without = tokens(post, "a", false).await?;
    let at = with.windows(without.len().max(1)).position(|part| part == without);
    at.map(|at| with[..at].to_vec()).ok_or_else(|| malformed("/tokenize cuts `a` otherwise where special tokens are added"))
}

/// The ids of a text, special tokens in it understood as such; `special` adds what the tokenizer puts around a text.
async fn tokens(post: &Post<'_>, text: &str, special: bool) -> Result<Vec<u32>, Failure> {
    let body = json!({"content": text, "add_special": special, "parse_special": true});
    let body = post(llama_cpp::post("/tokenize", body)).await?;
    llama_cpp::check(&body)?;
    let list = body.get("tokens").and_then(Value::as_array).ok_or_else(|| malformed("/tokenize gives no `tokens`"))?;
    let ids: Vec<u32> = llama_cpp::ids(body.get("tokens")).collect();
    if ids.len() == list.len() { Ok(ids) } else { Err(malformed("/tokenize gives tokens that are no ids")) }
}

/// A conversation as the server renders it.
async fn apply(post: &Post<'_>, messages: &[Message], tools: &[Value]) -> Result<String, Failure> {
    let mut body = json!({"messages": messages});
    if !tools.is_empty() {
        body["tools"] = json!(tools);
    }
    let body = post(llama_cpp::post("/apply-template", body)).await?;
    llama_cpp::check(&body)?;
    let text = body.get("prompt").and_then(Value::as_str).ok_or_else(|| malformed("/apply-template gives no `prompt`"))?;
    Ok(text.to_owned())
}
