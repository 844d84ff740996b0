#!/usr/bin/env python3
"""Measures the runner against a server with a fixed latency, side by side with other harnesses, and on a bad day.

    benches/load.py [load] [faults] [peers]        (default: load peers)

load    2,000 requests at concurrency 64 and 20,000 at 512, half for the canary and half for a variant, on loopback with
        50 ms a request: wall clock of the whole process from start to report, its ratio to requests / concurrency · 50 ms,
        CPU seconds and the highest resident memory.
faults  5,000 requests at concurrency 64 to a server that mixes 429 with Retry-After (seconds, dates, milliseconds), 500,
        503, resets, bodies that end early, slow headers, stalled bodies, cut JSON, HTML, answers that come twice and answers
        that come too late. Every unit must be in the journal once; no request may arrive while the server had asked for
        peace; and the time from the first request to the last answer is held against the least that was possible:
        outside the spans in which the server had asked for peace, no more than 64 requests may be served at once, so
        no client takes less than (the requests' times in service outside those spans) / 64 + the length of the spans.
peers   2,000 requests at 64 by lm-evaluation-harness and promptfoo, where they are installed.

Reads: QUANTGATE (target/release/quantgate), LOAD_SERVER (target/release/examples/load_server), both built by
`cargo build --release --bin quantgate --example load_server`; LM_EVAL (its program), PROMPTFOO (its program);
REPEAT (times that each is measured, 3), SEED of the faults (1), KEEP=1 to keep the folder.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
QUANTGATE = pathlib.Path(os.environ.get("QUANTGATE", TARGET / "quantgate"))
SERVER = pathlib.Path(os.environ.get("LOAD_SERVER", TARGET / "examples" / "load_server"))
REPEAT = int(os.environ.get("REPEAT", "3"))
SEED = os.environ.get("SEED", "1")
LATENCY = 0.050
# A request that was sent before the client had read the server's word is no fault of the client's.
GRACE_US = 20_000
MOST_RETRIES = 4

SUITE = """name = "load"
about = "Sums, for measuring the runner."

[[task]]
name = "few"
about = "Something has to gate."
kind = "chat"
dataset = "few.jsonl"
prompt = "{{ question }}"
target = "{{ answer }}"
max_tokens = 8
scorer = { kind = "number" }

[[task]]
name = "sums"
about = "Sums of two numbers; they don't gate, so that no verdict ends the task early."
kind = "chat"
dataset = "sums.jsonl"
prompt = "{{ question }}"
target = "{{ answer }}"
max_tokens = 8
scorer = { kind = "number" }
gating = false
"""

# Samples of the task that gates.
FEW = 4

PLAN = """name = "load"
suites = ["suite.toml"]
seed = 1
reports = "reports"

[canary]
engine = "openai-compatible"
base_url = "{address}/v1"
model = "canary"
concurrency = {concurrency}
{more}

[[variant]]
name = "variant"
engine = "openai-compatible"
base_url = "{address}/v1"
model = "variant"
concurrency = {concurrency}
{more}

