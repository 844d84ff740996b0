//! quantgate decides, with statistical evidence, whether a quantized language model may replace its original.
//!
//! It runs task suites against a full-precision *canary* and quantized *variants*, pairs the answers item by item,
//! tests the differences against a margin chosen beforehand and says PASS, FAIL, INCONCLUSIVE or INVALID.
//! `ARCHITECTURE.md` maps the rooms; a room imports only from rooms below it.

pub mod analysis;
pub mod cli;
pub mod dataset;
pub mod domain;
pub mod engine;
pub mod event;
pub mod gate;
pub mod harness;
pub mod journal;
pub mod metric;
pub mod plan;
pub mod report;
pub mod runner;
pub mod scorer;
pub mod stats;
pub mod suite;
pub mod weights;
