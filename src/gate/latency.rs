//! The latency rule: answers must be shown to come as fast as the budget asks.

use super::{Case, Finding};

/// One finding for each latency budget.
pub(super) fn findings(_case: &Case<'_>) -> Vec<Finding> {
    Vec::new()
}
