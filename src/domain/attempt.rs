//! Attempts: earlier finished runs that judged the same model, which a verdict must not forget.

use serde::{Deserialize, Serialize};

use super::{Digest, SubjectName, Verdict};

/// An earlier finished run that compared the same two models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The variant, by its name in this run.
    pub subject: SubjectName,
    /// The earlier run's folder name.
    pub run: String,
    /// What it said of the variant.
    pub verdict: Verdict,
    /// Digest of its plan.
    pub plan: Digest,
    /// Digest of its policy.
    pub policy: Digest,
}
