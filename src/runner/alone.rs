//! Subjects with a machine of their own: many requests under way at once, each by itself.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::stage::{Gone, Stage};

/// Asks a seat everything that is open, with up to `width` requests under way, until done or asked to stop.
pub(super) async fn go_alone(stage: Arc<Stage>, seat: usize, width: usize) -> Result<(), JoinError> {
    let mut under_way: JoinSet<Result<(), Gone>> = JoinSet::new();
    for task in 0..stage.work.plan.tasks.len() {
        for sample in 0..stage.samples(task).len() {
            if !stage.is_open(seat, task, sample) {
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
            let stage = Arc::clone(&stage);
            under_way.spawn(async move { stage.answer(seat, task, &[sample]).await });
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
