//! Subjects with a machine of their own: many requests under way at once, each by itself.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::stage::{Gone, Stage};

/// Asks a seat everything that is open, with up to `width` requests under way, until done or asked to stop. Where samples
/// are asked more than once, a batch of them is asked pass by pass, so that the passes are near each other but not one.
pub(super) async fn go_alone(stage: Arc<Stage>, seat: usize, width: usize) -> Result<(), JoinError> {
    let mut under_way: JoinSet<Result<(), Gone>> = JoinSet::new();
    for task in 0..stage.work.plan.tasks.len() {
        let samples = stage.samples(task).len();
        let size = stage.options.batch.max(1);
        for first in (0..samples).step_by(size) {
            if stage.word(task).await.is_err() {
                return Ok(());
            }
            let batch = first..samples.min(first + size);
            let passes = 0..stage.work.repeats(seat, task);
            for (pass, sample) in passes.flat_map(|pass| batch.clone().map(move |sample| (pass, sample))) {
                if !stage.is_open((seat, pass), task, sample) {
                    continue;
                }
                while under_way.len() >= width.max(1) {
                    // The set is not empty here, so there is always one to wait for.
                    if let Some(ended) = under_way.join_next().await
                        && ended?.is_err()
                    {
                        return Ok(());
                    }
                }
                if stage.stop.asked() {
                    return finish(under_way).await;
                }
                // What was waited for may have settled it.
                if sample >= stage.ends.after(seat, task) {
                    break;
                }
                let stage = Arc::clone(&stage);
                under_way.spawn(async move { stage.answer((seat, pass), task, &[sample]).await });
            }
        }
    }
    finish(under_way).await
}

/// Waits for the requests under way.
async fn finish(mut under_way: JoinSet<Result<(), Gone>>) -> Result<(), JoinError> {
    while let Some(ended) = under_way.join_next().await {
        if ended?.is_err() {
            break;
        }
    }
    Ok(())
}
