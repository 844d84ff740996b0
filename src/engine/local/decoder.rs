//! The llama decoder: embeddings, layers of attention and `SwiGLU` with RMS norms, and the vocabulary head.

#![expect(clippy::inline_always, reason = "the whole kernel has to be compiled with the wide instructions of its caller")]

use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;

use super::attention::Attention;
use super::cache::{Cache, Heads, LayerCache, Open, PAGE};
use super::forest::Pass;
use super::lanes::{self, vectorized};
use super::product::{ComputeError, Product};
use super::rope::Rope;
use crate::weights::{Checkpoint, Config};

/// Models whose f32 form is larger are de-quantized tensor by tensor in every pass.
const KEPT_BYTES: u64 = 2 << 30;
/// Rows that one task of the element-wise parts takes.
const ROWS: usize = 32;
/// Logits that are in memory at a time.
const LOGITS: usize = 4 << 20;

/// The weights of one layer.
struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values side by side.
    qkv: Product,
    output: Product,
    feed_forward_norm: Vec<f32>,
    /// Gate and up side by side.
    gate_up: Product,
    down: Product,
}

/// A loaded decoder.
pub(super) struct Decoder {
    checkpoint: Arc<Checkpoint>,
    width: usize,
    feed_forward: usize,
    vocabulary: usize,
    epsilon: f32,
    heads: Heads,
    pub(super) rope: Rope,
    /// `[vocabulary, width]`; none where it is read for every pass.
    embedding: Option<Vec<f32>>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Product,
    arch: Arch,
}

impl Decoder {
    /// Takes the weights over.
    pub(super) fn new(checkpoint: &Arc<Checkpoint>) -> Result<Self, ComputeError> {
        Self::within(checkpoint, KEPT_BYTES)
    }

    /// Keeps the weights in f32 where they take at most so many bytes.
    pub(super) fn within(checkpoint: &Arc<Checkpoint>, bytes: u64) -> Result<Self, ComputeError> {
        let config: &Config = checkpoint.config();
        let keep = checkpoint.facts().parameters.saturating_mul(4) <= bytes;
        let product = |names: Vec<String>| Product::new(checkpoint, names, keep);
        let layer = |index: usize| -> Result<Layer, ComputeError> {
            let name = |part: &str| format!("blk.{index}.{part}.weight");
            Ok(Layer {
                attention_norm: vector(checkpoint, &name("attn_norm"))?,
                qkv: product(vec![name("attn_q"), name("attn_k"), name("attn_v")])?,
                output: product(vec![name("attn_output")])?,
                feed_forward_norm: vector(checkpoint, &name("ffn_norm"))?,
                gate_up: product(vec![name("ffn_gate"), name("ffn_up")])?,
                down: product(vec![name("ffn_down")])?,
            })
        };
        let head = if checkpoint.has("output.weight") { "output.weight" } else { "token_embd.weight" };
        Ok(Self {
            width: config.width,
            feed_forward: config.feed_forward,
            vocabulary: config.vocabulary,
            epsilon: config.norm_epsilon,
            heads: Heads { queries: config.heads, keys: config.kv_heads, size: config.head_size },
            rope: Rope::new(&config.rope, config.context),
            embedding: keep.then(|| vector(checkpoint, "token_embd.weight")).transpose()?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            norm: vector(checkpoint, "output_norm.weight")?,
            head: product(vec![head.into()])?,
            arch: Arch::new(),
            checkpoint: Arc::clone(checkpoint),
        })
    }

    /// Length of a row of logits.
    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The vector instructions in use.
    pub(super) fn arch(&self) -> Arch {
        self.arch
    }

    /// An empty cache with so many lasting pages.
    pub(super) fn cache(&self, pages: usize) -> Cache {
        Cache::new(self.heads, self.layers.len(), pages)
    }

    /// Bytes that a lasting page takes in all layers.
    pub(super) fn page_bytes(&self) -> usize {
        self.layers.len() * 2 * size_of::<f32>() * self.heads.page()
    }

