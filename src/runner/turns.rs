//! Subjects that share this machine's threads: they take turns, batch by batch, so that its drift hits all alike.

use std::sync::Arc;

use super::documents::Documents;
use super::stage::{Gone, Stage, Turn};
use crate::domain::RequestKind;

/// Has the seats answer everything that is open, in turns, until done or asked to stop.
///
/// Each batch goes to every seat before the next batch begins, pass by pass, in the order of [`in_turn`]: a linear drift of
/// the machine's speed falls on all of them equally. Documents that are laid
/// side by side go before, the canary first.
pub(super) async fn take_turns(stage: Arc<Stage>, seats: Vec<usize>) -> Result<(), Gone> {
    let mut batches = 0_usize;
    for task in 0..stage.work.plan.tasks.len() {
        let repeats: Vec<(usize, u32)> = seats.iter().map(|&seat| (seat, stage.work.repeats(seat, task))).collect();
        let passes = repeats.iter().flat_map(|&(seat, repeats)| (0..repeats).map(move |pass| (seat, pass)));
        let passes: Vec<Turn> = passes.collect();
        let is_open = |&sample: &usize| passes.iter().any(|&turn| stage.is_open(turn, task, sample));
        let rest: Vec<usize> = (0..stage.samples(task).len()).filter(is_open).collect();
        let mut documents = match stage.work.plan.tasks[task].task.kind {
            RequestKind::Perplexity => Documents::shown_by(&stage, &seats),
            _ => None,
        };
        let mut rest = rest.as_slice();
        while !rest.is_empty() && !stage.stop.asked() {
            let room = match &mut documents {
                Some(documents) => documents.fitting(&stage, task, rest).await,
                None => usize::MAX,
            };
            let size = rest.len().min(stage.options.batch).min(room).min(stage.up_to_mark(task, rest)).max(1);
            let (batch, later) = rest.split_at(size);
            rest = later;
            if let Some(documents) = &mut documents {
                documents.walk(&stage, task, batch).await?;
            }
            for turn in in_turn(&repeats, batches) {
                if stage.stop.asked() {
                    return Ok(());
                }
                if documents.as_ref().is_none_or(|documents| !documents.shows(turn.0)) {
                    stage.answer(turn, task, &stage.open(turn, task, batch)).await?;
                }
            }
            batches += 1;
            stage.word(task).await?;
            let end = seats.iter().map(|&seat| stage.ends.after(seat, task)).max().unwrap_or(usize::MAX);
            rest = &rest[..rest.partition_point(|&sample| sample < end)];
        }
    }
    Ok(())
}

/// The turns of a batch: the seats in their order, those with a second pass backwards, those with a third forwards again; on
/// odd batches all of that in reverse. So A and B take turns as A B B A with two passes each, and A's two lie around B's one.
pub(super) fn in_turn(repeats: &[(usize, u32)], batch: usize) -> Vec<Turn> {
    let most = repeats.iter().map(|(_, repeats)| *repeats).max().unwrap_or(0);
    let mut order: Vec<usize> = Vec::new();
    for pass in 0..most {
        let seats = repeats.iter().filter(|(_, repeats)| *repeats > pass).map(|(seat, _)| *seat);
        if pass % 2 == 0 { order.extend(seats) } else { order.extend(seats.rev()) }
    }
    if batch % 2 == 1 {
        order.reverse();
    }
    let before = |at: usize| order[..at].iter().filter(|seat| **seat == order[at]).count() as u32;
    (0..order.len()).map(|at| (order[at], before(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(repeats: [u32; 3], batch: usize) -> String {
        let repeats: Vec<(usize, u32)> = repeats.into_iter().enumerate().collect();
        let turns = in_turn(&repeats, batch).into_iter();
        turns.map(|(seat, pass)| format!("{}{pass}", ["a", "b", "c"][seat])).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn passes_of_a_subject_lie_around_those_of_the_others() {
        assert_eq!(told([1, 1, 1], 0), "a0 b0 c0");
        assert_eq!(told([1, 1, 1], 1), "c0 b0 a0");
        assert_eq!(told([2, 1, 1], 0), "a0 b0 c0 a1");
        assert_eq!(told([2, 1, 1], 1), "a0 c0 b0 a1");
        assert_eq!(told([2, 2, 2], 0), "a0 b0 c0 c1 b1 a1");
        assert_eq!(told([2, 2, 2], 1), "a0 b0 c0 c1 b1 a1");
    }
}
