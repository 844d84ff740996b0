//! Constrained answers: which tokens may come next, so that what is written ends as its constraint says.
//!
//! A constraint becomes a grammar (`grammar`), a vocabulary a trie of its tokens' bytes (`spelling`), and llguidance walks the
//! one along the other. Any way of cutting the text into tokens is on offer, not only the tokenizer's own.

mod grammar;
mod spelling;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use llguidance::toktrie::{ApproximateTokEnv, SimpleVob, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};

pub use self::grammar::{enforce, loose};
pub(super) use self::spelling::Spelling;

use super::encode::refused;
use crate::domain::Constraint;
use crate::engine::Failure;

/// Compiled constraints that are kept; tasks have one, or one for each row.
const KEPT: usize = 64;

/// Bytes of all tokens that a trie holds at most: its nodes count within 22 bits.
const MOST_BYTES: usize = 1 << 22;

/// What the guides of one vocabulary share: its trie, made when it is first asked for, and the constraints of late.
#[derive(Default)]
pub(super) struct Guides {
    factory: OnceLock<Result<ParserFactory, String>>,
    compiled: Mutex<HashMap<String, Matcher>>,
}

impl Guides {
    /// A guide at the beginning of an answer.
    ///
    /// # Errors
    /// The constraint, or the vocabulary, is nothing that can be enforced; in llguidance's words.
    pub(super) fn guide(&self, constraint: &Constraint, spell: impl FnOnce() -> Spelling) -> Result<Guide, Failure> {
        let wrong = |why: &str| refused(format!("the constraint cannot be enforced: {why}"));
        let factory = self.factory.get_or_init(|| factory(spell())).as_ref().map_err(|why| wrong(why))?;
        let key = serde_json::to_string(constraint).map_err(|error| wrong(&error.to_string()))?;
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(matcher) = compiled.get(&key) {
            return Ok(Guide::new(factory, matcher));
        }
        let matcher = grammar::compile(factory, constraint).map_err(|why| wrong(&why))?;
        let guide = Guide::new(factory, &matcher);
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        compiled.insert(key, matcher);
        Ok(guide)
    }
}

/// A vocabulary as llguidance takes it.
fn factory(spelling: Spelling) -> Result<ParserFactory, String> {
    let Spelling { tokens, eos } = spelling;
    let bytes: usize = tokens.iter().map(Vec::len).sum();
    if bytes >= MOST_BYTES {
        return Err(format!("its vocabulary has {bytes} bytes, and constraints work up to {MOST_BYTES}"));
    }
    let Some(first) = eos.first() else { return Err("the model has no token that ends an answer".to_owned()) };
    let trie = TokTrie::from(&TokRxInfo::new(tokens.len() as u32, *first), &tokens).with_eos_tokens(&eos);
    let env: TokEnv = std::sync::Arc::new(ApproximateTokEnv::new(trie));
    grammar::factory(&env)
}

/// What one answer may go on with.
pub(super) struct Guide {
    matcher: Matcher,
    tokens: TokEnv,
    /// The next token's mask, where it was computed ahead.
    ahead: Option<Result<SimpleVob, Failure>>,
    written: Vec<u8>,
}

impl Guide {
    fn new(factory: &ParserFactory, compiled: &Matcher) -> Self {
        // A copy with caches of its own: neither its masks nor its limits depend on other answers.
        Self { matcher: compiled.deep_clone(), tokens: factory.tok_env().clone(), ahead: None, written: Vec::new() }
    }

    /// Computes the next token's mask, unless that is done.
    pub(super) fn look(&mut self) {
        if self.ahead.is_none() {
            let mask = self.matcher.compute_mask();
            self.ahead = Some(mask.map_err(|error| stuck(&error.to_string())));
        }
    }

    /// The tokens that may come next: at least one; those that end the answer exactly where the text so far is whole.
    ///
    /// # Errors
    /// The constraint grew beyond llguidance's limits, or the vocabulary has no token to go on with.
    pub(super) fn mask(&mut self) -> Result<&SimpleVob, Failure> {
        self.look();
        match self.ahead.as_ref() {
            Some(Ok(mask)) => Ok(mask),
            Some(Err(failure)) => Err(failure.clone()),
            None => Err(stuck("no mask was computed")),
        }
    }

    /// Takes a token that the mask allows and that doesn't end the answer.
    pub(super) fn accept(&mut self, token: u32) -> Result<(), Failure> {
        self.ahead = None;
        self.written.extend_from_slice(self.tokens.tok_trie().token(token));
        self.matcher.consume_token(token).map_err(|error| stuck(&error.to_string()))
    }

    /// Whether the text is whole and nothing but its end can follow.
    pub(super) fn is_complete(&self) -> bool {
        self.matcher.is_stopped() && !self.matcher.is_error()
    }

    /// What was accepted so far, letter for letter: a tokenizer's own decoding may leave out a space at the beginning.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }
}

/// An answer that can't go on.
fn stuck(error: &str) -> Failure {
    refused(format!("the constraint cannot be enforced any further: {}", grammar::sentence(error)))
}
