"""What transformers and tokenizers say about the demonstration model, to hold llama.cpp's answers against.

    reference.py text DATASETS FILE                         the prose dataset as one text
    reference.py tokens MODEL DATASETS LLAMA_TOKENIZE GGUF  compares token ids of strings from every dataset
    reference.py perplexity MODEL FILE CONTEXT              llama-perplexity's chunk protocol in transformers, f32
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS_PER_DATASET = 40


def rows(datasets, name):
    """The rows of one dataset."""
    return [json.loads(line) for line in (Path(datasets) / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def text(datasets, file):
    """Writes the prose rows, one per line."""
    Path(file).write_text("\n".join(row["text"] for row in rows(datasets, "prose")), encoding="utf-8")


def strings(datasets, tokenizer):
    """Strings of every dataset: plain prompts with their answers, chats as the template renders them."""
    for path in sorted(Path(datasets).glob("*.jsonl")):
        for row in rows(datasets, path.stem)[:ROWS_PER_DATASET]:
            user = row.get("request") or (row.get("question") if path.stem == "numerals" else None)
            if user:
                answer = row.get("answer") or json.dumps(row["call"])
                messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
                yield tokenizer.apply_chat_template(messages, tools=row.get("tools"), tokenize=False)
            else:
                parts = [row.get(key, "") for key in ("question", "context", "program", "register", "text")]
                yield f"{''.join(parts)} {row.get('answer', '')}"


def tokens(model, datasets, llama_tokenize, gguf):
    """Compares the token ids of llama-tokenize with those of tokenizer.json; exits 1 where any differ."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    compared = differing = 0
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for string in strings(datasets, tokenizer):
            file.seek(0)
            file.truncate()
            file.write(string)
            file.flush()
            command = [llama_tokenize, "-m", gguf, "-f", file.name, "--ids", "--no-bos", "--no-escape", "--log-disable"]
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            theirs = json.loads(answer.strip().splitlines()[-1])
            ours = tokenizer(string, add_special_tokens=False).input_ids
            compared += 1
            if theirs != ours:
                differing += 1
                print(f"differs: {string!r}\n  llama.cpp      {theirs}\n  tokenizer.json {ours}")
    print(f"{compared} strings compared, {differing} differ")
    sys.exit(1 if differing else 0)


def perplexity(model, file, context):
    """llama-perplexity's protocol: chunks of `context` tokens, each opened by BOS, its second half scored."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    context = int(context)
    ids = AutoTokenizer.from_pretrained(model)(Path(file).read_text(encoding="utf-8")).input_ids
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    total, count, first = 0.0, 0, context // 2
    for start in range(0, len(ids) - context + 1, context):
        chunk = torch.tensor([[network.config.bos_token_id, *ids[start + 1 : start + context]]])
        with torch.no_grad():
            scores = network(chunk).logits[0, first:-1].log_softmax(-1)
        total -= scores.gather(1, chunk[0, first + 1 :, None]).sum().item()
        count += context - first - 1
    print(f"{math.exp(total / count):.4f}")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("text", "tokens", "perplexity"):
        sys.exit(__doc__)
    globals()[sys.argv[1]](*sys.argv[2:])
