//! Who listens to a run: told of every event in order.

use super::Event;

/// A sink's fault; it ends the run.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SinkError {
    /// What could not be written, and where.
    pub what: String,
    /// The fault beneath.
    #[source]
    pub source: Option<std::io::Error>,
}

/// Something that is told of every event, in order.
pub trait Sink: Send {
    /// Takes note of an event.
    ///
    /// # Errors
    /// Where the note could not be kept; the run then ends.
    fn emit(&mut self, event: &Event) -> Result<(), SinkError>;

    /// Makes everything noted so far safe; called at the end and before each wait.
    ///
    /// # Errors
    /// Where it could not be made safe.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
