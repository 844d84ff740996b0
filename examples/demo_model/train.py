#!/usr/bin/env python3
"""Trains the demonstration model in PyTorch: the program that made the committed weights.

    cargo run --release --example demo_model -- corpus          # writes tokens.u16 and documents.u16
    python examples/demo_model/train.py --steps 7000 --bf16     # steps of 16 rows of 256 tokens
    cp target/demo_model/model.safetensors models/demo/

`demo_model train` is the same recipe on candle. Both go on from their last checkpoint. Needs torch, numpy, safetensors.

The corpus is rows of 256 little-endian 16-bit numbers: the token, and for each token 0 (padding) or 2·k + (1 where the
loss counts it) for the row's k-th example. Attention stays within an example; the loss is the mean over counted tokens.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

ROW = 256
WARM_UP, LAST_RATE = 100, 0.02
MUON_RATE, MUON_MOMENTUM, MUON_DECAY = 0.02, 0.95, 0.02
ADAM_RATE, ADAM_BETAS = 0.004, (0.9, 0.98)
CHECKPOINT_EVERY, REPORT_EVERY = 200, 50


class Model:
    """A llama shape with tied embeddings; `weights` are named as Hugging Face names them."""

    def __init__(self, config):
        self.config = config
        self.heads, self.shared, self.size = (
            config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"])
        self.layers, self.width = config["num_hidden_layers"], config["hidden_size"]
        d, f = self.width, config["intermediate_size"]
        residual = (2 * self.layers) ** -0.5
        self.weights = {}
        self.normal("model.embed_tokens.weight", config["vocab_size"], d, 0.02)
        for layer in range(self.layers):
            at = f"model.layers.{layer}."
            self.normal(at + "self_attn.q_proj.weight", self.heads * self.size, d, d**-0.5)
            self.normal(at + "self_attn.k_proj.weight", self.shared * self.size, d, d**-0.5)
            self.normal(at + "self_attn.v_proj.weight", self.shared * self.size, d, d**-0.5)
            self.normal(at + "self_attn.o_proj.weight", d, self.heads * self.size, d**-0.5 * residual)
            self.normal(at + "mlp.gate_proj.weight", f, d, d**-0.5)
            self.normal(at + "mlp.up_proj.weight", f, d, d**-0.5)
            self.normal(at + "mlp.down_proj.weight", d, f, f**-0.5 * residual)
            for norm in ("input_layernorm", "post_attention_layernorm"):
                self.weights[f"{at}{norm}.weight"] = torch.ones(d, requires_grad=True)
        self.weights["model.norm.weight"] = torch.ones(d, requires_grad=True)
        frequencies = 1.0 / config["rope_theta"] ** (torch.arange(0, self.size, 2).float() / self.size)
        angles = torch.outer(torch.arange(ROW).float(), frequencies)
        self.cos, self.sin = (torch.cat([x, x], -1) for x in (angles.cos(), angles.sin()))

    def normal(self, name, rows, columns, deviation):
        self.weights[name] = (torch.randn(rows, columns) * deviation).requires_grad_(True)

    def turn(self, x):
        """Rotary position embedding in the half-split order."""
        half = self.size // 2
        return x * self.cos + torch.cat([-x[..., half:], x[..., :half]], -1) * self.sin

    def norm(self, name, x):
        return F.rms_norm(x, (self.width,), self.weights[name + ".weight"], self.config["rms_norm_eps"])

    def linear(self, name, x):
        return x @ self.weights[name + ".weight"].T

    def attention(self, name, x, mask):
        b, t, _ = x.shape
        split = lambda part, heads: self.linear(f"{name}.{part}", x).view(b, t, heads, self.size).transpose(1, 2)
        q, k = self.turn(split("q_proj", self.heads)), self.turn(split("k_proj", self.shared))
        v = split("v_proj", self.shared)
        k, v = (y.repeat_interleave(self.heads // self.shared, 1) for y in (k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.linear(f"{name}.o_proj", out.transpose(1, 2).reshape(b, t, -1))

    def hidden(self, tokens, examples):
        """Last hidden states, [rows, ROW, width]; a position sees earlier positions of its own example."""
        causal = torch.tril(torch.ones(ROW, ROW, dtype=torch.bool))
        mask = ((examples[:, :, None] == examples[:, None, :]) & causal)[:, None]
        x = F.embedding(tokens, self.weights["model.embed_tokens.weight"])
        for layer in range(self.layers):
            at = f"model.layers.{layer}."
            x = x + self.attention(at + "self_attn", self.norm(at + "input_layernorm", x), mask)
            y = self.norm(at + "post_attention_layernorm", x)
            gate = F.silu(self.linear(at + "mlp.gate_proj", y))
            x = x + self.linear(at + "mlp.down_proj", gate * self.linear(at + "mlp.up_proj", y))
        return self.norm("model.norm", x)

    def loss(self, tokens, marks, bf16):
        """Mean −ln p over the counted tokens; the head and the loss are in f32 either way."""
        examples = marks // 2
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            hidden = self.hidden(tokens, examples)
        hidden = hidden.float()
        counted = (marks[:, 1:] % 2 == 1) & (examples[:, 1:] == examples[:, :-1])
        logits = hidden[:, :-1][counted] @ self.weights["model.embed_tokens.weight"].T
        return F.cross_entropy(logits, tokens[:, 1:][counted])


class Muon:
    """Momentum orthogonalized by a quintic Newton–Schulz iteration, for the matrices of the blocks."""

    def __init__(self, weights):
        self.weights = weights
        self.momentum = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self.groups = {}
        for name, weight in weights.items():
            self.groups.setdefault(tuple(sorted(weight.shape)), []).append(name)

    @staticmethod
    def orthogonal(stack):
        """Wide matrices [n, rows, columns] with their singular values driven towards 1, in bf16."""
        a, b, c = 3.4445, -4.7750, 2.0315
        x = (stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
        for _ in range(5):
            square = x @ x.mT
            x = a * x + (b * square + c * (square @ square)) @ x
        return x.float()

    @torch.no_grad()
    def step(self, rate):
        for names in self.groups.values():
            updates = []
            for name in names:
                gradient, momentum = self.weights[name].grad, self.momentum[name]
                momentum.lerp_(gradient, 1 - MUON_MOMENTUM)
                update = gradient.lerp(momentum, MUON_MOMENTUM)
                updates.append(update if update.shape[0] <= update.shape[1] else update.T)
            for name, update in zip(names, self.orthogonal(torch.stack(updates))):
                weight = self.weights[name]
                rows, columns = weight.shape
                update = update if rows <= columns else update.T
                weight.mul_(1 - rate * MUON_DECAY).add_(update, alpha=-rate * max(1, rows / columns) ** 0.5)


def factor(step, steps):
    """The learning rate's factor: a warm-up, a plateau to the half, a straight line down."""
    done = step / steps
    cooled = 1.0 if done < 0.5 else (1 - done) / 0.5 * (1 - LAST_RATE) + LAST_RATE
    return min(1, (step + 1) / WARM_UP) * cooled


