//! Model files: GGUF and safetensors, read and written; quantization and its mixes.
