"""Runs the parts of benches/speed.sh; see there.

    speed.py OUT [PART …]
    speed.py lm_eval MODEL ITEMS SCORES      one scoring of lm-eval, timed (a process of its own, started by the above)
"""

import json
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
GOALS = {
    "lm_eval": ("lm-eval over quantgate", 10, 5),
    "choice": ("llama-perplexity over quantgate", 4, 2),
    "few_shot": ("lm-eval over quantgate", 30, 10),
    "divergence": ("quantgate over llama-perplexity", 0.4, 0.7),
    "prefill": ("quantgate over llama-bench, tokens a second", 1.5, 0.8),
    "decode": ("quantgate over llama-bench, tokens a second", 1.0, 0.6),
    "suite": ("GB beyond the models", 0.5, 1.0),
}


def environment(name):
    return os.environ[name]


THREADS = os.environ.get("THREADS", "2")
REPEAT = int(os.environ.get("REPEAT", "5"))


class Ended:
    """A process that ended: its output, its wall time in seconds and its most main memory in MiB."""

    def __init__(self, command, check=True, **more):
        command = [str(word) for word in command]
        began = time.monotonic()
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, text=True, **more)
            _, status, usage = os.wait4(process.pid, 0)
            self.wall = time.monotonic() - began
            self.code = os.waitstatus_to_exitcode(status)
            self.peak = usage.ru_maxrss / 1024
            self.cpu = usage.ru_utime + usage.ru_stime
            out.seek(0)
            err.seek(0)
            self.out, self.err = out.read(), err.read()
        if check and self.code != 0:
            sys.exit(f"{' '.join(command)} ended with {self.code}:\n{self.out[-2000:]}\n{self.err[-2000:]}")

    def said(self):
        """What was printed as JSON lines, as one table."""
        table = {}
        for line in self.out.splitlines():
            if line.startswith("{"):
                table |= json.loads(line)
        return table


# Items


def words(source, count):
    """About so many characters of plain sentences."""
    subjects = ["The old man", "A miller", "The nurse", "Her brother", "The small dog", "A farmer", "The teacher"]
    verbs = ["counts", "paints", "carries", "finds", "draws", "repairs", "forgets", "describes"]
    objects = ["the boats", "seven birds", "a green door", "the garden wall", "two letters", "an empty box", "the bells"]
    places = ["by the church", "under the hill", "near the library", "behind the house", "at the market", "before the rain"]
    text = ""
    while len(text) < count:
        parts = [source.choice(kind) for kind in (subjects, verbs, objects, places)]
        text += f"{' '.join(parts)} on day {source.randrange(100)}. "
    return text[:count].rsplit(" ", 1)[0]


def options(source):
    kinds = ["the garden behind the church", "a boat with two birds", "seven green doors", "an old letter from the nurse"]
    kinds += ["the bells of the market", "his brother's empty box", "rain on the hill", "a small wall"]
    return [f" {kind} {source.randrange(10)}" for kind in source.sample(kinds, 4)]


def own_contexts(count):
    """Items whose four options share about 700 characters of their own."""
    source = random.Random(5)
    return [{"context": words(source, 680) + " Which is it?", "options": options(source)} for _ in range(count)]


def behind_header(count):
    """Items behind one header of five examples, about 1,500 tokens of the demonstration model's tokenizer."""
    source = random.Random(7)
    header = ""
    for shot in range(5):
        header += f"Question {shot}: {words(source, 760)}\nAnswer:{options(source)[0]}\n\n"
    make = lambda number: f"{header}Question {number}: what does {words(source, 24)}\nAnswer:"  # noqa: E731
    return [{"context": make(number), "options": options(source)} for number in range(count)]


def written(items, file):
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return file


