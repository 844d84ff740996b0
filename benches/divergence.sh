#!/usr/bin/env bash
# Holds `quantgate divergence` against llama-perplexity: both blocks of statistics side by side, and how far apart they are.
#
#   LLAMA_CPP_BIN=~/llama.cpp/build/bin benches/divergence.sh F32_GGUF [TYPE …]
#
# 1. "one file": for every TYPE llama-quantize makes a file of that type and from it an f32 file with the same weights, whose
#    logits are the same in both programs but for rounding. Both read the same `_logits_` file (of llama-perplexity) and
#    every line is to be equal as printed.
# 2. "both sides": llama-perplexity's two passes against `quantgate divergence MODEL --base F32_GGUF`, which stores nothing.
# 3. "floors" (ARITHMETIC=ggml): mean KL of llama.cpp with flash attention on against off, of quantgate with embeddings
#    moved by 1e-7 against itself, and between the two programs, on the file of that type.
#
# Needs: LLAMA_CPP_BIN    folder of llama-perplexity and llama-quantize
#        PYTHON           (default: python3; nothing but its own library)
#        QUANTGATE        the program (default: target/release/quantgate)
#        PERTURBED        the example that moves embeddings (default: target/release/examples/perturbed)
#        TEXT             a text (default: the prose dataset)
#        ARITHMETIC, KV   how quantgate multiplies and remembers in parts 2 and 3 (weights-f32, f32)
#        CONTEXT, THREADS tokens of a chunk (256), threads (1)
# Files go to target/divergence.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${LLAMA_CPP_BIN:?set LLAMA_CPP_BIN to the folder of llama-perplexity}
base=${1:?name the f32 GGUF file}
shift
types=("$@")
[[ ${#types[@]} -gt 0 ]] || types=(q8_0 q6_k q5_k_m q4_k_m q4_0 q3_k_m q2_k)
python=${PYTHON:-python3}
export QUANTGATE=${QUANTGATE:-target/release/quantgate} PERTURBED=${PERTURBED:-target/release/examples/perturbed}
export ARITHMETIC=${ARITHMETIC:-weights-f32} KV=${KV:-f32} CONTEXT=${CONTEXT:-256} THREADS=${THREADS:-1}
export LLAMA_CPP_BIN=$bin
out=target/divergence
mkdir -p "$out"
export TEXT=${TEXT:-$out/prose.txt}
[[ -f $TEXT ]] || "$python" benches/llama_cpp/reference.py text datasets "$TEXT"
for type in "${types[@]}"; do
    [[ -f $out/$type.gguf ]] || "$bin/llama-quantize" "$base" "$out/$type.gguf" "${type^^}" "$THREADS" >"$out/$type.log" 2>&1
    [[ -f $out/$type-f32.gguf ]] ||
        "$bin/llama-quantize" --allow-requantize "$out/$type.gguf" "$out/$type-f32.gguf" F32 "$THREADS" >"$out/$type-f32.log" 2>&1
done
"$python" benches/llama_cpp/blocks.py "$base" "$out" "${types[@]}"
