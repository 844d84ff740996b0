//! Asking a run to stop: once to finish what is under way, twice to stop at once.

use tokio::sync::watch;

/// How urgently a run should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Drain,
    Now,
}

/// The asking side, kept by whoever listens to signals.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<Urgency>);

/// The listening side, kept by the run. Dropping the handle never stops a run.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Urgency>);

/// A pair of asking and listening side; nobody has asked yet.
#[must_use]
pub fn stop() -> (StopHandle, Stop) {
    let (sender, receiver) = watch::channel(Urgency::None);
    (StopHandle(sender), Stop(receiver))
}

impl StopHandle {
    /// Asks the run to end: the first time after the batches under way, from the second time on at once.
    pub fn ask(&self) {
        self.0.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None { Urgency::Drain } else { Urgency::Now };
        });
    }
}

impl Stop {
    /// Whether anybody has asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        *self.0.borrow() >= Urgency::Drain
    }

    /// Ends when somebody has asked.
    pub async fn drain(&self) {
        self.reaches(Urgency::Drain).await;
    }

    /// Ends when somebody has asked twice.
    pub async fn at_once(&self) {
        self.reaches(Urgency::Now).await;
    }

    async fn reaches(&self, level: Urgency) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|urgency| *urgency >= level).await.is_err() {
            // The handle is gone, so nobody will ever ask.
            std::future::pending::<()>().await;
        }
    }
}
