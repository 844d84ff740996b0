"""Compares quantgate with lm-evaluation-harness item by item; see benches/lm_eval.sh.

    item_by_item.py OUT MODEL DATASETS ITEMS
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

TASKS = ("recall", "arithmetic", "trace", "numerals")

YAML = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{options}}}}"
doc_to_target: "{{{{right}}}}"
target_delimiter: ""
metric_list:
  - metric: acc
  - metric: acc_norm
  - metric: acc_bytes
metadata:
  version: 1.0
"""

TASK = """
[[task]]
name = "{name}"
about = "The same rows as lm-eval's."
kind = "choice"
dataset = "{name}.jsonl"
prompt = "{{{{ context }}}}"
options = "options"
target = "{{{{ options[right] }}}}"
scorer = {{ kind = "choice", normalize = "none" }}
"""

PLAN = """name = "lm_eval"
suites = ["suite.toml"]
seed = 1
[canary]
model = "{model}"
[[variant]]
name = "q8_0"
quantize = "q8_0"
[policy]
alpha = 0.05
margin = "50pp"
"""


def rows(datasets, name, count):
    """Contexts, options and the right option's place."""
    source = random.Random(11)
    read = [json.loads(line) for line in (datasets / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in read[:count]:
        if name == "recall":
            yield row["id"], row["context"], row["options"], row["options"].index(f" {row['answer'].strip()}")
            continue
        context = {"arithmetic": "{question}=", "trace": "{program} ", "numerals": "{question}:\n"}[name].format(**row)
        # A context that ends in a space gives it to the options: lm-eval's rule, and quantgate's.
        language = lambda other: name != "numerals" or other["slice"] == row["slice"]  # noqa: E731, B023
        others = {other["answer"] for other in read if language(other) and other["answer"] != row["answer"]}
        options = [row["answer"], *source.sample(sorted(others), 3)]
        source.shuffle(options)
        yield row["id"], context, options, options.index(row["answer"])


def write(out, datasets, count):
    (out / "tasks").mkdir(parents=True, exist_ok=True)
    suite = 'name = "lm_eval"\nabout = "Multiple choice."\n'
    for name in TASKS:
        keys = ("id", "context", "options", "right")
        made = [dict(zip(keys, row, strict=True)) for row in rows(datasets, name, count)]
        file = out / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")
        (out / "tasks" / f"{name}.yaml").write_text(YAML.format(name=name, file=file.resolve()))
        suite += TASK.format(name=name)
    (out / "suite.toml").write_text(suite)


def quantgate(out, model):
    """Option scores of the canary by task and sample."""
    (out / "plan.toml").write_text(PLAN.format(model=model.resolve()))
    shutil.rmtree(out / "reports", ignore_errors=True)
    command = [os.environ["QUANTGATE"], "run", out / "plan.toml", "--reports", out / "reports", "--cache", out / "cache"]
    subprocess.run([*command, "--fresh", "--no-progress"], stdout=subprocess.DEVNULL, check=False)
    scores = {}
    for line in next((out / "reports").glob("*/journal.jsonl")).read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "unit-finished" and event["subject"] == "canary":
            scores[event["task"], event["sample"]] = event["answer"]["options"]
    return scores


def lm_eval(out, model):
    """Log-likelihoods and metrics by task and sample."""
    shutil.rmtree(out / "samples", ignore_errors=True)
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32"]
    command += ["--tasks", ",".join(TASKS), "--include_path", out / "tasks", "--device", "cpu", "--batch_size", "32"]
    subprocess.run([*command, "--log_samples", "--output_path", out / "samples"], check=True, stdout=subprocess.DEVNULL)
    samples = {}
    for name in TASKS:
        file = max((out / "samples").rglob(f"samples_{name}_*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            scores = [float(answer[0]) for answer in sample["filtered_resps"]]
            samples[name, sample["doc"]["id"]] = sample | {"scores": scores}
    return samples


def first_best(values):
    return max(range(len(values)), key=values.__getitem__)


def compare(ours, theirs):
    print(f"{'task':<12} {'items':>6} {'largest difference':>19}  items on which acc, acc_norm, acc_bytes differ   means")
    worst = 0
    for name in TASKS:
        differing, count, largest, means = {"acc": 0, "acc_norm": 0, "acc_bytes": 0}, 0, 0.0, {}
        for (task, sample), them in theirs.items():
            # A task whose verdict is certain is asked no further: what was not asked has no score to compare.
            if task != name or (task, sample) not in ours:
                continue
            options, doc = ours[task, sample], them["doc"]
            count += 1
            scores = [option["log_likelihood"] for option in options]
            largest = max(largest, max(abs(a - b) for a, b in zip(scores, them["scores"], strict=True)))
            by_length = [score / len(text) for score, text in zip(scores, doc["options"], strict=True)]
            by_bytes = [option["log_likelihood"] / option["bytes"] for option in options]
            for metric, values in (("acc", scores), ("acc_norm", by_length), ("acc_bytes", by_bytes)):
                right = float(first_best(values) == doc["right"])
                differing[metric] += right != them[metric]
                means[metric] = means.get(metric, 0.0) + right
        worst = max(worst, *(share / count for share in differing.values()))
        shown = ", ".join(f"{metric} {total / count:.4f}" for metric, total in means.items())
        print(f"{name:<12} {count:>6} {largest:>19.2e}  {', '.join(map(str, differing.values())):<45} {shown}")
    print(f"largest share of items that differ: {worst:.2%} (at most 0.20%)")
    return 0 if worst <= 0.002 else 1


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    out, model, datasets = map(Path, sys.argv[1:4])
    write(out, datasets, int(sys.argv[4]))
    sys.exit(compare(quantgate(out, model), lm_eval(out, model)))


if __name__ == "__main__":
    main()
