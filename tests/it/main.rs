//! The integration tests, in one binary.

mod stat_vectors;
