#!/usr/bin/env bash
# Holds models/demo and the GGUF files of `quantgate quantize` against llama.cpp.
#
#   LLAMA_CPP=~/llama.cpp benches/llama_cpp.sh [TYPE …]
#
# 1. converts models/demo by llama.cpp's own converter (f32) and asks whether llama-tokenize splits the datasets' strings
#    as the model's tokenizer.json does;
# 2. runs llama-perplexity on the prose dataset (chunk protocol) and, where python has transformers, the same protocol
#    there on the same tokens;
# 3. for every TYPE (default: all below) makes one file by `quantgate quantize` and one by llama-quantize, runs
#    llama-perplexity on both, and prints a table of the perplexities and their ratio.
#
# Needs: LLAMA_CPP        folder of llama.cpp's sources
#        LLAMA_CPP_BIN    folder of llama-perplexity, llama-quantize, llama-tokenize (default: $LLAMA_CPP/build/bin)
#        PYTHON           with torch, transformers and what the converter asks for (default: python3)
#        QUANTGATE        the program (default: target/release/quantgate)
#        OWN              quantgate's own engine on the same protocol (default: target/release/examples/chunk_perplexity,
#                         from `cargo build --release --examples`)
#        CONTEXT, THREADS tokens of a chunk (256), threads of llama.cpp (1)
# Files go to target/llama_cpp. A step that is impossible (no such verb or type) is shown as "-", never left out.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${LLAMA_CPP:?set LLAMA_CPP to the folder of the llama.cpp sources}"
bin=${LLAMA_CPP_BIN:-$LLAMA_CPP/build/bin}
python=${PYTHON:-python3}
quantgate=${QUANTGATE:-target/release/quantgate}
own_program=${OWN:-target/release/examples/chunk_perplexity}
context=${CONTEXT:-256}
threads=${THREADS:-1}
model=models/demo
out=target/llama_cpp
types=("$@")
[[ ${#types[@]} -gt 0 ]] || types=(f32 f16 bf16 q8_0 q6_k q5_k q5_k_m q5_0 q4_k q4_k_m q4_0 q3_k q3_k_m q2_k)
mkdir -p "$out"

# Prints the perplexity of a GGUF file on the prose, or "-" where llama.cpp refuses the file (its words go to the log).
# Keys, values and attention stay in f32: what is left is the effect of the weights and of llama.cpp's products.
# llama.cpp's log sometimes loses its last lines as the program ends, so a number that is missing is asked for again.
perplexity() {
    local found='' try
    for try in 1 2 3 4 5; do
        "$bin/llama-perplexity" -m "$1" -f "$out/prose.txt" -c "$context" -t "$threads" -fa off -ctk f32 -ctv f32 \
            >"$1.log" 2>&1 || true
        found=$(sed -n 's/.*Final estimate: PPL = \([0-9.]*\).*/\1/p' "$1.log")
        [[ -z $found ]] || break
    done
    echo "${found:--}"
}

# Makes llama.cpp's own file of a type from the f32 file.
reference() {
    local from=$out/converter-f32.gguf to=$2
    case $1 in
    f32) cp "$from" "$to" ;;
    *) "$bin/llama-quantize" "$from" "$to" "${1^^}" "$threads" >"$to.made" 2>&1 ;;
    esac
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b == "-") print "-"; else printf "%.4f", a / b }'; }

echo "== conversion"
"$python" benches/llama_cpp/convert.py "$LLAMA_CPP" "$model" --outtype f32 --outfile "$out/converter-f32.gguf" \
    >"$out/convert.log" 2>&1 || { tail -5 "$out/convert.log"; exit 1; }
echo "$out/converter-f32.gguf: $(stat -c %s "$out/converter-f32.gguf") bytes"

echo "== tokens"
"$python" benches/llama_cpp/reference.py tokens "$model" datasets "$bin/llama-tokenize" "$out/converter-f32.gguf"

echo "== perplexity of the unquantized model"
"$python" benches/llama_cpp/reference.py text datasets "$out/prose.txt"
echo "llama.cpp     $(perplexity "$out/converter-f32.gguf")"
echo "transformers  $("$python" benches/llama_cpp/reference.py perplexity "$model" "$out/prose.txt" "$context")"

echo "== perplexity by type (llama-perplexity, $context tokens a chunk)"
printf '%-8s %12s %12s %14s %14s %8s %14s %8s\n' \
    type "bytes" "(llama.cpp)" "llama.cpp's" "quantgate's" ratio "own engine" ratio
for type in "${types[@]}"; do
    theirs=$out/llama_cpp-$type.gguf ours=$out/quantgate-$type.gguf
    rm -f "$theirs" "$ours"
    their_number=- our_number=- their_size=- our_size=-
    if reference "$type" "$theirs"; then
        their_number=$(perplexity "$theirs") their_size=$(stat -c %s "$theirs")
    fi
    if [[ -x $quantgate ]] && "$quantgate" quantize "$model" --to "$type" --out "$ours" >"$ours.made" 2>&1; then
        our_number=$(perplexity "$ours") our_size=$(stat -c %s "$ours")
    fi
    own=$("$own_program" "$ours" "$out/prose.txt" "$context" 2>/dev/null || echo -)
    printf '%-8s %12s %12s %14s %14s %8s %14s %8s\n' \
        "$type" "$our_size" "$their_size" "$their_number" "$our_number" "$(ratio "$our_number" "$their_number")" \
        "$own" "$(ratio "$own" "$our_number")"
done
