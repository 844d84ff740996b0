#!/usr/bin/env bash
# Holds `quantgate divergence` against llama-perplexity: both blocks of statistics side by side, and how far apart they are.
#
#   LLAMA_CPP_BIN=~/llama.cpp/build/bin benches/divergence.sh F32_GGUF [TYPE …]
#
# For every TYPE llama-quantize makes a file of that type, and from it an f32 file with the same weights, whose logits are the
# same in both programs but for the order of sums.
# 1. "one file, one variant" (where LLAMA_CPP is set): llama-perplexity and quantgate read the same `_logits_` file and the same
#    logits of the variant, those of llama.cpp: every line is to be equal as printed.
# 2. "one file": both read the same file and compute the f32 variant themselves: logits are equal to about 1e-6.
# 3. "both sides": llama-perplexity's two passes against `quantgate divergence MODEL --base F32_GGUF --as-stored`, which stores
#    nothing: every line is to be within 1 %.
# 4. "floors" (ARITHMETIC=ggml): mean KL of llama.cpp with flash attention on against off, of quantgate with the first norm's
#    weights moved by 1e-7 against itself, and between the two programs, on the file of that type.
#
# Needs: LLAMA_CPP_BIN    folder of llama-perplexity and llama-quantize
#        LLAMA_CPP        folder of llama.cpp's sources, its libraries built in the folder above LLAMA_CPP_BIN (else no part 1)
#        PYTHON           (default: python3; with gguf and numpy for part 4)
#        QUANTGATE        the program (default: target/release/quantgate)
#        BLOCK            the example for part 1 (default: target/release/examples/block_of_logits)
#        TEXT             a text (default: the prose dataset)
#        ARITHMETIC, KV   how quantgate multiplies and remembers in part 3 (weights-f32, f32)
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
export QUANTGATE=${QUANTGATE:-target/release/quantgate} BLOCK=${BLOCK:-target/release/examples/block_of_logits}
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
if [[ -n ${LLAMA_CPP:-} ]]; then
    build=$(dirname "$bin")
    "${CXX:-c++}" -O1 -std=c++17 -I"$LLAMA_CPP/include" -I"$LLAMA_CPP/common" \
        -I"$LLAMA_CPP/ggml/include" -I"$LLAMA_CPP/vendor" benches/llama_cpp/logits.cpp -o "$out/logits" \
        "$build"/common/libllama-common.a "$build"/common/libllama-common-base.a "$build"/src/libllama.a \
        "$build"/ggml/src/libggml{,-cpu,-base}.a $(find "$build/vendor" -name '*.a') -fopenmp -lpthread -ldl -lssl -lcrypto
    export LOGITS=$out/logits
fi
"$python" benches/llama_cpp/blocks.py "$base" "$out" "${types[@]}"
