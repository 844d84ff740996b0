//! What an engine remembers between passes and calls, and how much it may.

use super::cache::{Cache, PAGE};
use super::decoder::Decoder;
use super::encode::refused;
use super::forest::{Forest, Pass};
use super::product::ComputeError;
use crate::engine::Failure;
use crate::weights::Config;

/// Most bytes beside the model's own, unless told otherwise.
const DEFAULT: u64 = 512 << 20;
/// Whole contexts whose keys are as many as it takes without being told.
const CONTEXTS: u64 = 32;
/// Most tokens of a pass: beyond, products get no faster.
const MOST: usize = 2_048;
/// Fewest tokens of a pass, whatever the memory.
const LEAST: usize = 32;
/// What the logits of a block of rows take, and small things.
const LOGITS: u64 = 24 << 20;

/// How an engine's memory is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Tokens of a pass.
    pub tokens: usize,
    /// Pages of keys and values that outlive a pass.
    pub pages: usize,
    /// Bytes of a page in all layers.
    pub page_bytes: usize,
}

impl Limits {
    /// A quarter of the memory is for what a pass computes, the rest for what is remembered.
    pub(super) fn of(decoder: &Decoder, config: &Config, memory: Option<u64>) -> Self {
        let (heads, keys) = (config.heads * config.head_size, 2 * config.kv_heads * config.head_size);
        // The state, its norm and what is added; queries, keys, values and what was attended; gate, up and their product.
        let row = 4 * (3 * config.width + 3 * heads + 2 * keys + 3 * config.feed_forward) as u64;
        let page_bytes = decoder.page_bytes();
        let context = config.context.div_ceil(PAGE) as u64 * page_bytes as u64;
        // Subjects of one run hold their memories side by side: a model of small contexts has no use for all of it.
        let enough = context.saturating_mul(CONTEXTS).saturating_add(LOGITS + MOST as u64 * row);
        let memory = memory.unwrap_or_else(|| DEFAULT.min(enough));
        let tokens = (memory / 4 / row) as usize;
        let tokens = tokens.clamp(LEAST, MOST) / PAGE * PAGE;
        let rest = memory.saturating_sub(LOGITS + tokens as u64 * row);
        Self { tokens, pages: (rest / page_bytes as u64) as usize, page_bytes }
    }

    /// Whether so many tokens fit into the lasting pages.
    pub(super) fn fits(&self, tokens: usize) -> bool {
        // A branch may leave a page half empty.
        tokens.div_ceil(PAGE) + 2 <= self.pages
    }

    /// Says that so many tokens don't fit.
    pub(super) fn refusal(&self, tokens: usize, what: &str) -> Failure {
        let mib = |pages: usize| (pages * self.page_bytes).div_ceil(1 << 20);
        let (needs, has) = (mib(tokens.div_ceil(PAGE) + 2), mib(self.pages));
        refused(format!(
            "{what} of {tokens} tokens needs {needs} MiB for its keys and values, and the engine's memory has {has} MiB for \
             them: `--memory` gives it more"
        ))
    }
}

/// Keys and values that outlive a pass, and whose they are.
pub(super) struct Memory {
    /// How much there may be.
    pub limits: Limits,
    /// Which tokens they belong to.
    pub forest: Forest,
    /// Themselves.
    pub cache: Cache,
    /// What the last call read, where that was little: its beginnings are worth keeping where the next call shares them.
    pub before: Vec<Vec<u32>>,
    /// Rows computed so far.
    #[cfg(test)]
    pub computed: usize,
}

impl Memory {
    /// An empty memory. It takes up room as it fills.
    pub(super) fn new(decoder: &Decoder, limits: Limits) -> Self {
        let forest = Forest::new(limits.pages);
        Self {
            limits,
            forest,
            cache: decoder.cache(limits.pages),
            before: Vec::new(),
            #[cfg(test)]
            computed: 0,
        }
    }

    /// Runs a pass that the forest laid out; returns the final states of the wanted rows.
    pub(super) fn run(&mut self, decoder: &Decoder, pass: &mut Pass) -> Result<Vec<f32>, ComputeError> {
        pass.close();
        #[cfg(test)]
        {
            self.computed += pass.tokens.len();
        }
        self.cache.pass(self.forest.passing());
        let states = decoder.states(pass, &mut self.cache);
        self.forest.end(states.is_ok());
        states
    }
}
