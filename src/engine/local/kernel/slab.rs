//! Columns of one matrix of results, written by several threads at a time.
#![expect(unsafe_code, reason = "columns are not contiguous, so that slices cannot divide them")]

use std::marker::PhantomData;
use std::ops::Range;

/// Some columns of a row-major matrix, for one writer.
pub(in crate::engine::local) struct Slab<'a> {
    start: *mut f32,
    rows: usize,
    stride: usize,
    columns: Range<usize>,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: a slab writes nothing but its own columns, which no other slab has.
unsafe impl Send for Slab<'_> {}

impl<'a> Slab<'a> {
    /// Divides `[rows, stride]` at ascending columns: from each bound to the next one.
    ///
    /// # Panics
    /// Where the bounds don't ascend or leave the matrix.
    pub(in crate::engine::local) fn divide(matrix: &'a mut [f32], stride: usize, bounds: &[usize]) -> Vec<Self> {
        assert!(bounds.is_sorted() && bounds.last().is_none_or(|&last| last <= stride), "bounds ascend");
        let (start, rows) = (matrix.as_mut_ptr(), matrix.len() / stride.max(1));
        let slab = |pair: &[usize]| Self { start, rows, stride, columns: pair[0]..pair[1], matrix: PhantomData };
        bounds.windows(2).map(slab).collect()
    }

    /// Writes some of a row's columns.
    ///
    /// # Panics
    /// Where they are not all this slab's.
    pub(super) fn put(&mut self, row: usize, column: usize, values: &[f32]) {
        assert!(row < self.rows && column >= self.columns.start && column + values.len() <= self.columns.end, "its own");
        // SAFETY: the place lies in the matrix, which is borrowed exclusively for as long as its slabs live, and in this
        // slab's columns, which no other slab has.
        let place = unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride + column), values.len()) };
        place.copy_from_slice(values);
    }
}
