#!/usr/bin/env python3
"""Makes tests/fixtures/families: a small random model of every family, and the logits that transformers gives it.

    python3 examples/family_models/make.py models/demo/tokenizer.json tests/fixtures/families [NAME ...]

Needs `torch` and `transformers`. Every model has weights that bf16 holds exactly, windows smaller than the prompts, and norms,
biases and routers that matter; the same seed gives the same files. Per model: `config.json` and `model.safetensors` as
transformers writes them, and `logits.safetensors` with the token ids of each prompt and its logits in f32 with eager attention.
To keep that file small, a row at position p has the columns p % 8, p % 8 + 8, p % 8 + 16 and so on. All models share
`tokenizer.json`, the demonstration model's without most of its merges. `tests/it/families.rs` reads the files.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

ROWS = 288
PROMPTS = [
    "The boat waits.",
    "12 + 30 = 42. 7 + 8 = ",
    "def f(x):\n    return x * 3  # Zürich, año",
]
SHAPE = {
    "vocab_size": ROWS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
    "tie_word_embeddings": False,
}
FEW = {"num_attention_heads": 2, "num_key_value_heads": 1}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LONG = {"rope_type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.9], "long_factor": [1.0, 2.0, 4.0, 8.0]}

MODELS = {
    "llama": ("Llama", {}),
    "llama3": ("Llama", FEW | {"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 64}, "rope_theta": 500.0}),
    "yarn": ("Llama", FEW | {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}}),
    "mistral": ("Mistral", {"sliding_window": None, "tie_word_embeddings": True}),
    "mistral_window": ("Mistral", {"sliding_window": 8}),
    "nemo": ("Mistral", {"sliding_window": None, "head_dim": 16, "rope_theta": 1e6}),
    "mixtral": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 32}),
    "qwen2": ("Qwen2", {"num_hidden_layers": 3, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "gemma2": (
        "Gemma2",
        {
            "num_hidden_layers": 3,
            "head_dim": 16,
            "sliding_window": 6,
            "query_pre_attn_scalar": 10,
            "attn_logit_softcapping": 3.0,
            "final_logit_softcapping": 8.0,
            "tie_word_embeddings": True,
        },
    ),
    "phi3": ("Phi3", {"sliding_window": 10, "partial_rotary_factor": 0.5}),
    "phi3_long": (
        "Phi3",
        {"max_position_embeddings": 256, "original_max_position_embeddings": 64, "sliding_window": None, "rope_scaling": LONG},
    ),
}


def tokenizer_file(source: pathlib.Path) -> dict:
    """The tokenizer cut down to its first tokens, and the merges that make some of them."""
    tokenizer = json.loads(source.read_text(encoding="utf-8"))
    model = tokenizer["model"]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if number < ROWS - 4}
    model["merges"] = [pair for pair in model["merges"] if "".join(pair) in model["vocab"]]
    return tokenizer


def fill(model: torch.nn.Module, gemma: bool) -> None:
    """Draws all weights anew, such that no part of the model can be left out unnoticed."""
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.normal_(0.0 if gemma else 1.0, 0.3)
        elif name.endswith("bias"):
            parameter.normal_(0.0, 0.5)
        elif "embed" in name:
            parameter.normal_(0.0, 0.5)
        else:
            parameter.normal_(0.0, 1.5 / parameter.shape[-1] ** 0.5)
        parameter.copy_(parameter.bfloat16())


def make(name: str, folder: pathlib.Path, prompts: list) -> None:
    family, settings = MODELS[name]
    torch.manual_seed(list(MODELS).index(name) + 1)
    config = getattr(transformers, f"{family}Config")(**(SHAPE | settings))
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{family}ForCausalLM")(config).float().eval()
    fill(model, family == "Gemma2")
    tensors = {}
    for index, ids in enumerate(prompts):
        logits = model(torch.tensor([ids])).logits[0]
        tensors[f"{index}.ids"] = torch.tensor(ids, dtype=torch.int32)
        rows = [row[position % 8 :: 8] for position, row in enumerate(logits)]
        tensors[f"{index}.logits"] = torch.stack(rows)
        print(f"{name}: {len(ids)} tokens, logits from {logits.min():.2f} to {logits.max():.2f}")
    folder.mkdir(parents=True, exist_ok=True)
    model.bfloat16().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    save_file(tensors, folder / "logits.safetensors")
    for file in folder.iterdir():
        file.chmod(0o644)


def main() -> None:
    source, out, *names = sys.argv[1:]
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    file = tokenizer_file(pathlib.Path(source))
    (out / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=False) + "\n", encoding="utf-8")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(out / "tokenizer.json"))
    prompts = [tokenizer(text)["input_ids"] for text in PROMPTS]
    with torch.inference_mode():
        for name in names or MODELS:
            make(name, out / name, prompts)


if __name__ == "__main__":
    main()
