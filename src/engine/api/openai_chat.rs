//! OpenAI's chat completions, as OpenAI and all its look-alikes speak them.
