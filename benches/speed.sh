#!/usr/bin/env bash
# Times quantgate's own engine beside lm-evaluation-harness and llama.cpp on the same machine, and prints ratios.
#
#   LLAMA_CPP_BIN=~/llama.cpp/build/bin SHAPES=~/shapes benches/speed.sh [PART …]
#
# Parts (default: all), each a median of REPEAT runs of either side, taken in turns:
#   lm_eval     four-choice items behind 700 characters of their own, 26m in f32, against lm-eval's `hf` on the processor
#   choice      the same items against `llama-perplexity --multiple-choice`: f16, q8_0, q4_k_m, by either arithmetic
#   few_shot    items behind one header of about 1,500 tokens, 26m in f32, against lm-eval
#   divergence  KL divergence of a variant, end to end, against both passes of llama-perplexity; bytes left on disk
#   bench       reading 512 tokens and writing 64, 1b in f16 and q4_k_m, against llama-bench
#   suite       main memory of a run of the standard suite beyond the bytes of its models
#   large       7b in q4_k_m: opening, 20 items, main memory
#
# Needs: SHAPES           folder that benches/shapes.py wrote to
#        LLAMA_CPP_BIN    folder of llama-perplexity and llama-bench
#        PYTHON           with torch, transformers and lm_eval 0.4.13 (default: python3)
#        QUANTGATE        the program (default: target/release/quantgate)
#        ENGINE_SPEED     the example (default: target/release/examples/engine_speed, from `cargo build --release --examples`)
#        THREADS          of either side (default: all cores)
#        ITEMS, HEADED, REPEAT, LM_EVAL_BATCH   items of the first parts (500), items behind the header (1000), runs (5), rows
#                         of lm-eval's batches (32); ITEMS=20 HEADED=20 REPEAT=1 is a quick look
# Files go to target/speed; the last lines of standard output are the table, target/speed/speed.json has every time.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${SHAPES:?set SHAPES to the folder that benches/shapes.py wrote to}"
: "${LLAMA_CPP_BIN:?set LLAMA_CPP_BIN to the folder of llama-perplexity}"
export SHAPES LLAMA_CPP_BIN
export QUANTGATE=${QUANTGATE:-target/release/quantgate}
export ENGINE_SPEED=${ENGINE_SPEED:-target/release/examples/engine_speed}
export THREADS=${THREADS:-$(nproc)} ITEMS=${ITEMS:-500} HEADED=${HEADED:-1000} REPEAT=${REPEAT:-5}
export LM_EVAL_BATCH=${LM_EVAL_BATCH:-32}
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=true OMP_NUM_THREADS=$THREADS
exec "${PYTHON:-python3}" benches/speed.py target/speed "$@"
