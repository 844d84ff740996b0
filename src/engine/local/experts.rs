//! Mixtures of experts: which of them a row takes, and their outputs added up in one order.
//!
//! Only chosen experts are computed, each over all its rows at once. A row's experts are added in the order of their
//! numbers, so that the row's result never depends on which rows it is computed with.

use pulp::Arch;

use super::lanes::{self, vectorized};
use super::product::ComputeError;
use super::rows;

/// The rows that one expert gets, ascending, and what its output for each is multiplied with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Share {
    pub rows: Vec<u32>,
    pub factors: Vec<f32>,
}

/// Deals rows out to experts by `[rows, experts]` logits: each goes to the `used` likeliest, the first of equals first,
/// weighted by a softmax over those alone. A softmax over all of them, cut and made to sum to one, is the same.
pub(super) fn route(logits: &[f32], experts: usize, used: usize) -> Vec<Share> {
    let mut shares = vec![Share::default(); experts];
    let mut chosen = Vec::with_capacity(used);
    for (row, logits) in logits.chunks_exact(experts).enumerate() {
        chosen.clear();
        for _ in 0..used.clamp(1, experts) {
            let rest = (0..experts).filter(|expert| !chosen.contains(expert));
            chosen.extend(rest.reduce(|best, expert| if logits[expert] > logits[best] { expert } else { best }));
        }
        let most = logits[chosen[0]];
        chosen.sort_unstable();
        let total: f32 = chosen.iter().map(|&expert| lanes::exp(logits[expert] - most)).sum();
        for &expert in &chosen {
            shares[expert].rows.push(row as u32);
            shares[expert].factors.push(lanes::exp(logits[expert] - most) / total);
        }
    }
    shares
}

/// The weighted sum of every row's experts; `apply` computes one expert's output for the rows it is given, `[n, width]`.
pub(super) fn mix(
    arch: Arch,
    (x, width): (&[f32], usize),
    shares: &[Share],
    apply: impl Fn(usize, &[f32]) -> Result<Vec<f32>, ComputeError>,
) -> Result<Vec<f32>, ComputeError> {
    let mut out = vec![0.0; x.len()];
    for (expert, share) in shares.iter().enumerate().filter(|(_, share)| !share.rows.is_empty()) {
        let found = apply(expert, &rows::gather(x, &share.rows, width))?;
        vectorized(
            arch,
            #[inline(always)]
            || {
                for ((&row, &factor), found) in share.rows.iter().zip(&share.factors).zip(found.chunks_exact(width)) {
                    lanes::add_scaled(&mut out[row as usize * width..][..width], found, factor);
                }
            },
        );
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_goes_to_its_likeliest_experts_the_first_of_equals_first() {
        let logits = [0.0, 2.0_f32.ln(), 2.0_f32.ln(), 2.0_f32.ln(), 5.0, -1.0, 5.0 - 3.0_f32.ln(), -2.0];
        let shares = route(&logits, 4, 2);
        let rows: Vec<&[u32]> = shares.iter().map(|share| &share.rows[..]).collect();
        assert_eq!(rows, [&[1][..], &[0], &[0, 1], &[]]);
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
        near(shares[1].factors[0], 0.5);
        near(shares[2].factors[0], 0.5);
        near(shares[0].factors[0], 0.75);
        near(shares[2].factors[1], 0.25);
    }

    #[test]
    fn experts_that_no_row_takes_are_not_computed_and_the_others_add_up() {
        let shares = route(&[3.0, 1.0, 0.0, 1.0, 1.0, 0.0], 3, 1);
        let out = mix(Arch::new(), (&[1.0, 2.0, 3.0, 4.0], 2), &shares, |expert, x| {
            assert_eq!(expert, 0, "both rows take the first");
            Ok(x.iter().map(|x| x * 10.0).collect())
        });
        assert_eq!(out.expect("nothing fails"), [10.0, 20.0, 30.0, 40.0]);
    }
}
