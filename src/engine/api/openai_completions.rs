//! OpenAI's completions: raw prompts, and log-probabilities of prompts where the server gives them.