def replace(path, write):
    """Writes a file under another name and moves it into place, so that it is whole or absent."""
    unfinished = path.with_suffix(".unfinished")
    write(unfinished)
    os.replace(unfinished, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("models/demo/config.json"))
    parser.add_argument("--out", type=Path, default=Path("target/demo_model"), help="corpus, checkpoint, weights")
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--batch", type=int, default=16, help="rows per step")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as PyTorch likes")
    parser.add_argument("--bf16", action="store_true", help="products in bf16 (autocast), as for the committed weights")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.bf16:
        torch.set_float32_matmul_precision("medium")
    torch.manual_seed(1)

    corpus = [np.memmap(arguments.out / name, dtype="<u2", mode="r").reshape(-1, ROW)
              for name in ("tokens.u16", "documents.u16")]
    model = Model(json.loads(arguments.config.read_text()))
    in_blocks = {n: w for n, w in model.weights.items() if w.ndim == 2 and "embed" not in n}
    muon = Muon(in_blocks)
    others = [w for n, w in model.weights.items() if n not in in_blocks]
    adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=ADAM_BETAS, weight_decay=0.0)

    state, first = arguments.out / "state.pt", 0
    if state.exists():
        saved = torch.load(state, weights_only=False)
        for name, weight in model.weights.items():
            weight.data.copy_(saved["weights"][name])
        for name, momentum in muon.momentum.items():
            momentum.copy_(saved["momentum"][name])
        adam.load_state_dict(saved["adam"])
        first = saved["step"]

    started, mean = time.time(), None
    for step in range(first, arguments.steps):
        at = step * arguments.batch % (len(corpus[0]) - arguments.batch)
        tokens, marks = (torch.from_numpy(part[at : at + arguments.batch].astype(np.int64)) for part in corpus)
        loss = model.loss(tokens, marks, arguments.bf16)
        loss.backward()
        for group in adam.param_groups:
            group["lr"] = ADAM_RATE * factor(step, arguments.steps)
        adam.step()
        muon.step(MUON_RATE * factor(step, arguments.steps))
        for weight in model.weights.values():
            weight.grad = None
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % REPORT_EVERY == 0:
            rate = (step - first + 1) * arguments.batch * ROW / (time.time() - started)
            print(f"{step} loss {mean:.4f} {rate:.0f} tok/s", flush=True)
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == arguments.steps:
            weights = {name: weight.data for name, weight in model.weights.items()}
            everything = {"weights": weights, "momentum": muon.momentum, "adam": adam.state_dict(), "step": step + 1}
            rounded = {name: weight.to(torch.bfloat16).contiguous() for name, weight in weights.items()}
            replace(state, lambda path: torch.save(everything, path))
            replace(arguments.out / "model.safetensors", lambda path: save_file(rounded, path, metadata={"format": "pt"}))


if __name__ == "__main__":
    main()
