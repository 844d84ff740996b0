//! Faults as a person meets them: a sentence, a hint and an exit code.

use std::error::Error;

/// Usage or configuration: nothing was run.
pub(super) const USAGE: u8 = 2;
/// A fault of quantgate's own or of the machine.
pub(super) const INTERNAL: u8 = 70;
/// Stopped by a signal.
pub(super) const INTERRUPTED: u8 = 130;

/// A fault that ends the command.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) code: u8,
    /// What happened, naming file, key or sample.
    pub(super) what: String,
    /// What to do.
    pub(super) hint: Option<String>,
}

impl Failure {
    /// A usage or configuration fault.
    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self { code: USAGE, what: what.into(), hint: None }
    }

    /// A fault of the machine or of quantgate, with its causes.
    pub(super) fn internal(fault: &dyn Error) -> Self {
        Self { code: INTERNAL, what: chain(fault), hint: None }
    }

    /// The same fault with something to do about it.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A fault and what lies beneath it, in one line.
pub(super) fn chain(fault: &dyn Error) -> String {
    let mut text = fault.to_string();
    let mut beneath = fault.source();
    while let Some(cause) = beneath {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        beneath = cause.source();
    }
    text
}