def as_multiple_choice(items, file):
    """llama-perplexity's binary format: counts, places, then question and answers of each task, twice."""
    string = lambda text: struct.pack("<I", len(text.encode())) + text.encode()  # noqa: E731
    tasks = []
    for item in items:
        answers = [option.removeprefix(" ") for option in item["options"]]
        labels = struct.pack(f"<{len(answers)}i", 1, *[0] * (len(answers) - 1))
        choices = struct.pack("<I", len(answers)) + b"".join(map(string, answers)) + labels
        tasks.append(string(item["context"]) + choices + choices)
    places, at = [], 0
    for task in tasks:
        places.append(at)
        at += len(task)
    file.write_bytes(struct.pack(f"<I{len(tasks)}I", len(tasks), *places) + b"".join(tasks))
    return file


# Sides


def quantgate(model, items, scores, arithmetic="weights-f32"):
    ended = Ended([environment("ENGINE_SPEED"), model, "--items", items, "--out", scores, "--threads", THREADS, "--arithmetic", arithmetic], check=False)
    if ended.code != 0:
        print(f"  quantgate refused {model} by {arithmetic}: {ended.err.strip().splitlines()[-1:]}", flush=True)
        return None
    said = ended.said()
    return {"process": ended.wall, "scoring": said["scoring"], "peak_mib": ended.peak, "loaded": said["loaded"], "opened": said["opened"], "cpu": said["cpu"]}


def lm_eval(model, items, scores):
    ended = Ended([sys.executable, __file__, "lm_eval", model, items, scores])
    return ended.said() | {"peak_mib": ended.peak}


def scoring_of_lm_eval(model, items, scores):
    """lm-eval's `hf` on the processor in f32; only its scoring is timed, without imports and loading."""
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(int(THREADS))
    network = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=int(os.environ.get("LM_EVAL_BATCH", "32")))
    rows = [json.loads(line) for line in Path(items).read_text(encoding="utf-8").splitlines()]
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=(row["context"], option), idx=place)
        for row in rows
        for place, option in enumerate(row["options"])
    ]
    began = time.monotonic()
    answers = network.loglikelihood(requests, disable_tqdm=True)
    print(json.dumps({"scoring": time.monotonic() - began}))
    flat = iter(answers)
    Path(scores).write_text("".join(json.dumps([next(flat)[0] for _ in row["options"]]) + "\n" for row in rows))


def llama_choice(model, tasks, count):
    """`llama-perplexity --multiple-choice`: its process, loading included as in ours."""
    command = [Path(environment("LLAMA_CPP_BIN")) / "llama-perplexity", "-m", model, "--multiple-choice", "-bf", tasks]
    # Its context is -c times -np: room for 128 sequences in one batch, so that it packs as many items as it can.
    command += ["-t", THREADS, "-c", "128", "-b", "2048", "-ub", "512", "-np", "128", "--multiple-choice-tasks", str(count)]
    ended = Ended(command)
    return {"process": ended.wall, "cpu": ended.cpu, "peak_mib": ended.peak}


def agreement(ours, theirs):
    """The largest difference between log-likelihoods, and how many items have another best option."""
    read = lambda file: [json.loads(line) for line in Path(file).read_text().splitlines()]  # noqa: E731
    pairs = list(zip(read(ours), read(theirs), strict=True))
    worst = max(abs(a - b) for left, right in pairs for a, b in zip(left, right, strict=True))
    best = lambda scores: max(range(len(scores)), key=scores.__getitem__)  # noqa: E731
    return {"largest_difference": worst, "other_choices": sum(best(a) != best(b) for a, b in pairs)}


# Parts


class Table:
    """What was measured."""

    def __init__(self, out):
        self.out, self.rows, self.times = out, [], {}

    def turns(self, name, **sides):
        """Each side in turns; the medians of what each says."""
        runs = {side: [] for side in sides}
        for _ in range(REPEAT):
            for side, run in sides.items():
                said = run()
                if said is None:
                    return None
                runs[side].append(said)
        self.times[name] = runs
        (self.out / "speed.json").write_text(json.dumps(self.times, indent=1))
        median = lambda said: {key: statistics.median(one[key] for one in said) for key in said[0]}  # noqa: E731
        return {side: median(said) for side, said in runs.items()}

    def add(self, part, what, value, note=""):
        goal = GOALS.get(part)
        against = f"{goal[0]}; goal {goal[1]}, at least {goal[2]}" if goal else ""
        self.rows.append(f"{what:<34} {value:>10}  {against}{'; ' if against and note else ''}{note}")
        print(self.rows[-1], flush=True)


