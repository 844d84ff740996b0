//! Subjects behind HTTP: services and servers, each in the dialect that it speaks.
//!
//! A dialect is plain functions from a request to bytes and from bytes to an answer; it neither waits nor reads a clock.
//! `http` sends and receives, once; whether to ask again, when, and how much at a time is the runner's.

pub mod exchange;
pub mod preset;

mod anthropic;
mod batch;
mod bedrock;
mod dialect;
mod echo;
mod fault;
mod forced;
mod frames;
mod headroom;
mod http;
mod key;
mod llama_cpp;
mod mistral;
mod native;
mod ollama;
mod openai_chat;
mod openai_completions;
mod sigv4;
mod tool_calls;
mod turns;
mod vertex;

#[cfg(test)]
mod fixture;
