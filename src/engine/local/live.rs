//! An answer being written: its tokens, its text as far as that is settled, and what ends it.

use super::cache::Piece;
use super::encode::{Vocabulary, not_a_number};
use super::forest::Path;
use super::guide::Guide;
use super::sampler::Chooser;
use crate::domain::{Answer, Finish, Generation};
use crate::engine::Failure;

/// Tokens without a whole character between them after which they count as text: no character has more bytes.
const UNSETTLED: usize = 8;

/// A prompt to answer.
pub(super) struct Prompt<'a> {
    /// Its tokens; shorter than the context.
    pub tokens: Vec<u32>,
    /// How to answer.
    pub generation: &'a Generation,
    /// What holds the answer to its constraint.
    pub guide: Option<Guide>,
}

/// An answer being written.
pub(super) struct Live<'a> {
    /// Which prompt it answers.
    pub index: usize,
    generation: &'a Generation,
    /// Stop texts that hold special tokens, as tokens: decoded text never shows them.
    stop_tokens: Vec<Vec<u32>>,
    chooser: Chooser,
    /// What holds the answer to its constraint.
    pub guide: Option<Guide>,
    /// Most tokens.
    pub limit: usize,
    /// The prompt and the answer so far.
    pub ids: Vec<u32>,
    /// Tokens of the prompt.
    read: usize,
    /// How many of the first tokens are read together, before the others one by one.
    pub together: usize,
    /// How many tokens' keys are there.
    pub filled: usize,
    /// Those of the first, which it may share.
    pub path: Path,
    /// Pages of its own for the others.
    pub own: Vec<usize>,
    /// All of them.
    pub pieces: Vec<Piece>,
    /// The row of the pass under way that its next token is read from.
    pub row: Option<u32>,
    /// How it ended.
    pub done: Option<Result<Answer, Failure>>,
    text: Text,
}

/// Text that grows with its tokens.
#[derive(Default)]
struct Text {
    /// What is settled.
    settled: String,
    /// The token that decoding starts from: what comes before changes nothing any more.
    from: usize,
    /// The tokens that are settled.
    until: usize,
}

impl Text {
    /// Takes the tokens so far, one more than before; returns where new text begins, once there is some.
    fn grow(&mut self, vocabulary: &Vocabulary, tokens: &[u32]) -> Result<Option<usize>, Failure> {
        let before = vocabulary.text(&tokens[self.from..self.until])?;
        let now = vocabulary.text(&tokens[self.from..])?;
        let whole = !now.ends_with(char::REPLACEMENT_CHARACTER) || tokens.len() - self.until >= UNSETTLED;
        let Some(new) = now.get(before.len()..).filter(|new| whole && !new.is_empty()) else { return Ok(None) };
        let start = self.settled.len();
        self.settled.push_str(new);
        (self.from, self.until) = (self.until, tokens.len());
        Ok(Some(start))
    }
}

impl<'a> Live<'a> {
    /// An answer without tokens.
    pub(super) fn new(vocabulary: &Vocabulary, index: usize, prompt: Prompt<'a>) -> Self {
        let read = prompt.tokens.len();
        let generation = prompt.generation;
        Self {
            index,
            generation,
            stop_tokens: generation.stop.iter().filter_map(|stop| vocabulary.special(stop)).collect(),
            chooser: Chooser::new(generation),
            guide: prompt.guide,
            limit: generation.max_tokens.clamp(1, vocabulary.context() - read),
            ids: prompt.tokens,
            read,
            together: read,
            filled: 0,
            path: Path::default(),
            own: Vec::new(),
            pieces: Vec::new(),
            row: None,
            done: None,
            text: Text::default(),
        }
    }

    /// Chooses the next token; returns the answer where that ends it.
    pub(super) fn take(&mut self, vocabulary: &Vocabulary, logits: &[f32]) -> Option<Result<Answer, Failure>> {
        let finish = self.next(vocabulary, logits).transpose()?;
        Some(finish.and_then(|finish| self.finish(vocabulary, finish)))
    }

    /// Chooses the next token; tells what ends the answer, if anything does.
    fn next(&mut self, vocabulary: &Vocabulary, logits: &[f32]) -> Result<Option<Finish>, Failure> {
        let mask = self.guide.as_mut().map(Guide::mask).transpose()?;
        let token = self.chooser.next(logits, mask).ok_or_else(not_a_number)?;
        self.ids.push(token);
        if let Some(stop) = self.stop_tokens.iter().find(|stop| self.ids[self.read..].ends_with(stop)) {
            self.ids.truncate(self.ids.len() - stop.len());
            return Ok(Some(Finish::Stop));
        }
        if vocabulary.ends(token) {
            self.ids.pop();
            return Ok(Some(Finish::End));
        }
        if let Some(guide) = &mut self.guide {
            guide.accept(token)?;
            if guide.is_complete() {
                return Ok(Some(Finish::End));
            }
        }
        if self.stops(vocabulary)? {
            return Ok(Some(Finish::Stop));
        }
        Ok((self.ids.len() - self.read >= self.limit).then_some(Finish::Length))
    }

    /// Whether a stop text came up.
    fn stops(&mut self, vocabulary: &Vocabulary) -> Result<bool, Failure> {
        let stop = &self.generation.stop;
        let Some(longest) = stop.iter().map(String::len).max() else { return Ok(false) };
        let tokens = &self.ids[self.read..];
        let Some(new) = self.text.grow(vocabulary, tokens)? else { return Ok(false) };
        let settled = &self.text.settled;
        // One that ends in the new text may begin before it.
        let from = (0..=new.saturating_sub(longest)).rev().find(|&at| settled.is_char_boundary(at)).unwrap_or(0);
        // The whole text decides: pieces decoded on their own may differ in a space.
        Ok(cut(&settled[from..], stop).is_some() && cut(&vocabulary.text(tokens)?, stop).is_some())
    }

    /// The answer so far.
    fn finish(&mut self, vocabulary: &Vocabulary, finish: Finish) -> Result<Answer, Failure> {
        let tokens = self.ids.split_off(self.read);
        let mut text = match &self.guide {
            Some(guide) => guide.text(),
            None => vocabulary.text(&tokens)?,
        };
        if let Some(end) = cut(&text, &self.generation.stop) {
            text.truncate(end);
        }
        Ok(Answer::Text { text, tokens, finish })
    }
}

/// Where the first of the stop texts begins.
fn cut(text: &str, stop: &[String]) -> Option<usize> {
    stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min()
}
