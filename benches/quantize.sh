#!/usr/bin/env bash
# Holds the files of `quantgate quantize` against those of llama-quantize: every tensor's type and bytes, and the time.
#
#   LLAMA_CPP=~/llama.cpp benches/quantize.sh [TYPE …]
#
# For every TYPE (default: all that quantgate knows) makes models/demo by both programs, without and with the importance matrix of
# tests/fixtures/quantizer, and prints how many tensors are equal in type and bytes, and both programs' processor seconds.
# With MODEL=file.gguf (in f16, bf16 or f32) that file is quantized by both in place of the demonstration model.
#
# Needs: LLAMA_CPP, LLAMA_CPP_BIN, PYTHON (with gguf and numpy), QUANTGATE as benches/llama_cpp.sh
#        IMATRIX   an importance matrix of MODEL (default: none for a MODEL)
#        THREADS   of both programs (1)
# Files go to target/quantize.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${LLAMA_CPP:?set LLAMA_CPP to the folder of the llama.cpp sources}"
bin=${LLAMA_CPP_BIN:-$LLAMA_CPP/build/bin}
python=${PYTHON:-python3}
quantgate=${QUANTGATE:-target/release/quantgate}
threads=${THREADS:-1}
out=target/quantize
types=("$@")
[[ ${#types[@]} -gt 0 ]] || types=(f32 f16 bf16 q8_0 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_m q4_k_s q4_1 q4_0 q3_k_l q3_k_m q3_k_s q2_k q2_k_s)
mkdir -p "$out"
if [[ -n ${MODEL:-} ]]; then
    ours_from=$MODEL theirs_from=$MODEL imatrix=${IMATRIX:-}
else
    ours_from=models/demo theirs_from=$out/converter-f32.gguf imatrix=${IMATRIX:-tests/fixtures/quantizer/demo-imatrix.gguf}
    "$python" benches/llama_cpp/convert.py "$LLAMA_CPP" models/demo --outtype f32 --outfile "$theirs_from" >"$out/convert.log" 2>&1
fi

# Runs a command, its words into a log, and prints the processor seconds that it took; "-" where it refused.
seconds() {
    local log=$1 times
    shift
    TIMEFORMAT='%U %S'
    if times=$({ time "$@" >"$log" 2>&1; } 2>&1); then awk '{ printf "%.2f", $1 + $2 }' <<<"$times"; else printf '%s' -; fi
}

printf '%-8s %-8s %28s %12s %12s\n' type imatrix "tensors equal / all" "llama.cpp s" "quantgate s"
for type in "${types[@]}"; do
    for with in "" "$imatrix"; do
        [[ -n $with || $type != q2_k_s ]] || continue
        [[ -z $with || ! $type =~ ^(f32|f16|bf16)$ ]] || continue
        theirs=$out/llama_cpp.gguf ours=$out/quantgate.gguf
        rm -f "$theirs" "$ours"
        their_time=$(seconds "$out/theirs.log" "$bin/llama-quantize" ${with:+--imatrix "$with"} "$theirs_from" "$theirs" "${type^^}" "$threads")
        our_time=$(RAYON_NUM_THREADS=$threads seconds "$out/ours.log" "$quantgate" quantize "$ours_from" --to "$type" --out "$ours" ${with:+--imatrix "$with"})
        equal=$("$python" benches/llama_cpp/same_tensors.py "$theirs" "$ours" 2>>"$out/ours.log" || echo -)
        printf '%-8s %-8s %28s %12s %12s\n' "$type" "$([[ -n $with ]] && echo yes || echo no)" "$equal" "$their_time" "$our_time"
        [[ -n $imatrix ]] || break
    done
done
