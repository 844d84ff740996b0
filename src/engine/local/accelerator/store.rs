//! Keys and values on a device, by the same pages as in main memory.

use std::ops::Range;

use candle_core::{DType, Device, Result as Computed, Tensor};

use crate::engine::local::cache::{Heads, PAGE, PASSING, Piece, Write};

/// Keys and values, each `[positions, key heads, size]`; none where nothing was written yet.
type Arena = Option<[Tensor; 2]>;

/// The keys and values of an engine.
pub(in crate::engine::local) struct Store {
    device: Device,
    heads: Heads,
    /// One a layer.
    lasting: Vec<Arena>,
    lasting_pages: usize,
    /// Every layer writes to the same one.
    passing: Arena,
    passing_pages: usize,
}

impl Store {
    /// A store with so many lasting pages a layer.
    pub(super) fn new(device: Device, heads: Heads, layers: usize, pages: usize) -> Self {
        let lasting = (0..layers).map(|_| None).collect();
        Self { device, heads, lasting, lasting_pages: pages, passing: None, passing_pages: 0 }
    }

    /// Makes room for so many pages that serve one pass.
    pub(in crate::engine::local) fn pass(&mut self, pages: usize) {
        if self.passing_pages < pages {
            (self.passing, self.passing_pages) = (None, pages);
        }
    }

    /// Writes a pass's keys and values of one layer, each `[rows, key heads, size]`.
    pub(super) fn write(&mut self, layer: usize, writes: &[Write], keys: &Tensor, values: &Tensor) -> Computed<()> {
        let mut rest = writes;
        while let Some((first, others)) = rest.split_first() {
            let (mut count, mut after) = (first.count, others);
            // Whole pages one behind the other are written at once.
            while let Some(next) = after.first() {
                let follows = first.lane + count == (next.page - first.page) * PAGE && next.lane == 0;
                if !follows || next.row != first.row + count {
                    break;
                }
                count += next.count;
                after = &after[1..];
            }
            rest = after;
            let (arena, page) = self.arena(layer, first.page)?;
            for (arena, rows) in arena.iter().zip([keys, values]) {
                let rows = rows.narrow(0, first.row, count)?.contiguous()?;
                arena.slice_set(&rows, 0, page * PAGE + first.lane)?;
            }
        }
        Ok(())
    }

    /// The arena with a page, made where it is needed first, and the page's number in it.
    fn arena(&mut self, layer: usize, page: usize) -> Computed<(&[Tensor; 2], usize)> {
        let (arena, pages, page) = if page < PASSING {
            (&mut self.lasting[layer], self.lasting_pages, page)
        } else {
            (&mut self.passing, self.passing_pages, page - PASSING)
        };
        if arena.is_none() {
            let shape = (pages * PAGE, self.heads.keys, self.heads.size);
            let zeros = || Tensor::zeros(shape, DType::F32, &self.device);
            *arena = Some([zeros()?, zeros()?]);
        }
        let arena = arena.as_ref().expect("it was just made");
        Ok((arena, page))
    }

    /// The keys and values at some positions of a past made of pieces.
    pub(super) fn read(&self, layer: usize, pieces: &[Piece], seen: Range<usize>) -> Computed<[Tensor; 2]> {
        let (mut keys, mut values, mut start) = (Vec::new(), Vec::new(), 0);
        for piece in pieces {
            let (from, until) = (seen.start.max(start), seen.end.min(start + piece.len));
            if from < until {
                let (arena, page) =
                    if piece.page < PASSING { (&self.lasting[layer], piece.page) } else { (&self.passing, piece.page - PASSING) };
                let Some([k, v]) = arena else { candle_core::bail!("keys are read before any was written") };
                let (at, count) = (page * PAGE + from - start, until - from);
                keys.push(k.narrow(0, at, count)?);
                values.push(v.narrow(0, at, count)?);
            }
            start += piece.len;
        }
        Ok([Tensor::cat(&keys, 0)?, Tensor::cat(&values, 0)?])
    }
}