def part_lm_eval(table, shapes, out, name="lm_eval", items=None):
    items = items or own_contexts(int(environment("ITEMS")))
    file = written(items, out / f"{name}.jsonl")
    model = shapes / "26m" / "hf"
    ours, theirs = out / f"{name}-ours.txt", out / f"{name}-theirs.txt"
    medians = table.turns(name, ours=lambda: quantgate(model, file, ours), theirs=lambda: lm_eval(model, file, theirs))
    agree = agreement(ours, theirs)
    us, them = medians["ours"], medians["theirs"]
    note = f"{them['scoring']:.2f} s over {us['process']:.2f} s with loading ({us['scoring']:.2f} s without), "
    note += f"log-likelihoods within {agree['largest_difference']:.1e}, {agree['other_choices']} other choices of {len(items)}"
    table.add(name, f"{len(items)} items ({name}), process", f"{them['scoring'] / us['process']:.2f} x", note)
    table.add(name, f"{len(items)} items ({name}), scoring", f"{them['scoring'] / us['scoring']:.2f} x")


def part_few_shot(table, shapes, out):
    part_lm_eval(table, shapes, out, "few_shot", behind_header(int(environment("HEADED"))))


def part_choice(table, shapes, out):
    items = own_contexts(int(environment("ITEMS")))
    file, tasks = written(items, out / "choice.jsonl"), as_multiple_choice(items, out / "choice.bin")
    for kind in ("f16", "q8_0", "q4_k_m"):
        model = shapes / "26m" / f"{kind}.gguf"
        for arithmetic in ("ggml", "weights-f32"):
            scores = out / f"choice-{kind}.txt"
            medians = table.turns(
                f"choice {kind} {arithmetic}",
                ours=lambda: quantgate(model, file, scores, arithmetic),  # noqa: B023
                theirs=lambda: llama_choice(model, tasks, len(items)),  # noqa: B023
            )
            if medians is None:
                table.add("choice", f"{kind}, {arithmetic}", "-", "refused")
                continue
            us, them = medians["ours"], medians["theirs"]
            note = f"{them['process']:.2f} s over {us['process']:.2f} s, both with loading"
            table.add("choice", f"{kind}, {arithmetic}, process", f"{them['process'] / us['process']:.2f} x", note)


def part_divergence(table, shapes, out):
    base, variant, context, chunks = shapes / "26m" / "f16.gguf", shapes / "26m" / "q4_k_m.gguf", "512", "8"
    text = out / "text.txt"
    text.write_text(words(random.Random(3), 30_000), encoding="utf-8")
    logits, program = out / "logits.bin", Path(environment("LLAMA_CPP_BIN")) / "llama-perplexity"
    common = ["-t", THREADS, "-c", context, "--chunks", chunks]

    def theirs():
        first = Ended([program, "-m", base, "-f", text, "--kl-divergence-base", logits, *common])
        size = logits.stat().st_size
        second = Ended([program, "-m", variant, "--kl-divergence-base", logits, "--kl-divergence", *common])
        logits.unlink()
        return {"process": first.wall + second.wall, "bytes": size}

    def ours(arithmetic):
        command = [environment("QUANTGATE"), "divergence", variant, "--base", base, "--text", text]
        command += ["-c", context, "--chunks", chunks, "--threads", THREADS, "--arithmetic", arithmetic]
        ended = Ended(command, check=False)
        return None if ended.code else {"process": ended.wall, "peak_mib": ended.peak}

    for arithmetic in ("ggml", "weights-f32"):
        medians = table.turns(f"divergence {arithmetic}", ours=lambda: ours(arithmetic), theirs=theirs)  # noqa: B023
        if medians is None:
            table.add("divergence", f"divergence, {arithmetic}", "-", "refused")
            continue
        us, them = medians["ours"], medians["theirs"]
        note = f"{us['process']:.2f} s over {them['process']:.2f} s; 0 bytes on disk against {them['bytes'] / 1e6:.0f} MB"
        table.add("divergence", f"divergence, {arithmetic}", f"{us['process'] / them['process']:.2f} x", note)


