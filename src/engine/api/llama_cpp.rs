//! llama.cpp's own API: raw prompts out, text, tokens and probabilities in.
