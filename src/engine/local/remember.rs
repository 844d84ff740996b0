//! From products to attention: rows of queries, keys and values get their biases, head norms and positions, are rounded, and
//! the keys and values go to their pages.

#![expect(clippy::inline_always, reason = "the whole kernel has to be compiled with the wide instructions of its caller")]

use pulp::Arch;
use rayon::prelude::*;

use super::cache::{Heads, LayerCache, Open, PAGE};
use super::forest::Pass;
use super::lanes::{self, vectorized};
use super::layer::Layer;
use super::rope::Rope;
use super::rounding::Roundings;
use super::rows::ROWS;

/// How every layer makes its queries, keys and values.
pub(super) struct Memory {
    pub heads: Heads,
    pub rope: Rope,
    pub roundings: Roundings,
    /// Of the head norms.
    pub epsilon: f32,
}

impl Memory {
    /// Numbers of a row of queries, keys and values.
    pub(super) fn row(&self) -> usize {
        (self.heads.queries + 2 * self.heads.keys) * self.heads.size
    }

    /// Makes `[rows, queries | keys | values]` ready: biases, head norms, positions, rounding.
    pub(super) fn prepare(&self, arch: Arch, layer: &Layer, positions: &[u32], qkv: &mut [f32]) {
        let width = self.row();
        qkv.par_chunks_mut(ROWS * width).zip(positions.par_chunks(ROWS)).for_each(|(qkv, positions)| {
            vectorized(
                arch,
                #[inline(always)]
                || {
                    for (row, &position) in qkv.chunks_exact_mut(width).zip(positions) {
                        self.ready(layer, position as usize, row);
                    }
                },
            );
        });
    }

    /// One row of [`Self::prepare`].
    #[inline(always)]
    fn ready(&self, layer: &Layer, position: usize, row: &mut [f32]) {
        let Heads { queries, keys, size } = self.heads;
        if let Some(bias) = &layer.bias {
            lanes::add(row, bias);
        }
        let angles = self.rope.angles(position);
        let (q, kv) = row.split_at_mut(queries * size);
        let (k, v) = kv.split_at_mut(keys * size);
        let Roundings { queries: of_queries, keys: of_keys, values: of_values } = self.roundings;
        for (part, (norm, rounding)) in [q, k].into_iter().zip([(0, of_queries), (1, of_keys)]) {
            for head in part.chunks_exact_mut(size) {
                if let Some(norms) = &layer.head_norms {
                    lanes::rms_norm_in_place(head, &norms[norm], self.epsilon);
                }
                self.rope.turn(angles, head);
                rounding.apply(head);
            }
        }
        v.chunks_exact_mut(size).for_each(|head| of_values.apply(head));
    }

    /// Writes the keys and values of ready rows to their pages.
    pub(super) fn remember(&self, pass: &Pass, qkv: &[f32], store: &mut LayerCache<'_>) {
        store.open(&pass.writes).into_par_iter().with_min_len(4).for_each(|page| self.fill(page, qkv));
    }

    /// One page of [`Self::remember`].
    fn fill(&self, page: Open<'_>, qkv: &[f32]) {
        let Open { write, keys: page_keys, values: page_values } = page;
        let Heads { queries, keys, size } = self.heads;
        let (width, area) = (self.row(), self.heads.padded() * PAGE);
        for (row, lane) in (write.row..write.row + write.count).zip(write.lane..) {
            let (k, v) = qkv[row * width..(row + 1) * width][queries * size..].split_at(keys * size);
            for (k, area) in k.chunks_exact(size).zip(page_keys.chunks_exact_mut(area)) {
                for (slots, &x) in area.chunks_exact_mut(PAGE).zip(k) {
                    slots[lane] = x;
                }
            }
            for (v, area) in v.chunks_exact(size).zip(page_values.chunks_exact_mut(area)) {
                area[lane * self.heads.padded()..][..size].copy_from_slice(v);
            }
        }
    }
}
