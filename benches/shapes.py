"""Makes random-weight models of given shapes for speed work, with the demonstration model's tokenizer.

    shapes.py OUT [26m] [1b] [7b]        (default: all three)

    26m  llama, width 512, 8 layers, tied embeddings of 8,192 rows; context 2,048
    1b   llama, the shape of TinyLlama 1.1B: width 2,048, 22 layers, 32 heads on 4; context 2,048
    7b   llama, the shape of Mistral 7B, written block by block as q4_k_m (about 4.1 GB); context 32,768

The first two become a Hugging Face folder (OUT/NAME/hf) and OUT/NAME/{f16,q8_0,q4_k_m}.gguf by llama.cpp's converter and
quantizer; the third OUT/7b/q4_k_m.gguf alone. Rows of the vocabulary beyond the tokenizer's tokens are unused ones.

Needs: LLAMA_CPP      folder of llama.cpp's sources
       LLAMA_CPP_BIN  folder of llama-quantize (default: $LLAMA_CPP/build/bin)
       python with torch, transformers, safetensors and gguf
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np

HERE = Path(__file__).parent
DEMO = HERE.parent / "models" / "demo"
LLAMA_CPP = Path(os.environ.get("LLAMA_CPP", "."))
BIN = Path(os.environ.get("LLAMA_CPP_BIN", LLAMA_CPP / "build" / "bin"))

SHAPES = {
    "26m": dict(width=512, layers=8, inner=1408, heads=8, kv=8, rows=8192, tied=True, context=2048, dtype="float32"),
    "1b": dict(width=2048, layers=22, inner=5632, heads=32, kv=4, rows=32000, tied=False, context=2048, dtype="float16"),
    "7b": dict(width=4096, layers=32, inner=14336, heads=32, kv=8, rows=32000, tied=False, context=32768),
}
SEED = 26


def tokenizer_files(folder):
    """The demonstration model's tokenizer, beside a model of another shape."""
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(DEMO / name, folder / name)


