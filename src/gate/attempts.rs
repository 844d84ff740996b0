//! The guard against trying again until it passes: earlier runs that judged the same models.

use super::Warning;
use crate::analysis::Record;
use crate::domain::Policy;

/// What earlier attempts make of a verdict by this policy.
pub(super) fn warnings(_record: &Record, _policy: &Policy) -> Vec<Warning> {
    Vec::new()
}
