//! Mistral's chat completions and fill-in-the-middle.
