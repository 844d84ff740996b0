//! Why a run could not begin or had to end.

use crate::domain::{Digest, SubjectName, TaskName};
use crate::event::SinkError;

/// A run that could not begin, or ended before all units did.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Seats or scorers are not those of the plan: a fault of the program.
    #[error("the run was set up for another plan: {what}")]
    Setup {
        /// What does not agree.
        what: String,
    },
    /// A subject's engine cannot do what a task asks.
    #[error("subject `{subject}` cannot do task `{task}`: its engine has no {missing}")]
    Unable {
        /// Who.
        subject: SubjectName,
        /// Which task.
        task: TaskName,
        /// What the engine lacks.
        missing: &'static str,
    },
    /// A variant has another vocabulary than the canary.
    #[error("variant `{variant}` has another vocabulary ({found}) than the canary ({canary}): their answers cannot be compared")]
    OtherVocabulary {
        /// Which.
        variant: SubjectName,
        /// Its vocabulary.
        found: Digest,
        /// The canary's.
        canary: Digest,
    },
    /// A variant has another chat template than the canary, and a task needs one.
    #[error("variant `{variant}` has another chat template ({found}) than the canary ({canary}), which task `{task}` uses")]
    OtherTemplate {
        /// Which.
        variant: SubjectName,
        /// The first task that needs the template.
        task: TaskName,
        /// Its template.
        found: Digest,
        /// The canary's.
        canary: Digest,
    },
    /// A prompt would reach canary and variant in two forms.
    #[error(
        "variant `{variant}` and the canary would be asked task `{task}` in two forms: `{continues}` continues a prompt as it \
         is, `{wraps}` gets it as one message of a user"
    )]
    OtherForm {
        /// The variant.
        variant: SubjectName,
        /// The first task of raw prompts.
        task: TaskName,
        /// Who continues it.
        continues: SubjectName,
        /// Who gets a message.
        wraps: SubjectName,
    },
    /// A subject is not what it was when the run began.
    #[error("subject `{subject}` is not what it was when the run began: its {what} changed from {before} to {now}")]
    OtherSubject {
        /// Who.
        subject: SubjectName,
        /// Which of its properties changed.
        what: String,
        /// What it was.
        before: String,
        /// What it is.
        now: String,
    },
    /// A sink could not keep an event.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// An endpoint answered nothing for too long; what others answered is kept.
    #[error("{endpoint} answered nothing for {minutes:.0} minutes, and {left} units are still to be asked: {what}")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// For how long.
        minutes: f64,
        /// Units that have not ended.
        left: usize,
        /// What the last failure said.
        what: String,
    },
    /// An endpoint lets nobody in; what others answered is kept.
    #[error("{endpoint} lets nothing through any more, and {left} units are still to be asked: {what}")]
    Barred {
        /// The endpoint.
        endpoint: String,
        /// Units that have not ended.
        left: usize,
        /// What the last failure said.
        what: String,
    },
    /// A worker panicked: a fault of the program.
    #[error("a worker of the run failed: {what}")]
    Worker {
        /// What it said.
        what: String,
    },
}

impl RunError {
    /// The documented exit code: 4 for a comparison that would not be fair, 2 for what the plan could avoid, 130 for a run
    /// that can go on, else 70.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::OtherVocabulary { .. } | Self::OtherTemplate { .. } | Self::OtherForm { .. } => 4,
            Self::Unable { .. } | Self::OtherSubject { .. } => 2,
            Self::Unreachable { .. } | Self::Barred { .. } => 130,
            Self::Setup { .. } | Self::Sink(_) | Self::Worker { .. } => 70,
        }
    }

    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unable { .. } => Some(
                "set the task aside in the plan with `skip`, have it asked as text with `as_text`, or use an engine that can do it",
            ),
            Self::OtherVocabulary { .. } => {
                Some("make the variant from the same model, or name the canary's tokenizer.json with its `tokenizer` key")
            }
            Self::OtherTemplate { .. } => Some("give both the same chat template, or leave chat and tools tasks out"),
            Self::OtherForm { .. } => {
                Some("ask both through APIs that continue prompts, or through chat APIs, or make the task one of chat")
            }
            Self::OtherSubject { .. } => Some("start a new run, or restore the model that the run began with"),
            Self::Unreachable { .. } => {
                Some("see that it is up and can be reached; `quantgate run --resume` goes on with what is left")
            }
            Self::Barred { .. } => {
                Some("mend what it says; `quantgate run --resume` goes on with what is left, and starts a server that has ended")
            }
            Self::Worker { .. } => Some("`quantgate run --resume` goes on; please report the message"),
            Self::Setup { .. } | Self::Sink(_) => None,
        }
    }
}
