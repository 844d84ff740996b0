"""Seconds and peak memory of `quantgate compare` on made-up result pairs of growing size.

    cargo build --release && python3 benches/compare.py [ROWS ...]

Writes lm-evaluation-harness folders (about 600 bytes a line) and plain JSON lines into a temporary folder. The bytes a sample
are the slope of the peak resident set between the smallest and the largest size: what a program needs anyway is not counted.
"""
import hashlib, json, pathlib, random, resource, subprocess, sys, tempfile, time

QUANTGATE = pathlib.Path(__file__).parent.parent / "target" / "release" / "quantgate"
sizes = [int(n) for n in sys.argv[1:]] or [10_000, 1_000_000]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder, rows):
    draw = random.Random(1)
    for name in ["canary", "variant"]:
        (folder / name).mkdir()
    with open(folder / "canary/samples_sums.jsonl", "w") as a, open(folder / "variant/samples_sums.jsonl", "w") as b, \
         open(folder / "canary.jsonl", "w") as c, open(folder / "variant.jsonl", "w") as d:
        for i in range(rows):
            right = draw.random() < 0.8
            other = right if draw.random() > 0.03 else not right
            text = f"What is {i} plus {i}? Think about it, then say the number and nothing else."
            hashes = [digest(text + salt) for salt in "dpt"]
            for lm_eval, plain, score in [(a, c, right), (b, d, other)]:
                answer = str(2 * i) if score else "0"
                row = {"doc_id": i, "doc": {"question": text, "answer": str(2 * i)}, "target": str(2 * i),
                       "arguments": {"gen_args_0": {"arg_0": text, "arg_1": {"until": ["\n"], "do_sample": False}}},
                       "resps": [[answer]], "filtered_resps": [answer], "filter": "none", "metrics": ["exact_match"],
                       "doc_hash": hashes[0], "prompt_hash": hashes[1], "target_hash": hashes[2], "exact_match": float(score)}
                lm_eval.write(json.dumps(row) + "\n")
                plain.write(json.dumps({"id": i, "score": int(score)}) + "\n")


def measure(canary, variant, out):
    code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    began = time.time()
    command = [QUANTGATE, "compare", canary, variant, "--margin", "1pp", "--out", out]
    peak = int(subprocess.check_output([sys.executable, "-c", code, *map(str, command)])) * 1024
    return time.time() - began, peak


peaks = {}
for rows in sizes:
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        write(home, rows)
        for kind, ends in [("lm-eval", ""), ("JSON lines", ".jsonl")]:
            seconds, peak = measure(home / f"canary{ends}", home / f"variant{ends}", home / "out")
            size = (home / "canary.jsonl").stat().st_size if ends else (home / "canary/samples_sums.jsonl").stat().st_size
            peaks.setdefault(kind, []).append((rows, peak))
            print(f"{kind:<10} {rows:>9,} pairs, 2 files of {size / 1e6:7.1f} MB: {seconds:6.2f} s, peak {peak / 1e6:6.1f} MB", flush=True)
for kind, points in peaks.items():
    (n0, p0), (n1, p1) = points[0], points[-1]
    if n1 > n0:
        print(f"{kind:<10} {(p1 - p0) / (n1 - n0):.0f} bytes a sample, canary and variant together")
