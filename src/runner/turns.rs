//! Subjects that share this machine's threads: they take turns, batch by batch, so that its drift hits all alike.

use std::sync::Arc;

use super::documents::Documents;
use super::stage::{Gone, Stage};
use crate::domain::RequestKind;

/// Has the seats answer everything that is open, in turns, until done or asked to stop.
///
/// Each batch goes to every seat before the next batch begins, in the order A B C, then C B A, and so on: a linear drift
/// of the machine's speed falls on all of them equally. Where documents are laid side by side, the canary is always first.
pub(super) async fn take_turns(stage: Arc<Stage>, seats: Vec<usize>) -> Result<(), Gone> {
    let mut turn = 0_usize;
    for task in 0..stage.work.plan.tasks.len() {
        let open = |&sample: &usize| seats.iter().any(|&seat| stage.is_open(seat, task, sample));
        let rest: Vec<usize> = (0..stage.samples(task).len()).filter(open).collect();
        let mut documents = match stage.work.plan.tasks[task].task.kind {
            RequestKind::Perplexity => Documents::shown_by(&stage, &seats),
            _ => None,
        };
        let mut rest = rest.as_slice();
        while !rest.is_empty() && !stage.stop.asked() {
            let room = documents.as_ref().map_or(usize::MAX, |documents| documents.fitting(&stage, task, rest));
            let (batch, later) = rest.split_at(rest.len().min(stage.options.batch).min(room).max(1));
            rest = later;
            if let Some(documents) = &mut documents {
                documents.canary(&stage, task, batch).await?;
            }
            for seat in in_turn(&seats, turn) {
                if stage.stop.asked() {
                    return Ok(());
                }
                match &documents {
                    Some(documents) if documents.shows(seat) => documents.variant(&stage, seat, task, batch).await?,
                    _ => stage.answer(seat, task, &stage.open(seat, task, batch)).await?,
                }
            }
            turn += 1;
        }
    }
    Ok(())
}

/// The seats in the order of a turn: forwards on even ones, backwards on odd ones.
fn in_turn(seats: &[usize], turn: usize) -> Vec<usize> {
    let mut order = seats.to_vec();
    if turn % 2 == 1 {
        order.reverse();
    }
    order
}
