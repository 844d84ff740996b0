#!/usr/bin/env bash
# Asks the bundled model behind real servers, and counts the answers that differ from those of the engine in this process.
#
#   LLAMA_SERVER=~/llama.cpp/build/bin/llama-server LITELLM=~/venv/bin/litellm benches/servers.sh [TYPE …]
#
# 1. For every TYPE (default: f32 q8_0 q4_k_m) makes a GGUF file of models/demo and asks it the standard suite twice: in this
#    process, and behind a llama-server that quantgate starts, speaks to in its own dialect and stops. f32 is served with an
#    f32 key–value cache and without flash attention, so that nothing but the order of sums is left to differ; the others
#    as llama-server is by default (keys and values f16, activations quantized to 8 bits for the products).
# 2. Where LITELLM is set: the same for f32 behind a LiteLLM proxy in front of llama-server's OpenAI API, conversations by
#    chat completions and prompts by completions.
# 3. Where VLLM_URL is set: the same for models/demo behind a vLLM server that runs already, as in
#      vllm serve models/demo --served-model-name demo --dtype float32 --max-model-len 512 --generation-config vllm
# For each task: how many answers there are, how many differ, how many have no score on the server's side, and both accuracies.
#
# Needs: LLAMA_SERVER  the program, of that name
#        LITELLM       the proxy's program (`pip install 'litellm[proxy]'`); without it step 2 is left out and says so
#        VLLM_URL      its address with /v1; without it step 3 is left out and says so
#        QUANTGATE     the program (default: target/release/quantgate)
#        LIMIT         most samples of a task (default: all)
#        PYTHON        python3, to read journals
# Files go to target/servers.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${LLAMA_SERVER:?set LLAMA_SERVER to the llama-server program}"
quantgate=${QUANTGATE:-target/release/quantgate}
python=${PYTHON:-python3}
out=$PWD/target/servers
types=("$@")
[[ ${#types[@]} -gt 0 ]] || types=(f32 q8_0 q4_k_m)
limit=()
[[ -z ${LIMIT:-} ]] || limit=(--limit "$LIMIT")
mkdir -p "$out"
PATH=$(cd "$(dirname "$LLAMA_SERVER")" && pwd):$PATH
started=()
trap 'for pid in "${started[@]:-}"; do [[ -z $pid ]] || kill "$pid" 2>/dev/null || true; done' EXIT

# Compares the answers of the canary with those of every other subject, from a run's journal.
differences() {
  "$python" - "$1" <<'PY'
import collections, json, sys
answers, scores, causes = {}, {}, collections.Counter()
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event.get("event") != "unit-finished":
        continue
    key = (event["subject"], event["task"])
    if event["outcome"] == "unscored":
        causes[key] += 1
        answers[key + (event["sample"],)] = None
        continue
    score = event["score"].get("value", event["score"]) if isinstance(event["score"], dict) else event["score"]
    scores[key + (event["sample"],)] = float(score)
    answers[key + (event["sample"],)] = event["answer"]

def shown(answer):
    if answer["kind"] == "text":
        return answer["text"]
    if answer["kind"] == "choice":
        likelihoods = [option["log_likelihood"] for option in answer["options"]]
        return likelihoods.index(max(likelihoods))
    return round(sum(answer["nll"]) / len(answer["nll"]), 4)

mean = lambda values: sum(values) / len(values) if values else float("nan")
print(f"{'task':<14}{'subject':<22}{'answers':>8}{'differ':>8}{'unscored':>10}{'canary':>10}{'subject':>10}")
pairs = sorted({(subject, task) for subject, task, _ in answers if subject != "canary"}, key=lambda pair: pair[::-1])
for subject, task in pairs:
    samples = [sample for s, t, sample in answers if (s, t) == (subject, task)]
    # A run may end a task early, and not for all subjects after the same sample.
    both = [sample for sample in samples if answers.get(("canary", task, sample)) and answers[subject, task, sample]]
    differ = sum(shown(answers["canary", task, sample]) != shown(answers[subject, task, sample]) for sample in both)
    numbers = [mean([scores[s, task, sample] for sample in both]) for s in ("canary", subject)]
    print(f"{task:<14}{subject:<22}{len(samples):>8}{differ:>8}{causes[subject, task]:>10}{numbers[0]:>10.4f}{numbers[1]:>10.4f}")
PY
}

# Runs a plan and compares. A verdict other than PASS is no fault of the script's.
run() {
  local name=$1 code=0
  rm -rf "$out/reports-$name"
  "$quantgate" run "$out/$name.toml" "${limit[@]}" --no-progress > "$out/$name.log" 2>&1 || code=$?
  local journal
  journal=$(find "$out/reports-$name" -name journal.jsonl -print -quit 2>/dev/null || true)
  if [[ -z $journal || $code -eq 2 || $code -ge 70 ]]; then
    echo "$name: no run (exit $code):"
    tail -n 20 "$out/$name.log"
    return
  fi
  echo "$name: exit $code"
  differences "$journal"
}

# The head of a plan: $1 is its name, $2 the canary's file.
head_of() {
  cat <<TOML
name = "$1"
suites = ["$PWD/suites/standard.toml"]
seed = 1234
reports = "$out/reports-$1"
[policy]
alpha = 0.05
margin = "2pp"
[canary]
model = "$2"
TOML
}

for type in "${types[@]}"; do
  file=$out/demo-$type.gguf
  [[ -s $file ]] || "$quantgate" quantize models/demo --to "$type" --out "$file"
  settings=''
  [[ $type != f32 ]] || settings='kv_cache = "f32", args = ["-fa", "off"], '
  {
    head_of "llama-$type" "$file"
    cat <<TOML
[[variant]]
name = "llama-server"
engine = "llama-server"
model = "$file"
server = { ${settings}threads = ${THREADS:-1} }
TOML
  } > "$out/llama-$type.toml"
  run "llama-$type"
done

if [[ -z ${VLLM_URL:-} ]]; then
  echo "vllm: VLLM_URL is not set, so no vLLM server was asked"
else
  {
    head_of vllm "$PWD/models/demo"
    # The demo's template shows the tools; vLLM would refuse to look for calls in the answer without a parser for them.
    cat <<TOML
[[variant]]
name = "vllm"
engine = "vllm"
base_url = "$VLLM_URL"
model = "demo"
extra = { tool_choice = "none" }
TOML
  } > "$out/vllm.toml"
  run vllm
fi

if [[ -z ${LITELLM:-} ]]; then
  echo "litellm: LITELLM is not set, so the proxy was not asked"
  exit 0
fi
file=$out/demo-f32.gguf
[[ -s $file ]] || "$quantgate" quantize models/demo --to f32 --out "$file"
free() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
server_port=${SERVER_PORT:-$(free)}
proxy_port=${PROXY_PORT:-$(free)}
export LITELLM_KEY=sk-throwaway-$RANDOM$RANDOM
"$LLAMA_SERVER" --model "$file" --host 127.0.0.1 --port "$server_port" --alias demo --parallel 1 --threads "${THREADS:-1}" \
  -ctk f32 -ctv f32 -fa off > "$out/llama-server.log" 2>&1 &
started+=($!)
cat > "$out/litellm.yaml" <<YAML
model_list:
  - model_name: demo
    litellm_params:
      model: hosted_vllm/demo
      api_base: http://127.0.0.1:$server_port/v1
      api_key: none
general_settings:
  master_key: $LITELLM_KEY
YAML
"$LITELLM" --config "$out/litellm.yaml" --host 127.0.0.1 --port "$proxy_port" > "$out/litellm.log" 2>&1 &
started+=($!)
for address in "127.0.0.1:$server_port/health" "127.0.0.1:$proxy_port/health/liveliness"; do
  for _ in $(seq 240); do curl -fsS -o /dev/null "http://$address" 2>/dev/null && break; sleep 0.5; done
done

# A suite of the standard one's tasks that are asked in one way: chat completions take conversations, completions prompts.
part() {
  "$python" - "$1" <<'PY'
import re, sys
text = open("suites/standard.toml").read()
head, *tasks = re.split(r"(?m)^\[\[task\]\]$", text)
kinds = {"chat": ("chat", "tools"), "completions": ("generate",)}[sys.argv[1]]
kept = [task for task in tasks if re.search(r'(?m)^kind = "(\w+)"', task).group(1) in kinds]
print(re.sub(r'(?m)^name = .*', f'name = "standard-{sys.argv[1]}"', head) + "".join("[[task]]" + task for task in kept), end="")
PY
}
for api in chat completions; do
  # Suites find their datasets from their own folder.
  part "$api" | sed "s|\.\./datasets/|$PWD/datasets/|" > "$out/standard-$api.toml"
  {
    head_of "litellm-$api" "$file" | sed "s|$PWD/suites/standard.toml|$out/standard-$api.toml|"
    cat <<TOML
[[variant]]
name = "litellm-$api"
engine = "litellm"
api = "$api"
base_url = "http://127.0.0.1:$proxy_port/v1"
model = "demo"
key_env = "LITELLM_KEY"
TOML
  } > "$out/litellm-$api.toml"
  run "litellm-$api"
done
