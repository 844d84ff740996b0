//! A seeded choice of rows that does not depend on their order.

use super::Row;
use crate::domain::Subset;

/// The rows of a subset, in their given order; all of them where it asks for more.
///
/// A row belongs to it by the rank of a hash of seed and id, so re-ordering the file changes nothing, a larger subset
/// of the same seed contains a smaller one, and rows that are added or removed replace only as many others.
pub fn subset<'a>(rows: &[&'a Row], subset: Subset) -> Vec<&'a Row> {
    let mut ranked: Vec<([u8; 32], usize)> = rows.iter().enumerate().map(|(i, row)| (rank(subset.seed, &row.id), i)).collect();
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    ranked.truncate(subset.rows);
    let mut kept: Vec<usize> = ranked.into_iter().map(|(_, i)| i).collect();
    kept.sort_unstable();
    kept.into_iter().map(|i| rows[i]).collect()
}

fn rank(seed: u64, id: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("quantgate dataset subset v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(id.as_bytes());
    *hasher.finalize().as_bytes()
}
