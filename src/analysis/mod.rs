//! Events to comparisons: fold a journal, pair the answers item by item, compare each variant with the canary.
//!
//! Nothing here depends on the order in which units ended, so concurrency cannot change a result, and times enter nothing
//! but the comparison of times: they are kept apart in [`Timing`].

mod amounts;
mod comparisons;
mod distribution;
#[cfg(test)]
pub(crate) mod endpoints;
#[cfg(test)]
pub(crate) mod fixture;
mod fold;
mod latency;
mod noise;
mod pace;
mod pairs;
mod sheet;
#[cfg(test)]
mod tests;
mod told;
mod unscored;

use std::collections::BTreeMap;

use crate::domain::{Answer, Identity, Outcome, Pace, SampleCard, SampleId, Score, SubjectName, TaskCard, TaskName, UnitKey};
use crate::event::RunHeader;

// The rooms above read these in a comparison, and import nothing below this room but `domain` and `stats`.
pub use crate::metric::{
    Asymmetry, Bucket, Calibration, Displacement, HistogramBin, KldBound, Likelihood, Looks, OneDocument, Paired, PairedAmounts,
    PairedTimes, Quantiles, TimingSummary,
};
pub use amounts::{Account, Amount, AmountComparison};
pub use comparisons::Comparisons;
pub use distribution::DistributionComparison;
pub use fold::{FoldError, fold};
pub use latency::{Latency, LatencyComparison, Span, latencies};
pub use noise::Noise;
pub use pace::{Streaming, streaming};
pub use pairs::{Comparison, MeanPairs, Missing, SliceRow};
pub use sheet::{Column, Groups, Mark, Passes, Sheet};
pub use told::{Endpoints, Told};
pub use unscored::{Unscored, unscored};

/// How many units a run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Units that there should be: subjects × samples × repeats, as far as no verdict was certain before.
    pub expected: usize,
    /// Units with a score.
    pub scored: usize,
    /// Units that ended without one.
    pub unscored: usize,
}

/// When things happened; never part of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// When the run began (milliseconds since the Unix epoch).
    pub started_ms: u64,
    /// When its last event happened (milliseconds since the Unix epoch).
    pub ended_ms: u64,
    /// How often it was resumed.
    pub resumed: usize,
    /// Milliseconds that loading took, by subject, once per load in order.
    pub load_ms: BTreeMap<SubjectName, Vec<u64>>,
    /// Each unit's share of its batch's time in microseconds; none of answers that were taken from the cache of answers or came
    /// with a whole job.
    pub micros: BTreeMap<UnitKey, u64>,
    /// When the tokens of streamed answers came; none of answers without a time.
    pub pace: BTreeMap<UnitKey, Pace>,
}

/// A run as its journal tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What the run was going to do.
    pub header: RunHeader,
    /// What each loaded subject turned out to be.
    pub identities: BTreeMap<SubjectName, Identity>,
    /// Subjects that were something else after a resume than before it.
    pub changed: Vec<SubjectName>,
    /// The samples of each task, in order.
    pub samples: BTreeMap<TaskName, Vec<SampleCard>>,
    /// After how many of a task's samples a subject was asked no more, where that was before the last.
    pub settled: BTreeMap<(SubjectName, TaskName), usize>,
    /// How each unit ended, without those beyond where their subject was settled.
    pub outcomes: BTreeMap<UnitKey, Outcome>,
    /// Whether the run came to its end with every unit accounted for.
    pub finished: bool,
    /// How many units there are.
    pub counts: Counts,
    /// When things happened.
    pub timing: Timing,
    /// What endpoints told beside the answers, and the ways that requests took.
    pub endpoints: Endpoints,
}

impl Record {
    /// What a subject answered first on a sample and what that was worth; none where it has no finite score.
    #[must_use]
    pub fn scored(&self, subject: &SubjectName, task: &TaskName, sample: &SampleId) -> Option<(&Answer, &Score)> {
        let unit = UnitKey { subject: subject.clone(), task: task.clone(), sample: sample.clone(), repeat: 0 };
        match self.outcomes.get(&unit) {
            Some(Outcome::Scored { answer, score }) if score.value.is_finite() => Some((answer, score)),
            _ => None,
        }
    }

    /// The samples of a task, in order; none where the journal doesn't have them yet.
    #[must_use]
    pub fn samples_of(&self, task: &TaskName) -> &[SampleCard] {
        self.samples.get(task).map_or(&[], Vec::as_slice)
    }

    /// After how many of a task's samples a subject was asked no more; none where it was asked all.
    #[must_use]
    pub fn after(&self, subject: &SubjectName, task: &TaskName) -> Option<usize> {
        self.settled.get(&(subject.clone(), task.clone())).copied()
    }

    /// The card of a task.
    #[must_use]
    pub fn task(&self, task: &TaskName) -> Option<&TaskCard> {
        self.header.tasks.iter().find(|card| card.name == *task)
    }
}
