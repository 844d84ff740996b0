#!/usr/bin/env python3
"""Writes the reference logits that the local engine is compared with.

    python3 examples/demo_model/reference_logits.py models/demo tests/fixtures/logits

Needs `torch` and `transformers`. Runs the model of the first argument (a Hugging Face folder) in f32 on one thread, over
the prompts below, and writes one JSON file per prompt into the folder of the second: the prompt, its token ids, and for
some positions the eight largest logits and those of sixteen columns spread over the vocabulary. Run it again whenever the
weights or the tokenizer change; `tests/it/logits.rs` reads the files.
"""

import json
import pathlib
import sys

import torch
import transformers

PROMPTS = {
    "arithmetic": "12 + 30 = 42. 7 + 8 = 15. 96 - 59 = ",
    "prose": "The library stands by the church under the hill. In the garden, an old man waits for the next train to the coast; "
    "he counts the boats, one after the other, and writes their names in a small book.",
    "code": "def f(x):\n    y = x * 3\n    return y - 4\n\nprint(f(5))  # -> ",
    "unicode": "Zürich, año, déjà vu: 数 42 €\n",
}


def main() -> None:
    model_folder, out_folder = map(pathlib.Path, sys.argv[1:3])
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager").eval()
    out_folder.mkdir(parents=True, exist_ok=True)
    cases = {name: (text, tokenizer(text)["input_ids"]) for name, text in PROMPTS.items()}
    # As long as the context: every rotary position is used.
    joined = " ".join(PROMPTS.values()) + "\n"
    whole = (tokenizer(joined * 8)["input_ids"])[: model.config.max_position_embeddings]
    cases["full_context"] = (None, whole)
    for name, (text, ids) in cases.items():
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0]
        step = max(1, len(ids) // 12)
        positions = sorted({*range(0, len(ids), step), len(ids) - 1})
        columns = range(0, logits.shape[1], logits.shape[1] // 16)
        rows = []
        for position in positions:
            row = logits[position]
            chosen = dict.fromkeys([*row.topk(8).indices.tolist(), *columns])
            rows.append({"position": position, "logits": [[column, row[column].item()] for column in chosen]})
        case = {
            "made_by": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, f32",
            "text": text,
            "ids": ids,
            "rows": rows,
        }
        (out_folder / f"{name}.json").write_text(json.dumps(case, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
