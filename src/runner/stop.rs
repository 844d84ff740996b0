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
pub struct Stop {
    asked: watch::Receiver<Urgency>,
    /// What the run asks of its own workers.
    own: Option<watch::Receiver<Urgency>>,
}

/// A pair of asking and listening side; nobody has asked yet.
#[must_use]
pub fn stop() -> (StopHandle, Stop) {
    let (sender, receiver) = watch::channel(Urgency::None);
    (StopHandle(sender), Stop { asked: receiver, own: None })
}

impl StopHandle {
    /// Asks the run to end: the first time after the batches under way, from the second time on at once.
    pub fn ask(&self) {
        self.0.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None { Urgency::Drain } else { Urgency::Now };
        });
    }

    /// Asks the run to end after what is under way, however often it is asked that.
    pub(super) fn drain(&self) {
        // Those who listen later see it, too.
        self.0.send_if_modified(|urgency| {
            let is_new = *urgency < Urgency::Drain;
            *urgency = (*urgency).max(Urgency::Drain);
            is_new
        });
    }

    /// Asks the run to end at once.
    pub(super) fn at_once(&self) {
        self.0.send_replace(Urgency::Now);
    }
}

impl Stop {
    /// One that listens to another asking side as well.
    pub(super) fn or(self, own: &StopHandle) -> Self {
        Self { own: Some(own.0.subscribe()), ..self }
    }

    /// Whether anybody has asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        let asked = |receiver: &watch::Receiver<Urgency>| *receiver.borrow() >= Urgency::Drain;
        asked(&self.asked) || self.own.as_ref().is_some_and(asked)
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
        match &self.own {
            None => reaches(&self.asked, level).await,
            Some(own) => tokio::select! {
                () = reaches(&self.asked, level) => {}
                () = reaches(own, level) => {}
            },
        }
    }
}

async fn reaches(receiver: &watch::Receiver<Urgency>, level: Urgency) {
    let mut receiver = receiver.clone();
    if receiver.wait_for(|urgency| *urgency >= level).await.is_err() {
        // The handle is gone, so nobody will ever ask.
        std::future::pending::<()>().await;
    }
}
