#!/usr/bin/env bash
# Holds the GGUF files that `quantgate quantize` makes of the small models of tests/fixtures/families against llama.cpp's.
#
#   LLAMA_CPP=~/llama.cpp benches/families.sh [NAME …]
#
# For every model: one f32 file by llama.cpp's converter and one by quantgate; their keys and tensors are compared
# (benches/llama_cpp/same.py prints each difference), and llama-perplexity runs on both. The numbers must be the same: they are
# the same program's on what should be the same model.
#
# Needs: LLAMA_CPP        folder of llama.cpp's sources
#        LLAMA_CPP_BIN    folder of llama-perplexity (default: $LLAMA_CPP/build/bin)
#        PYTHON           with gguf, numpy and what the converter asks for (default: python3)
#        QUANTGATE        the program (default: target/release/quantgate)
# Files go to target/families.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${LLAMA_CPP:?set LLAMA_CPP to the folder of the llama.cpp sources}"
bin=${LLAMA_CPP_BIN:-$LLAMA_CPP/build/bin}
python=${PYTHON:-python3}
quantgate=${QUANTGATE:-target/release/quantgate}
from=tests/fixtures/families
out=target/families
names=("$@")
[[ ${#names[@]} -gt 0 ]] || mapfile -t names < <(find "$from" -name config.json -printf '%h\n' | sed 's|.*/||' | sort)
mkdir -p "$out"
for _ in {1..6}; do cat examples/family_models/make.py; done >"$out/text.txt"

perplexity() {
    local found='' try
    for try in 1 2 3 4 5; do
        "$bin/llama-perplexity" -m "$1" -f "$out/text.txt" -c 64 -b 64 --chunks 20 -t 1 -fa off -ctk f32 -ctv f32 >"$1.log" 2>&1 || true
        found=$(sed -n 's/.*Final estimate: PPL = \([0-9.]*\).*/\1/p' "$1.log")
        [[ -z $found ]] || break
    done
    echo "${found:--}"
}

failed=0
for name in "${names[@]}"; do
    # Of models whose name has `phi3` in it, llama.cpp asks for tokens that only Microsoft's vocabulary has.
    folder=$out/${name/phi3/phi_3}
    mkdir -p "$folder"
    cp "$from/$name/config.json" "$from/$name/model.safetensors" "$from/tokenizer.json" "$folder"
    echo '{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}' \
        >"$folder/tokenizer_config.json"
    theirs=$out/$name-converter.gguf
    ours=$out/$name-quantgate.gguf
    if [[ ! -f $theirs ]]; then
        "$python" benches/llama_cpp/convert.py "$LLAMA_CPP" "$folder" --outtype f32 --outfile "$theirs" >"$theirs.made" 2>&1
    fi
    rm -f "$ours"
    "$quantgate" quantize "$folder" --to f32 --out "$ours" >"$ours.made" 2>&1
    echo "$name"
    "$python" benches/llama_cpp/same.py "$theirs" "$ours"
    a=$(perplexity "$theirs") b=$(perplexity "$ours")
    echo "  perplexity by llama.cpp: $a from its converter's file, $b from quantgate's"
    [[ $a == "$b" && $a != - ]] || failed=1
done
exit "$failed"
