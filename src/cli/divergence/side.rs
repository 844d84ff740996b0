//! A model of the chunk protocol: how it reads the text, and its logits of one chunk.

use std::path::Path;

use crate::cli::failure::{Failure, chain};
use crate::engine::local::{LocalEngine, Settings};
use crate::harness::Chunks;
use crate::weights::{Checkpoint, Special};

/// A model in this process.
pub(super) struct Side {
    name: String,
    engine: LocalEngine,
    /// The token that each chunk's first gives way to: BOS, where the model's tokenizer puts one in front.
    opening: Option<u32>,
    vocabulary: usize,
    context: usize,
    tokens: Option<Vec<u32>>,
}

impl Side {
    /// Opens a model and tokenizes the text, where there is one, as a whole and with its special tokens.
    pub(super) fn open(path: &Path, tokenizer: Option<&Path>, settings: &Settings, text: Option<&str>) -> Result<Self, Failure> {
        let failed = |fault: &dyn std::error::Error| Failure::usage(chain(fault));
        let checkpoint = Checkpoint::open(path, tokenizer).map_err(|fault| {
            let failure = failed(&fault);
            match fault.hint() {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        })?;
        let tokens = text.map(|text| tokens(&checkpoint, text)).transpose()?;
        let Special { bos, add_bos, .. } = checkpoint.special();
        let opening = bos.filter(|_| *add_bos);
        let (vocabulary, context) = (checkpoint.config().vocabulary, checkpoint.config().context);
        let engine = LocalEngine::load(checkpoint, settings).map_err(|fault| failed(&fault))?;
        Ok(Self { name: path.display().to_string(), engine, opening, vocabulary, context, tokens })
    }

    /// Tokens of its vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Its own chunks of the text, at most so many.
    pub(super) fn chunks(&self, context: usize, most: Option<usize>) -> Result<Chunks, Failure> {
        if context < 4 {
            return Err(Failure::usage(format!("a chunk of {context} tokens has none to score: it has at least 4")));
        }
        let tokens = self.tokens.as_deref().unwrap_or_default();
        if tokens.len() < 2 * context {
            let (has, needs) = (tokens.len(), 2 * context);
            let failure = format!("the text has {has} tokens, and chunks of {context} need at least {needs}");
            return Err(Failure::usage(failure).with_hint("give a longer text or shorter chunks"));
        }
        let count = (tokens.len() / context).min(most.unwrap_or(usize::MAX));
        Ok(Chunks { context, vocabulary: self.vocabulary, tokens: tokens[..count * context].to_vec() })
    }

    /// Refuses chunks that it can't be asked for.
    pub(super) fn fits(&self, chunks: &Chunks) -> Result<(), Failure> {
        let Self { name, vocabulary, context, .. } = self;
        if chunks.vocabulary != *vocabulary {
            let other = chunks.vocabulary;
            return Err(Failure::usage(format!("the vocabulary of {name} has {vocabulary} tokens, the base's {other}")));
        }
        if chunks.context > *context {
            let asked = chunks.context;
            return Err(Failure::usage(format!("a chunk has {asked} tokens, and the context of {name} holds {context}")));
        }
        Ok(())
    }

    /// Refuses a base that reads the text as other tokens.
    pub(super) fn reads_as(&self, base: &Self) -> Result<(), Failure> {
        let (Some(own), Some(other)) = (&self.tokens, &base.tokens) else { return Ok(()) };
        let same = own.iter().zip(other).take_while(|(a, b)| a == b).count();
        if same == own.len().max(other.len()) {
            return Ok(());
        }
        let failure = format!("{} reads the text as other tokens than {}, from token {same} on", self.name, base.name);
        Err(Failure::usage(failure).with_hint("`--tokenizer FILE` gives both the same"))
    }

    /// The logits that predict a chunk's scored tokens: `rows · vocabulary`.
    pub(super) fn logits(&self, chunks: &Chunks, index: usize) -> Result<Vec<f32>, Failure> {
        let mut ids = chunks.tokens[index * chunks.context..(index + 1) * chunks.context].to_vec();
        if let Some(opening) = self.opening {
            ids[0] = opening;
        }
        let places = chunks.first()..chunks.context - 1;
        let logits = self.engine.logits_after(&ids, places);
        logits.map_err(|failure| Failure::usage(format!("{}, chunk {}: {}", self.name, index + 1, failure.message)))
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The tokens of a text with the special tokens in front; an end token that the tokenizer puts behind is left out.
fn tokens(checkpoint: &Checkpoint, text: &str) -> Result<Vec<u32>, Failure> {
    let encode = |text: &str| {
        let encoding = checkpoint.tokenizer().encode_fast(text, true);
        let encoding = encoding.map_err(|fault| Failure::usage(format!("the tokenizer failed: {fault}")))?;
        Ok(encoding.get_ids().to_vec())
    };
    let mut ids: Vec<u32> = encode(text)?;
    let empty: Vec<u32> = encode("")?;
    let closing = empty.last().filter(|last| checkpoint.special().eos.contains(last) && checkpoint.special().bos != Some(**last));
    if closing.is_some() && ids.last() == closing {
        ids.pop();
    }
    Ok(ids)
}
