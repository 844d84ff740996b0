//! Documents cut into blocks of rows, and what was read of their passages laid end to end again.

use std::ops::Range;

use super::ask::Word;
use crate::domain::{Answer, Certainty, TokenDivergence, TokenShape};

/// Which rows of which samples are in memory together.
pub(super) type Block = Vec<(usize, Range<usize>)>;

/// Cuts samples with so many rows each into blocks of at most `room` rows. A sample's last passage is open at its end, so that
/// a subject that reads the document as more tokens is seen to do so.
pub(super) fn blocks(sizes: impl Iterator<Item = (usize, usize)>, room: usize) -> Vec<Block> {
    let mut blocks = vec![Block::new()];
    let mut left = room;
    for (sample, rows) in sizes {
        let mut start = 0;
        loop {
            if left == 0 {
                blocks.push(Block::new());
                left = room;
            }
            let end = rows.min(start + left);
            let block = blocks.last_mut().expect("there is one from the start");
            if end == rows {
                block.push((sample, start..usize::MAX));
                left -= end - start;
                break;
            }
            block.push((sample, start..end));
            (start, left) = (end, 0);
        }
    }
    blocks
}

/// What was read of a document so far with what was read of its next passage; the first failure stays. Where one of them has
/// nothing to be laid beside, the whole has not.
pub(super) fn join(whole: Word<Answer>, next: Word<Answer>) -> Word<Answer> {
    let (whole, next) = match (whole?, next?) {
        (Ok(whole), Ok(next)) => (whole, next),
        (Err(failure), _) | (_, Err(failure)) => return Some(Err(failure)),
    };
    let (
        Answer::Rolling { mut nll, bytes, divergence, mut top },
        Answer::Rolling { nll: more, divergence: apart, top: likeliest, .. },
    ) = (whole, next)
    else {
        unreachable!("documents are answered by their tokens' likelihoods")
    };
    nll.extend(more);
    top.extend(likeliest);
    let divergence = divergence.zip(apart).map(|(mut divergence, apart)| {
        append(&mut divergence, apart);
        divergence
    });
    Some(Ok(Answer::Rolling { nll, bytes, divergence, top }))
}

fn append(whole: &mut TokenDivergence, next: TokenDivergence) {
    let TokenDivergence { canary_nll, kld, delta_p, same_top, shape } = next;
    whole.canary_nll.extend(canary_nll);
    whole.kld.extend(kld);
    whole.delta_p.extend(delta_p);
    whole.same_top.extend(same_top);
    whole.shape = whole.shape.take().zip(shape).map(|(mut whole, next)| {
        let TokenShape { top5, canary, variant } = *next;
        whole.top5.extend(top5);
        for (whole, Certainty { entropy, confidence, right }) in [(&mut whole.canary, canary), (&mut whole.variant, variant)] {
            whole.entropy.extend(entropy);
            whole.confidence.extend(confidence);
            whole.right.extend(right);
        }
        whole
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_hold_every_row_once_in_order_and_none_is_larger_than_the_room(
            sizes in proptest::collection::vec(0_usize..40, 1..12),
            room in 1_usize..30,
        ) {
            let cut = blocks(sizes.iter().copied().enumerate(), room);
            let mut seen: Vec<usize> = vec![0; sizes.len()];
            let mut open = vec![false; sizes.len()];
            for block in &cut {
                let mut rows = 0;
                for (sample, range) in block {
                    prop_assert_eq!(range.start, seen[*sample]);
                    let end = if range.end == usize::MAX { sizes[*sample] } else { range.end };
                    open[*sample] = range.end == usize::MAX;
                    rows += end - range.start;
                    seen[*sample] = end;
                }
                prop_assert!(rows <= room, "{} rows in a room of {}", rows, room);
            }
            prop_assert_eq!(seen, sizes);
            prop_assert!(open.iter().all(|open| *open), "every last passage is open at its end");
        }
    }
}
