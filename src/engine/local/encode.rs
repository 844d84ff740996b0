//! Requests to token sequences: what is read, what is scored, and what doesn't fit.

use std::sync::Arc;

use super::guide::Spelling;
use crate::domain::CauseKind;
use crate::engine::{Failure, RetryClass};
use crate::weights::Checkpoint;

/// Tokens to read, and the tokens to score: `targets[i]` follows the input without its last
/// `targets.len() − 1 − i` tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// What the model reads; at least as long as `targets`.
    pub input: Vec<u32>,
    /// What is scored; at least one token.
    pub targets: Vec<u32>,
}

/// A model's tokenizer with its rules for beginnings and its room.
pub(super) struct Vocabulary {
    checkpoint: Arc<Checkpoint>,
    context: usize,
}

impl Vocabulary {
    /// The vocabulary of a model.
    pub(super) fn new(checkpoint: &Arc<Checkpoint>) -> Self {
        Self { context: checkpoint.config().context, checkpoint: Arc::clone(checkpoint) }
    }

    /// Most tokens of prompt and answer together.
    pub(super) fn context(&self) -> usize {
        self.context
    }

    /// The ids of a text; `whole` adds what the tokenizer puts before a text of its own. An end token that it puts behind
    /// is left out: what is asked for comes after.
    fn ids(&self, text: &str, whole: bool) -> Result<Vec<u32>, Failure> {
        let encode = |whole| {
            let encoding = self.checkpoint.tokenizer().encode_fast(text, whole);
            let encoding = encoding.map_err(|error| failed(format!("the tokenizer failed: {error}")))?;
            Ok(encoding.get_ids().to_vec())
        };
        let mut ids: Vec<u32> = encode(whole)?;
        let ends = ids.last().is_some_and(|last| self.checkpoint.special().eos.contains(last));
        if whole && ends && encode(false)?.last() != ids.last() {
            ids.pop();
        }
        Ok(ids)
    }

    /// The token that stands before the first: BOS, or else the first end token.
    fn start(&self) -> Result<u32, Failure> {
        let special = self.checkpoint.special();
        let start = special.bos.or_else(|| special.eos.first().copied());
        start.ok_or_else(|| refused("the model has neither a BOS nor an EOS token to start an empty context with".into()))
    }

    /// A prompt that is text, with the special tokens that the tokenizer adds.
    pub(super) fn prompt(&self, text: &str) -> Result<Vec<u32>, Failure> {
        let ids = self.ids(text, true)?;
        let ids = if ids.is_empty() { vec![self.start()?] } else { ids };
        self.with_room(ids)
    }

    /// A prompt that a chat template rendered: its special tokens are in the text already.
    pub(super) fn rendered(&self, text: &str) -> Result<Vec<u32>, Failure> {
        let ids = self.ids(text, false)?;
        if ids.is_empty() {
            return Err(refused("the chat template rendered an empty prompt".into()));
        }
        self.with_room(ids)
    }

    /// Refuses a prompt that leaves no room for an answer.
    fn with_room(&self, ids: Vec<u32>) -> Result<Vec<u32>, Failure> {
        if ids.len() < self.context {
            return Ok(ids);
        }
        let (length, context) = (ids.len(), self.context);
        Err(refused(format!("the prompt has {length} tokens, which leaves no room for an answer in a context of {context}")))
    }

    /// Options after a context, by lm-evaluation-harness's rule: trailing white space of the context moves into the
    /// option; both are encoded jointly, and the option's tokens are those beyond the number of the context's own.
    pub(super) fn options(&self, context: &str, options: &[String]) -> Result<Vec<Span>, Failure> {
        let kept = context.trim_end();
        let moved = &context[kept.len()..];
        let mut head = self.ids(kept, true)?;
        // Without a context, or a BOS in its place, the option is encoded on its own.
        let alone = head.is_empty();
        if alone {
            head.push(self.start()?);
        }
        let span = |(index, option): (usize, &String)| {
            let joint = self.ids(&format!("{kept}{moved}{option}"), true)?;
            let own = if alone { &joint[..] } else { joint.get(head.len()..).unwrap_or_default() };
            let Some(read) = own.len().checked_sub(1) else {
                return Err(refused(format!("option {} has no token of its own after the context", index + 1)));
            };
            let mut input = head.clone();
            input.extend(&own[..read]);
            self.fitting(Span { input, targets: own.to_vec() })
        };
        options.iter().enumerate().map(span).collect()
    }

