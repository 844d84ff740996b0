//! Integration tests: the rooms together, the real binary, and the rules of the house.

mod answers;
mod api;
mod architecture;
mod bad_input;
mod bench;
mod compare;
mod constrained;
mod demo_model;
mod divergence;
mod doctor;
mod escape;
mod families;
#[cfg(feature = "hub")]
mod hub;
mod kill;
/// The server to measure with, and to fail with.
#[path = "../../examples/load_server"]
mod load_server {
    pub(crate) mod faults;
    pub(crate) mod server;
    pub(crate) mod wire;
}
mod logits;
mod loopback;
mod money;
mod power;
mod quantizer;
mod runner;
mod shipped;
mod stat_vectors;
mod verbs;
mod vllm;