    /// Runs the layers over the pass's new rows and returns the normalized final states of the wanted ones,
    /// `[wanted, width]`.
    pub(super) fn states(&self, pass: &Pass, cache: &mut Cache) -> Result<Vec<f32>, ComputeError> {
        if pass.wanted.is_empty() {
            return Ok(Vec::new());
        }
        let attention_width = self.heads.queries * self.heads.size;
        let mut x = self.embed(&pass.tokens)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let wanted = (index + 1 == self.layers.len()).then_some(&pass.wanted[..]);
            let mut store = cache.layer(index);
            let qkv = layer.qkv.apply(&self.normed(&x, &layer.attention_norm), self.width)?;
            self.remember(pass, &qkv, &mut store);
            let q = self.queries(pass, &qkv);
            drop(qkv);
            let attention = Attention { heads: self.heads, queries: &q, blocks: &pass.blocks, layer: &store, wanted };
            let mut attended = attention.run(self.arch);
            if let Some(wanted) = wanted {
                attended = gather(&attended, wanted, attention_width);
                x = gather(&x, wanted, self.width);
            }
            self.add(&mut x, &layer.output.apply(&attended, attention_width)?);
            let gate_up = layer.gate_up.apply(&self.normed(&x, &layer.feed_forward_norm), self.width)?;
            let activated = self.activated(&gate_up, x.len() / self.width);
            self.add(&mut x, &layer.down.apply(&activated, self.feed_forward)?);
        }
        Ok(self.normed(&x, &self.norm))
    }

    /// Logits of final states, in blocks of rows: `take` gets the number of the first row and `[rows, vocabulary]`.
    pub(super) fn logits(&self, states: &[f32], mut take: impl FnMut(usize, &[f32])) -> Result<(), ComputeError> {
        let rows = (LOGITS / self.vocabulary).max(2);
        for (index, block) in states.chunks(rows * self.width).enumerate() {
            take(index * rows, &self.head.apply(block, self.width)?);
        }
        Ok(())
    }

    /// Rows of the embedding.
    fn embed(&self, tokens: &[u32]) -> Result<Vec<f32>, ComputeError> {
        let read;
        let table = if let Some(kept) = &self.embedding {
            kept
        } else {
            read = vector(&self.checkpoint, "token_embd.weight")?;
            &read
        };
        Ok(gather(table, tokens, self.width))
    }

    /// RMS norm of every row.
    fn normed(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(ROWS * self.width).zip(x.par_chunks(ROWS * self.width)).for_each(|(out, x)| {
            vectorized(
                self.arch,
                #[inline(always)]
                || {
                    for (out, x) in out.chunks_exact_mut(self.width).zip(x.chunks_exact(self.width)) {
                        lanes::rms_norm(x, weight, self.epsilon, out);
                    }
                },
            );
        });
        out
    }

    /// Adds `y` to `x`.
    fn add(&self, x: &mut [f32], y: &[f32]) {
        x.par_chunks_mut(ROWS * self.width).zip(y.par_chunks(ROWS * self.width)).for_each(|(x, y)| {
            vectorized(
                self.arch,
                #[inline(always)]
                || lanes::add(x, y),
            );
        });
    }

    /// `SwiGLU` of every row.
    fn activated(&self, gate_up: &[f32], rows: usize) -> Vec<f32> {
        let width = self.feed_forward;
        let mut out = vec![0.0; rows * width];
        out.par_chunks_mut(ROWS * width).zip(gate_up.par_chunks(ROWS * 2 * width)).for_each(|(out, gate_up)| {
            vectorized(
                self.arch,
                #[inline(always)]
                || {
                    for (out, gate_up) in out.chunks_exact_mut(width).zip(gate_up.chunks_exact(2 * width)) {
                        lanes::swiglu(gate_up, out);
                    }
                },
            );
        });
        out
    }

    /// The pass's queries, turned to their positions: `[rows, query heads · size]`.
    fn queries(&self, pass: &Pass, qkv: &[f32]) -> Vec<f32> {
        let Heads { queries, keys, size } = self.heads;
        let (width, stride) = (queries * size, (queries + 2 * keys) * size);
        let mut out = vec![0.0; pass.tokens.len() * width];
        let rows = out.par_chunks_mut(ROWS * width).zip(qkv.par_chunks(ROWS * stride)).zip(pass.positions.par_chunks(ROWS));
        rows.for_each(|((out, qkv), positions)| {
            vectorized(
                self.arch,
                #[inline(always)]
                || {
                    for ((out, qkv), &position) in out.chunks_exact_mut(width).zip(qkv.chunks_exact(stride)).zip(positions) {
                        for (out, head) in out.chunks_exact_mut(size).zip(qkv.chunks_exact(size)) {
                            self.rope.turn(position as usize, head, out);
                        }
                    }
                },
            );
        });
        out
    }

    /// Writes the pass's keys, turned to their positions, and its values to their pages.
    fn remember(&self, pass: &Pass, qkv: &[f32], store: &mut LayerCache<'_>) {
        store.open(&pass.writes).into_par_iter().with_min_len(4).for_each(|page| {
            vectorized(
                self.arch,
                #[inline(always)]
                || self.fill(page, (&pass.positions, qkv)),
            );
        });
    }

    /// One page of [`Self::remember`].
    #[inline(always)]
    fn fill(&self, page: Open<'_>, (positions, qkv): (&[u32], &[f32])) {
        let Open { write, keys: page_keys, values: page_values } = page;
        let Heads { queries, keys, size } = self.heads;
        let (stride, padded) = ((queries + 2 * keys) * size, self.heads.padded());
        let mut turned = vec![0.0; size];
        for (row, lane) in (write.row..write.row + write.count).zip(write.lane..) {
            let (key_rows, value_rows) = qkv[row * stride..(row + 1) * stride][queries * size..].split_at(keys * size);
            for head in 0..keys {
                self.rope.turn(positions[row] as usize, &key_rows[head * size..][..size], &mut turned);
                let area = &mut page_keys[head * padded * PAGE..][..padded * PAGE];
                for (slots, &x) in area.chunks_exact_mut(PAGE).zip(&turned) {
                    slots[lane] = x;
                }
                let area = &mut page_values[head * padded * PAGE..][..padded * PAGE];
                area[lane * padded..][..size].copy_from_slice(&value_rows[head * size..][..size]);
            }
        }
    }
}

/// A tensor's numbers, row-major.
fn vector(checkpoint: &Checkpoint, name: &str) -> Result<Vec<f32>, ComputeError> {
    let tensor = checkpoint.tensor(name).map_err(|error| ComputeError::Weights(error.to_string()))?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// The rows with these numbers, in their order.
fn gather(table: &[f32], rows: &[u32], width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        out.extend_from_slice(&table[row as usize * width..][..width]);
    }
    out
}
