#!/usr/bin/env python3
"""Counts greedy continuations that differ between llama-server and quantgate's own engine, and which of them are near-ties.

    benches/greedy.py LLAMA_SERVER GGUF … [--arithmetic NAME] [--kv TYPE] [--prompts 50] [--tokens 64] [--near 0.05]

For every file: beginnings of the prose dataset's texts are continued at temperature 0 by a llama-server that is started for it
(one sequence, one thread, keys and values of the type named, no flash attention) and by the example `greedy`. Where two
continuations part, the gap between the two largest logits there is printed for both programs; below --near it is a near-tie.
Needs: OWN, the example (default: target/release/examples/greedy). Exit code 1 where a difference is no near-tie.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


def prompts(count):
    rows = [json.loads(line)["text"] for line in Path("datasets/prose.jsonl").read_text(encoding="utf-8").splitlines()]
    return [" ".join(text.split()[: 6 + index % 12]) for index, text in enumerate(rows[:count])]


def own(model, texts, options):
    program = os.environ.get("OWN", "target/release/examples/greedy")
    command = [program, model, options.arithmetic, options.kv, str(options.tokens)]
    done = subprocess.run(command, input="\n".join(map(json.dumps, texts)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ask(port, path, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def served(server, model, texts, options):
    """The server's tokens, and the gaps of the two likeliest tokens' log-probabilities, which is that of their logits."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["-fa", "off", "-ctk", options.kv, "-ctv", options.kv, "-t", "1", "-np", "1", "-c", "512", "--no-warmup"]
    command = [server, "-m", model, "--host", "127.0.0.1", "--port", str(port), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                ask(port, "/health")
                break
            except OSError:
                time.sleep(0.1)
        answers = []
        for text in texts:
            body = {"prompt": text, "n_predict": options.tokens, "temperature": 0, "n_probs": 2, "return_tokens": True,
                    "cache_prompt": False}
            answer = ask(port, "/completion", body)
            likely = [place["top_logprobs"] for place in answer.get("completion_probabilities", [])]
            gaps = [top[0]["logprob"] - top[1]["logprob"] for top in likely]
            # The token that ends an answer is told there and not here.
            tokens = answer["tokens"][:-1] if answer.get("stop_type") == "eos" else answer["tokens"]
            answers.append({"tokens": tokens, "gaps": gaps, "prompt": answer["tokens_evaluated"]})
        return answers
    finally:
        process.terminate()
        process.wait()


def compare(model, theirs, ours, near):
    """Prints each place where they part; returns (differing, near-ties)."""
    differ = ties = 0
    for index, (their, our) in enumerate(zip(theirs, ours)):
        if their["prompt"] != our["prompt"]:
            sys.exit(f"{model}: prompt {index} has {their['prompt']} tokens there and {our['prompt']} here")
        if their["tokens"] == our["tokens"]:
            continue
        differ += 1
        at = next((i for i, (a, b) in enumerate(zip(their["tokens"], our["tokens"])) if a != b), min(len(their["tokens"]), len(our["tokens"])))
        gaps = [of["gaps"][at] if at < len(of["gaps"]) else float("nan") for of in (their, our)]
        # An end token has no gap of its own in the server's answer.
        tie = min(gap for gap in gaps if gap == gap) < near
        ties += tie
        print(f"  prompt {index} parts at token {at}: gap {gaps[0]:.4f} there, {gaps[1]:.4f} here{'' if tie else '  NOT A TIE'}")
    return differ, ties


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--arithmetic", default="weights-f32")
    parser.add_argument("--kv", default="f32")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--near", type=float, default=0.05)
    options = parser.parse_args()
    os.chdir(Path(__file__).parent.parent)
    texts = prompts(options.prompts)
    worst = 0
    for model in options.models:
        differ, ties = compare(model, served(options.server, model, texts, options), own(model, texts, options), options.near)
        print(f"{model}: {differ} of {len(texts)} continuations differ, {ties} of them at a near-tie", flush=True)
        worst |= differ > ties
    sys.exit(worst)


if __name__ == "__main__":
    main()
