#!/usr/bin/env bash
# Holds quantgate's scores of multiple-choice tasks against lm-evaluation-harness's, item by item.
#
#   PYTHON=~/venv/bin/python benches/lm_eval.sh [ITEMS]
#
# Four tasks are made of the bundled datasets (recall as it is; arithmetic, trace and numerals with other rows' answers as
# options). quantgate runs them on models/demo; lm-eval's `hf` backend runs the same rows with --log_samples, float32, on the
# processor. For each task: the largest difference between log-likelihoods of an option, and the items on which acc, acc_norm
# and acc_bytes differ. quantgate's `byte` is lm-eval's acc_bytes; acc_norm counts characters, which is the same where options
# are ASCII.
#
# Needs: PYTHON     with lm_eval 0.4.13, torch and transformers (default: python3)
#        QUANTGATE  the program (default: target/release/quantgate)
# ITEMS of a task (default: all 1000). Files go to target/lm_eval.
set -euo pipefail
cd "$(dirname "$0")/.."
export QUANTGATE=${QUANTGATE:-target/release/quantgate}
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_HOME=$PWD/target/lm_eval/hf
exec "${PYTHON:-python3}" benches/item_by_item.py target/lm_eval models/demo datasets "${1:-1000}"