def part_bench(table, shapes, out):
    program = Path(environment("LLAMA_CPP_BIN")) / "llama-bench"

    def theirs(model):
        said = json.loads(Ended([program, "-m", model, "-p", "512", "-n", "64", "-r", "1", "-t", THREADS, "-o", "json"]).out)
        return {("prefill" if row["n_prompt"] else "decode"): row["avg_ts"] for row in said}

    def ours(model, arithmetic):
        command = [environment("ENGINE_SPEED"), model, "--prefill", "512", "--decode", "64", "--repeat", "1"]
        ended = Ended([*command, "--threads", THREADS, "--arithmetic", arithmetic], check=False)
        if ended.code:
            return None
        said = ended.said()
        return {"prefill": said["prefill_tokens_per_second"], "decode": said["decode_tokens_per_second"], "peak_mib": ended.peak}

    for kind in ("q4_k_m", "f16"):
        model = shapes / "1b" / f"{kind}.gguf"
        for arithmetic in ("ggml", "weights-f32"):
            medians = table.turns(
                f"bench {kind} {arithmetic}",
                ours=lambda: ours(model, arithmetic),  # noqa: B023
                theirs=lambda: theirs(model),  # noqa: B023
            )
            if medians is None:
                table.add("prefill", f"{kind}, {arithmetic}", "-", "refused")
                continue
            us, them = medians["ours"], medians["theirs"]
            for what in ("prefill", "decode"):
                note = f"{us[what]:.1f} against {them[what]:.1f} tokens/s"
                table.add(what, f"{what} {kind}, {arithmetic}", f"{us[what] / them[what]:.2f} x", note)


def part_suite(table, shapes, out):
    plan, folder = ROOT / "quantgate.toml", out / "suite"
    command = [environment("QUANTGATE"), "run", plan, "--reports", folder, "--cache", out / "suite-cache", "--fresh", "--no-progress"]
    command += ["--threads", THREADS] + (["--limit", os.environ["LIMIT"]] if "LIMIT" in os.environ else [])
    ended = Ended(command, check=False)
    # The canary's weights and those of the plan's variants, as files and as they are held: f32, which is the larger.
    parameters = 3_409_152
    models = 5 * parameters * 4 / 1e9
    note = f"{ended.peak / 1024:.2f} GiB in all, {models:.2f} GB of them five models in f32, ended with {ended.code}"
    table.add("suite", "standard suite, most memory", f"{ended.peak * 1.048576e6 / 1e9 - models:.2f} GB", note)


def part_large(table, shapes, out):
    model = shapes / "7b" / "q4_k_m.gguf"
    count = min(20, int(environment("ITEMS")))
    file = written(own_contexts(count), out / "large.jsonl")
    for arithmetic in ("ggml", "weights-f32"):
        said = quantgate(model, file, out / "large.txt", arithmetic)
        if said is None:
            table.add("large", f"7b, {arithmetic}", "-", "refused")
            continue
        note = f"opened in {said['opened']:.2f} s, loaded in {said['loaded']:.2f} s, most memory {said['peak_mib'] / 1024:.2f} GiB"
        table.add("large", f"7b, {arithmetic}, {count} items", f"{said['scoring']:.1f} s", note)


PARTS = {
    "lm_eval": part_lm_eval,
    "choice": part_choice,
    "few_shot": part_few_shot,
    "divergence": part_divergence,
    "bench": part_bench,
    "suite": part_suite,
    "large": part_large,
}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "lm_eval":
        return scoring_of_lm_eval(*sys.argv[2:])
    out, shapes = Path(sys.argv[1]), Path(environment("SHAPES"))
    out.mkdir(parents=True, exist_ok=True)
    table = Table(out)
    for name in sys.argv[2:] or PARTS:
        PARTS[name](table, shapes, out)
    print("\n" + "\n".join(table.rows))


if __name__ == "__main__":
    main()