    /// Refuses a span that is longer than the context.
    fn fitting(&self, span: Span) -> Result<Span, Failure> {
        if span.input.len() <= self.context {
            return Ok(span);
        }
        let (length, context) = (span.input.len(), self.context);
        Err(refused(format!("the prompt has {length} tokens, and the model's context holds {context}")))
    }

    /// A document of any length, in lm-evaluation-harness's rolling windows: disjoint runs of scored tokens, each window
    /// filled up with the tokens before it.
    pub(super) fn windows(&self, text: &str) -> Result<Vec<Span>, Failure> {
        let tokens = self.content(text)?;
        let first = tokens.len().min(self.context);
        let mut input = vec![self.start()?];
        input.extend(&tokens[..first - 1]);
        let mut windows = vec![Span { input, targets: tokens[..first].to_vec() }];
        let mut done = first;
        while done < tokens.len() {
            let end = tokens.len().min(done + self.context);
            let input = tokens[end - 1 - self.context..end - 1].to_vec();
            windows.push(Span { input, targets: tokens[done..end].to_vec() });
            done = end;
        }
        Ok(windows)
    }

    /// How many tokens of a document are scored: all of its own.
    pub(super) fn scored(&self, text: &str) -> Result<usize, Failure> {
        Ok(self.content(text)?.len())
    }

    /// A document's own tokens, without what the tokenizer puts around a text.
    fn content(&self, text: &str) -> Result<Vec<u32>, Failure> {
        let tokens = self.ids(text, false)?;
        if tokens.is_empty() { Err(refused("the document has no tokens".into())) } else { Ok(tokens) }
    }

    /// The text of generated tokens, without special ones.
    pub(super) fn text(&self, tokens: &[u32]) -> Result<String, Failure> {
        let text = self.checkpoint.tokenizer().decode(tokens, true);
        text.map_err(|error| failed(format!("the tokenizer failed: {error}")))
    }

    /// The vocabulary by its bytes.
    pub(super) fn spelling(&self) -> Spelling {
        let rows = self.checkpoint.config().vocabulary;
        Spelling::new(self.checkpoint.tokenizer(), self.checkpoint.special(), rows)
    }

    /// Whether a token ends an answer.
    pub(super) fn ends(&self, token: u32) -> bool {
        self.checkpoint.special().eos.contains(&token)
    }

    /// The tokens of a text with special tokens in it, if it has any: decoded answers never show them.
    pub(super) fn special(&self, text: &str) -> Option<Vec<u32>> {
        let tokenizer = self.checkpoint.tokenizer();
        let known = tokenizer.get_added_tokens_decoder();
        let special = |id: &u32| known.get(id).is_some_and(|token| token.special);
        if let Some(id) = tokenizer.token_to_id(text).filter(special) {
            return Some(vec![id]);
        }
        let ids = self.ids(text, false).ok()?;
        ids.iter().any(special).then_some(ids)
    }
}

/// A request that the model cannot take.
pub(super) fn refused(message: String) -> Failure {
    Failure::new(CauseKind::Refused, RetryClass::No, message)
}

/// A fault while computing.
pub(super) fn failed(message: String) -> Failure {
    Failure::new(CauseKind::Engine, RetryClass::No, message)
}

/// Logits that are not numbers.
pub(super) fn not_a_number() -> Failure {
    let message = "the model's logits are not finite: its weights or this prompt overflow f32";
    Failure::new(CauseKind::NotANumber, RetryClass::No, message)
}
