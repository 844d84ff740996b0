//! Anthropic's messages: requests out, answers in, whole or as typed events.
