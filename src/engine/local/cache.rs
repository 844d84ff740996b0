//! Keys and values by pages of sixteen positions: pages that last, in every layer, and pages that serve one pass only.

use super::accelerator::Store;

/// Positions on a page.
pub(super) const PAGE: usize = 16;
/// The number of the first page that serves one pass only; lasting pages have lower numbers.
pub(super) const PASSING: usize = 1 << 40;

/// Part of a sequence's past: the first `len` positions from a page on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its first page; the following pages are its own too. All of them last, or none does.
    pub page: usize,
    /// Number of positions.
    pub len: usize,
}

/// Where the keys and values of new rows go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    /// The page.
    pub page: usize,
    /// The first place on it.
    pub lane: usize,
    /// The first row.
    pub row: usize,
    /// Number of rows.
    pub count: usize,
}

/// Pages in one piece of memory, which takes up room as far as it was written to.
#[derive(Default)]
struct Arena {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Arena {
    /// An arena of so many numbers on keys' pages, and as many on values'.
    fn new(length: usize) -> Self {
        Self { keys: vec![0.0; length], values: vec![0.0; length] }
    }
}

/// The keys and values of one layer.
///
/// A page of keys is `[kv head, dimension, place]`: sixteen keys' values of one dimension lie side by side. A page of
/// values is `[kv head, place, dimension]`, dimensions padded to a multiple of sixteen with zeros.
pub(super) struct LayerCache<'a> {
    page: usize,
    lasting: &'a mut Arena,
    passing: &'a mut Arena,
}

/// A page to write to.
pub(super) struct Open<'a> {
    /// What is written where.
    pub write: Write,
    /// Its keys.
    pub keys: &'a mut [f32],
    /// Its values.
    pub values: &'a mut [f32],
}

impl LayerCache<'_> {
    /// One page of keys.
    #[inline]
    pub(super) fn keys(&self, page: usize) -> &[f32] {
        let (arena, page) = if page < PASSING { (&self.lasting.keys, page) } else { (&self.passing.keys, page - PASSING) };
        &arena[page * self.page..][..self.page]
    }

    /// One page of values.
    #[inline]
    pub(super) fn values(&self, page: usize) -> &[f32] {
        let (arena, page) = if page < PASSING { (&self.lasting.values, page) } else { (&self.passing.values, page - PASSING) };
        &arena[page * self.page..][..self.page]
    }

    /// The pages to write to; the writes are in the order of their pages, at most one a page.
    pub(super) fn open(&mut self, writes: &[Write]) -> Vec<Open<'_>> {
        let lasting = writes.partition_point(|write| write.page < PASSING);
        let mut pages = Vec::with_capacity(writes.len());
        for (writes, arena, base) in
            [(&writes[..lasting], &mut *self.lasting, 0), (&writes[lasting..], &mut *self.passing, PASSING)]
        {
            let (mut keys, mut values, mut next) = (&mut arena.keys[..], &mut arena.values[..], base);
            for &write in writes {
                let skipped = (write.page - next) * self.page;
                let (own_keys, rest_keys) = keys.split_at_mut(skipped + self.page);
                let (own_values, rest_values) = values.split_at_mut(skipped + self.page);
                pages.push(Open { write, keys: &mut own_keys[skipped..], values: &mut own_values[skipped..] });
                (keys, values, next) = (rest_keys, rest_values, write.page + 1);
            }
        }
        pages
    }
}

/// Sizes of heads, as the cache and the attention need them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; divides `queries`.
    pub keys: usize,
    /// Dimensions of a head.
    pub size: usize,
}

impl Heads {
    /// `size` rounded up to whole vectors.
    pub(super) fn padded(self) -> usize {
        self.size.next_multiple_of(PAGE)
    }

    /// Numbers on a page of keys, and as many on a page of values.
    pub(super) fn page(self) -> usize {
        self.keys * PAGE * self.padded()
    }
}

/// The keys and values of an engine.
pub(super) struct Cache {
    heads: Heads,
    lasting: Vec<Arena>,
    /// Every layer writes to the same ones: they are read in the layer that wrote them only.
    passing: Arena,
    /// What takes the place of both on an accelerator.
    store: Option<Store>,
}

impl Cache {
    /// A cache with so many lasting pages in each layer.
    pub(super) fn new(heads: Heads, layers: usize, pages: usize) -> Self {
        let lasting = (0..layers).map(|_| Arena::new(pages * heads.page())).collect();
        Self { heads, lasting, passing: Arena::default(), store: None }
    }

    /// A cache on an accelerator.
    pub(super) fn on(heads: Heads, store: Store) -> Self {
        Self { heads, lasting: Vec::new(), passing: Arena::default(), store: Some(store) }
    }

    /// The keys and values on an accelerator, for the decoder that made them.
    pub(super) fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("a decoder on an accelerator made this cache")
    }

    /// Makes room for so many pages that serve one pass.
    pub(super) fn pass(&mut self, pages: usize) {
        if let Some(store) = &mut self.store {
            return store.pass(pages);
        }
        let length = pages * self.heads.page();
        if self.passing.keys.len() < length {
            // The old one goes first: both together would be more than is needed.
            self.passing = Arena::default();
            self.passing = Arena::new(length);
        }
    }

    /// A layer's keys and values.
    pub(super) fn layer(&mut self, index: usize) -> LayerCache<'_> {
        LayerCache { page: self.heads.page(), lasting: &mut self.lasting[index], passing: &mut self.passing }
    }
}
