//! What a person sees while a run goes on: bars on a terminal, plain lines elsewhere. Both only read events.
//!
//! A terminal that is gone is no reason to lose a run: after a line that could not be written, they fall silent.

mod bars;
mod fit;
mod plain;
mod standing;
#[cfg(test)]
mod tests;

pub use bars::{Bars, aside};
pub use plain::Plain;