def config(shape):
    """The demonstration model's config.json with another shape."""
    settings = json.loads((DEMO / "config.json").read_text())
    settings |= {
        "hidden_size": shape["width"],
        "intermediate_size": shape["inner"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv"],
        "head_dim": shape["width"] // shape["heads"],
        "vocab_size": shape["rows"],
        "max_position_embeddings": shape["context"],
        "tie_word_embeddings": shape["tied"],
        "torch_dtype": shape["dtype"],
    }
    return settings


def tensors(shape):
    """Names of a Hugging Face llama and their sizes."""
    width, inner, size = shape["width"], shape["inner"], shape["width"] // shape["heads"]
    yield "model.embed_tokens.weight", (shape["rows"], width)
    for layer in range(shape["layers"]):
        name = f"model.layers.{layer}"
        yield f"{name}.self_attn.q_proj.weight", (shape["heads"] * size, width)
        yield f"{name}.self_attn.k_proj.weight", (shape["kv"] * size, width)
        yield f"{name}.self_attn.v_proj.weight", (shape["kv"] * size, width)
        yield f"{name}.self_attn.o_proj.weight", (width, shape["heads"] * size)
        yield f"{name}.mlp.gate_proj.weight", (inner, width)
        yield f"{name}.mlp.up_proj.weight", (inner, width)
        yield f"{name}.mlp.down_proj.weight", (width, inner)
        yield f"{name}.input_layernorm.weight", (width,)
        yield f"{name}.post_attention_layernorm.weight", (width,)
    yield "model.norm.weight", (width,)
    if not shape["tied"]:
        yield "lm_head.weight", (shape["rows"], width)


def from_folder(folder, shape):
    """Hugging Face folder, then f16 by the converter, then q8_0 and q4_k_m by the quantizer."""
    import torch
    from safetensors.torch import save_file

    random = torch.Generator().manual_seed(SEED)
    dtype = getattr(torch, shape["dtype"])
    weights = {}
    for name, size in tensors(shape):
        if len(size) == 1:
            weights[name] = torch.ones(size, dtype=dtype)
        else:
            # Rounded to f16, so that every form of the model but the quantized ones holds the same numbers.
            weights[name] = torch.empty(size).normal_(0.0, 0.02, generator=random).half().to(dtype)
    hf = folder / "hf"
    hf.mkdir(parents=True, exist_ok=True)
    save_file(weights, hf / "model.safetensors", metadata={"format": "pt"})
    (hf / "config.json").write_text(json.dumps(config(shape), indent=2))
    tokenizer_files(hf)
    f16 = folder / "f16.gguf"
    convert = [sys.executable, HERE / "llama_cpp" / "convert.py", LLAMA_CPP, hf, "--outtype", "f16", "--outfile", f16]
    subprocess.run(convert, check=True)
    for kind in ("q8_0", "q4_k_m"):
        subprocess.run([BIN / "llama-quantize", f16, folder / f"{kind}.gguf", kind], check=True)


def q4_k(random, rows, columns):
    """Blocks whose weights have mean 0 and a deviation of about 0.02."""
    blocks = random.integers(0, 256, (rows, columns // 256, 144), dtype=np.uint8)
    blocks[..., 0:4] = np.array([1.3e-4, 9.5e-4], np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


def q6_k(random, rows, columns):
    """The same for the type of the output and of every other value matrix."""
    blocks = random.integers(0, 256, (rows, columns // 256, 210), dtype=np.uint8)
    blocks[..., 192:208] = random.integers(-32, 32, (*blocks.shape[:2], 16), dtype=np.int8).view(np.uint8)
    blocks[..., 208:210] = np.array([5.8e-5], np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


def more_bits(layer, layers):
    """llama.cpp's rule for the layers of q4_k_m whose value and down matrices are Q6_K."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def gguf_tensors(shape):
    """Names of a GGUF llama, their sizes, and whether they are Q6_K; norms have one dimension."""
    width, inner, size = shape["width"], shape["inner"], shape["width"] // shape["heads"]
    yield "token_embd.weight", (shape["rows"], width), False
    for layer in range(shape["layers"]):
        more = more_bits(layer, shape["layers"])
        yield f"blk.{layer}.attn_norm.weight", (width,), False
        yield f"blk.{layer}.attn_q.weight", (shape["heads"] * size, width), False
        yield f"blk.{layer}.attn_k.weight", (shape["kv"] * size, width), False
        yield f"blk.{layer}.attn_v.weight", (shape["kv"] * size, width), more
        yield f"blk.{layer}.attn_output.weight", (width, shape["heads"] * size), False
        yield f"blk.{layer}.ffn_norm.weight", (width,), False
        yield f"blk.{layer}.ffn_gate.weight", (inner, width), False
        yield f"blk.{layer}.ffn_up.weight", (inner, width), False
        yield f"blk.{layer}.ffn_down.weight", (width, inner), more
    yield "output_norm.weight", (width,), False
    yield "output.weight", (shape["rows"], width), True


def metadata(writer, template, shape):
    """The converter's own entries for the demonstration model, with another shape and more rows."""
    changed = {
        "llama.context_length": shape["context"],
        "llama.embedding_length": shape["width"],
        "llama.block_count": shape["layers"],
        "llama.feed_forward_length": shape["inner"],
        "llama.attention.head_count": shape["heads"],
        "llama.attention.head_count_kv": shape["kv"],
        "llama.attention.key_length": shape["width"] // shape["heads"],
        "llama.attention.value_length": shape["width"] // shape["heads"],
        "llama.rope.dimension_count": shape["width"] // shape["heads"],
        "llama.rope.freq_base": 1e6,
        "llama.vocab_size": shape["rows"],
        "general.file_type": int(gguf.LlamaFileType.MOSTLY_Q4_K_M),
    }
    for field in template.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = changed.get(field.name, field.contents())
        if field.name == "tokenizer.ggml.tokens":
            value = value + [f"[PAD{index}]" for index in range(len(value), shape["rows"])]
        elif field.name == "tokenizer.ggml.token_type":
            value = value + [int(gguf.TokenType.UNUSED)] * (shape["rows"] - len(value))
        kind, *inner = field.types
        writer.add_key_value(field.name, value, kind, inner[-1] if inner else None)


def in_blocks(folder, shape):
    """A q4_k_m file of random blocks, tensor by tensor."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = folder / "demo.gguf"
    convert = [sys.executable, HERE / "llama_cpp" / "convert.py", LLAMA_CPP, DEMO, "--outtype", "f16", "--outfile", demo]
    subprocess.run(convert, check=True)
    writer = gguf.GGUFWriter(folder / "q4_k_m.gguf", "llama")
    metadata(writer, gguf.GGUFReader(demo), shape)
    if "general.quantization_version" not in writer.kv_data[0]:
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    kinds = {False: gguf.GGMLQuantizationType.Q4_K, True: gguf.GGMLQuantizationType.Q6_K}
    listed = list(gguf_tensors(shape))
    for name, size, more in listed:
        if len(size) == 1:
            writer.add_tensor_info(name, size, np.dtype(np.float32), size[0] * 4)
        else:
            row = gguf.quant_shape_to_byte_shape(size, kinds[more])
            writer.add_tensor_info(name, row, np.dtype(np.uint8), int(np.prod(row)), raw_dtype=kinds[more])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(SEED)
    for _, size, more in listed:
        if len(size) == 1:
            writer.write_tensor_data(np.ones(size, np.float32))
        else:
            writer.write_tensor_data((q6_k if more else q4_k)(random, *size))
    writer.close()
    demo.unlink()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    for name in sys.argv[2:] or SHAPES:
        make = in_blocks if name == "7b" else from_folder
        make(out / name, SHAPES[name])
        print(f"{out / name}: made", flush=True)


if __name__ == "__main__":
    main()
