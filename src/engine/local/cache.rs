//! Keys and values by pages of sixteen positions, a page belonging to one unbranched run of tokens.

/// Positions on a page.
pub(super) const PAGE: usize = 16;

/// Part of a sequence's past: the first `len` positions from a page on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its first page; the following pages are its own too.
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

/// The keys and values of one layer.
#[derive(Default)]
pub(super) struct LayerCache {
    /// `[page, kv head, dimension, place]`: sixteen keys' values of one dimension lie side by side.
    pub keys: Vec<f32>,
    /// `[page, kv head, place, dimension]`, dimensions padded to a multiple of sixteen with zeros.
    pub values: Vec<f32>,
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

/// The keys and values of a batch.
pub(super) struct Cache {
    heads: Heads,
    layers: Vec<LayerCache>,
    pages: usize,
}

impl Cache {
    /// An empty cache; `kept` is the number of layers whose keys outlive the pass (1 where no further pass follows).
    pub(super) fn new(heads: Heads, kept: usize) -> Self {
        Self { heads, layers: (0..kept.max(1)).map(|_| LayerCache::default()).collect(), pages: 0 }
    }

    /// Adds pages and returns the first.
    pub(super) fn allocate(&mut self, pages: usize) -> usize {
        let first = self.pages;
        self.pages += pages;
        first
    }

    /// A layer's keys and values, with room for every page.
    pub(super) fn layer(&mut self, index: usize) -> &mut LayerCache {
        let slot = index % self.layers.len();
        let layer = &mut self.layers[slot];
        let length = self.pages * self.heads.page();
        layer.keys.resize(length, 0.0);
        layer.values.resize(length, 0.0);
        layer
    }
}
