//! Subjects that take all requests of a task as one job.

use std::sync::Arc;

use crate::runner::stage::{Gone, Stage};

/// Hands a seat whole tasks, one job at a time, until done or asked to stop.
pub(in crate::runner) async fn hand_in(stage: Arc<Stage>, seat: usize) -> Result<(), Gone> {
    for task in 0..stage.work.plan.tasks.len() {
        let samples: Vec<usize> = (0..stage.samples(task).len()).collect();
        for pass in 0..stage.work.repeats(seat, task) {
            if stage.stop.asked() {
                return Ok(());
            }
            let open = stage.open((seat, pass), task, &samples);
            stage.answer((seat, pass), task, &open).await?;
        }
    }
    Ok(())
}