[policy]
margin = "5pp"
"""


class Served:
    """A load server for as long as it is needed."""

    def __init__(self, *arguments):
        command = [SERVER, "--latency-ms", str(round(LATENCY * 1000)), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self):
        text = urllib.request.urlopen(f"{self.address}/log").read().decode()
        rows = [line.split("\t") for line in text.splitlines()]
        # Requests that still have no end are counted as ended now.
        end = max(int(row[2]) for row in rows)
        return [(row[0], int(row[2]), min(int(row[3]), end + 10_000_000), int(row[4]), row[5]) for row in rows]


def measured(command, folder, ends=(0,)):
    """Wall and CPU seconds and the highest resident memory in MB of a command; it must end with one of these codes."""
    with open(folder / "out.txt", "w") as out:
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    code = os.waitstatus_to_exitcode(status)
    if ends is not None and code not in ends:
        sys.exit(f"{command[0]} ended with {code}:\n{(folder / 'out.txt').read_text()[-3000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def prepare(folder, address, requests, concurrency, more=""):
    """A plan with half the requests for each of its two subjects."""
    rows = (
        {"id": f"sum-{n:05}", "question": f"What is {n * 7 % 9973} + {n}?", "answer": str(n * 7 % 9973 + n)}
        for n in range(requests // 2)
    )
    for name, part in [("few", itertools.islice(rows, FEW)), ("sums", rows)]:
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    (folder / "suite.toml").write_text(SUITE)
    (folder / "plan.toml").write_text(PLAN.format(address=address, concurrency=concurrency, more=more))
    shutil.rmtree(folder / "reports", ignore_errors=True)


def units(folder):
    """The journal's events of ended units, one by one: what this process holds is counted as its children's memory."""
    [journal] = (folder / "reports").glob("*/*.jsonl")
    events = (json.loads(line) for line in journal.open())
    return (event for event in events if event["event"] == "unit-finished")


def run(folder):
    # Passed, failed and undecided are all ends of a run; what is measured is how it came there.
    return measured([QUANTGATE, "run", "plan.toml", "--no-progress"], folder, ends=(0, 1, 3, 4))


def load(folder):
    print(f"{'requests':>8} {'at':>4} {'ideal s':>8} {'wall s':>8} {'ratio':>6} {'asking s':>9} {'CPU s':>6} {'server':>6} {'MB':>5}")
    for requests, concurrency in [(2000, 64), (20_000, 512)]:
        ideal = requests / concurrency * LATENCY
        for _ in range(REPEAT):
            with Served() as server:
                prepare(folder, server.address, requests, concurrency)
                wall, cpu, memory = run(folder)
                assert sum(event["outcome"] == "scored" for event in units(folder)) == requests
                asked = re.search(r"asked everything in ([\d.]+) s", (folder / "out.txt").read_text())
                asking = float(asked.group(1)) if asked else float("nan")
                row = f"{requests:>8} {concurrency:>4} {ideal:>8.3f} {wall:>8.3f} {wall / ideal:>6.2f}"
                print(f"{row} {asking:>9.1f} {cpu:>6.2f} {server.cpu():>6.2f} {memory:>5.0f}", flush=True)


def merged(spans):
    """Overlapping spans as one."""
    out = []
    for begin, end in sorted(spans):
        if out and begin <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([begin, end])
    return out


def least(log, concurrency):
    """The least time from the first request to the last answer that this log allows, in seconds."""
    first, last = min(row[1] for row in log), max(row[2] for row in log)
    peace = merged((done, min(done + hold, last)) for _, _, done, hold, _ in log if hold)
    inside = sum(
        max(0, min(done, end) - max(at, begin)) for _, at, done, _, _ in log for begin, end in peace
    )
    service = sum(done - at for _, at, done, _, _ in log) - inside
    return (service / concurrency + sum(end - begin for begin, end in peace)) / 1e6, (last - first) / 1e6


def faults(folder):
    requests, concurrency = 5000, 64
    with Served("--faults", SEED, "--log") as server:
        prepare(folder, server.address, requests, concurrency, 'timeout = "2s"\nhedge = true')
        wall, cpu, memory = run(folder)
        log = server.log()
    ended = list(units(folder))
    keys = {(event["subject"], event["task"], event["sample"], event.get("repeat", 0)) for event in ended}
    assert len(ended) == len(keys) == requests, f"{len(ended)} ends of {len(keys)} units"
    lost = [event for event in ended if event["outcome"] == "unscored"]
    assert all(event["cause"]["message"] for event in lost)
    holds = [(done, done + hold) for _, _, done, hold, _ in log if hold]
    early = [at for _, at, _, _, _ in log for done, end in holds if done + GRACE_US < at < end]
    best, took = least(log, concurrency)
    met = {}
    for *_, deed in log:
        deed = deed.split("(")[0]
        met[deed] = met.get(deed, 0) + 1
    print(f"{len(log)} requests for {requests} units: {requests - len(lost)} scored, {len(lost)} unscored, each once")
    for event in lost:
        print(f"  unscored: {event['subject']} {event['sample']}: {event['cause']['message']}")
    print("met:", ", ".join(f"{count} {deed}" for deed, count in sorted(met.items(), key=lambda pair: -pair[1])))
    print(f"asked for peace {len(holds)} times; {len(early)} requests came too early")
    print(f"took {took:.2f} s, least possible {best:.2f} s, ratio {took / best:.2f}; whole process {wall:.2f} s, "
          f"CPU {cpu:.2f} s, {memory:.0f} MB")
    assert not early, "Retry-After was not obeyed"
    assert took <= 1.3 * best, "slower than 1.3 times the least possible"


LM_EVAL_TASK = """task: load_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/sums.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{max_gen_toks: 8, temperature: 0, until: ["\\n"]}}
metric_list: [{{metric: exact_match}}]
"""


def lm_eval(folder, address):
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / "load_sums.yaml").write_text(LM_EVAL_TASK.format(folder=folder))
    model = f"model=canary,base_url={address}/v1/chat/completions,num_concurrent=64,max_retries=1,tokenized_requests=False"
    return [
        os.environ["LM_EVAL"], "--model", "local-chat-completions", "--model_args", model, "--tasks", "load_sums",
        "--include_path", str(folder / "tasks"), "--apply_chat_template", "--output_path", str(folder / "lm_eval"),
    ]


def promptfoo(folder, address):
    rows = [json.loads(line) for line in (folder / "sums.jsonl").open()]
    tests = [{"vars": {"question": row["question"]}, "assert": [{"type": "contains", "value": row["answer"]}]} for row in rows]
    provider = {"id": "openai:chat:canary", "config": {"apiBaseUrl": f"{address}/v1", "apiKey": "none", "max_tokens": 8}}
    config = {"prompts": ["{{question}}"], "providers": [provider], "tests": tests}
    (folder / "promptfoo.json").write_text(json.dumps(config))
    command = [os.environ["PROMPTFOO"], "eval", "-c", "promptfoo.json", "-j", "64", "--no-cache", "--no-table"]
    return [*command, "--no-progress-bar", "-o", "promptfoo-out.json"]


def peers(folder):
    os.environ.setdefault("OPENAI_API_KEY", "none")
    for name in ["DISABLE_TELEMETRY", "DISABLE_UPDATE", "DISABLE_REMOTE_GENERATION"]:
        os.environ[f"PROMPTFOO_{name}"] = "1"
    os.environ["PROMPTFOO_CONFIG_DIR"] = str(folder / "promptfoo")
    os.environ["HF_DATASETS_CACHE"] = str(folder / "hf")
    for name, variable, command in [("lm-eval", "LM_EVAL", lm_eval), ("promptfoo", "PROMPTFOO", promptfoo)]:
        if not os.environ.get(variable):
            print(f"{name}: not measured ({variable} is not set)")
            continue
        with Served() as server:
            # One subject, so twice the items for as many requests.
            prepare(folder, server.address, 4000, 64)
            # promptfoo ends with 100 where an assertion fails, and the server is wrong now and then.
            try:
                wall, cpu, memory = measured(command(folder, server.address), folder, ends=(0, 100))
            except SystemExit as fault:
                print(f"{name}: not measured: {str(fault).strip().splitlines()[-1]}")
                continue
            ideal = 2000 / 64 * LATENCY
            print(f"{name}: {wall:.2f} s wall, ratio {wall / ideal:.2f}, {cpu:.2f} CPU s, {memory:.0f} MB", flush=True)


def main():
    words = sys.argv[1:] or ["load", "peers"]
    parts = {"load": load, "faults": faults, "peers": peers}
    for program in [QUANTGATE, SERVER]:
        if not program.is_file():
            sys.exit(f"there is no {program}: cargo build --release --bin quantgate --example load_server")
    unknown = [word for word in words if word not in parts]
    if unknown:
        sys.exit(__doc__)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="quantgate-load-"))
    try:
        for word in words:
            parts[word](folder)
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
