"""llama-perplexity's block of statistics beside quantgate's: see benches/divergence.sh, which sets the environment.

    blocks.py F32_GGUF FOLDER TYPE …
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

CONTEXT, THREADS, TEXT = os.environ["CONTEXT"], os.environ["THREADS"], os.environ["TEXT"]
EXACT = ["-fa", "off", "-ctk", "f32", "-ctv", "f32"]
LINE = re.compile(r"^\s*(?:[\d.]+ I )?\s*([A-Z0-9 ].*?)\s*:\s+(-?[\d.]+|-?nan)\s*%?(?:\s*±\s*(-?[\d.]+|-?nan))?\s*%?\s*$")
# By llama.cpp's labels without spaces.
KEYS = {
    "MeanPPL(Q)": "ppl", "MeanPPL(base)": "ppl_base", "Cor(ln(PPL(Q)),ln(PPL(base)))": "cor",
    "Meanln(PPL(Q)/PPL(base))": "ln_ppl_ratio", "MeanPPL(Q)/PPL(base)": "ppl_ratio", "MeanPPL(Q)-PPL(base)": "ppl_difference",
    "MeanKLD": "kld.mean", "MaximumKLD": "kld.max", "99.9%KLD": "kld.p999", "99.0%KLD": "kld.p99", "95.0%KLD": "kld.p95",
    "90.0%KLD": "kld.p90", "MedianKLD": "kld.median", "10.0%KLD": "kld.p10", "5.0%KLD": "kld.p5", "1.0%KLD": "kld.p1",
    "0.1%KLD": "kld.p01", "MinimumKLD": "kld.min", "MeanΔp": "delta_p.mean", "MaximumΔp": "delta_p.max",
    "99.9%Δp": "delta_p.p999", "99.0%Δp": "delta_p.p99", "95.0%Δp": "delta_p.p95", "90.0%Δp": "delta_p.p90",
    "75.0%Δp": "delta_p.p75", "MedianΔp": "delta_p.median", "25.0%Δp": "delta_p.p25", "10.0%Δp": "delta_p.p10",
    "5.0%Δp": "delta_p.p5", "1.0%Δp": "delta_p.p1", "0.1%Δp": "delta_p.p01", "MinimumΔp": "delta_p.min",
    "RMSΔp": "delta_p.rms", "Sametopp": "same_top",
}
PERCENT = ("cor", "delta_p", "same_top")


def llama(model, *more):
    """llama-perplexity's output and seconds; its log sometimes loses its last lines, so it is asked again."""
    command = [f"{os.environ['LLAMA_CPP_BIN']}/llama-perplexity", "-m", model, "-c", CONTEXT, "-t", THREADS, *more]
    for _ in range(5):
        began = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        text = done.stdout
        took = time.monotonic() - began
        if "Same top p:" in text or "Final estimate" in text:
            return text, took
    sys.exit(f"llama-perplexity prints nothing: {' '.join(map(str, command))}")


def theirs(text):
    """The numbers of the printed block, as strings: key to (value, error)."""
    found = {}
    for line in text[text.index("====== Perplexity"):].splitlines():
        match = LINE.match(line)
        key = match and KEYS.get(match[1].replace(" ", ""))
        if key:
            found[key] = (match[2], match[3])
    return found


def ours(program, *arguments):
    """The figures of quantgate's JSON and the seconds."""
    began = time.monotonic()
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)["figures"], time.monotonic() - began


def quantgate(model, *more, how=()):
    return ours(os.environ["QUANTGATE"], "divergence", model, "--threads", THREADS, "--json", *how, *more)


def as_printed(figure, key, value, error):
    """Our numbers with as many digits as llama.cpp prints."""
    times = 100 if key.startswith(PERCENT) else 1

    def digits(text):
        return len(text.split(".")[1]) if "." in text else 0

    shown = f"{times * figure['value']:.{digits(value)}f}"
    return shown, f"{times * figure['error']:.{digits(error)}f}" if error and "error" in figure else None


def side_by_side(block, figures, title):
    """Prints both and returns (lines that differ as printed, largest relative difference of a number)."""
    print(f"{'':16} {'llama.cpp':>26} {'quantgate':>26}   {title}")
    differ, largest = [], (0.0, "")
    for key, (value, error) in block.items():
        mine, mine_error = as_printed(figures[key], key, value, error)
        times = 100 if key.startswith(PERCENT) else 1
        for their, my, name in ((value, times * figures[key]["value"], key), (error, times * figures[key].get("error", 0), f"{key} ±")):
            # What is printed with few digits is known no better.
            if their and abs(float(their)) > 100 * 0.5 * 10 ** -len(their.split(".")[1]):
                largest = max(largest, (abs(my / float(their) - 1), name))
        same = float(mine) == float(value) and (mine_error is None or float(mine_error) == float(error))
        if not same:
            differ.append(key)
        mark = "" if same else "  *"
        print(f"{key:16} {value + (' ± ' + error if error else ''):>26} {mine + (' ± ' + mine_error if mine_error else ''):>26}{mark}")
    missing = set(KEYS.values()) - set(block)
    print(f"{len(block)} lines, {len(differ)} differ as printed; largest relative difference {largest[0]:.2e} ({largest[1]})")
    if missing:
        sys.exit(f"llama-perplexity did not print {sorted(missing)}")
    return differ, largest[0]


def one_variant(folder, types, kept):
    """Both programs have the same logits of the variant, too: llama.cpp's own."""
    print("== one file, one variant: llama-perplexity's file and llama.cpp's logits of f32 weights")
    results = []
    for type in types:
        model, rows = folder / f"{type}-f32.gguf", folder / "variant.f32"
        text, _ = llama(model, *EXACT, "--kl-divergence", "--kl-divergence-base", kept)
        command = [os.environ["LOGITS"], "-m", model, "-c", CONTEXT, "-t", THREADS, *EXACT, "--kl-divergence-base", kept, "-o", rows]
        subprocess.run(command, check=True, capture_output=True)
        figures, _ = ours(os.environ["BLOCK"], kept, rows)
        results.append((type, *side_by_side(theirs(text), figures, type)))
        rows.unlink()
    return results


def one_file(base, folder, types, kept):
    print("== one file: both read llama-perplexity's, the variant's weights are f32")
    results = []
    for type in types:
        model = folder / f"{type}-f32.gguf"
        text, _ = llama(model, *EXACT, "--kl-divergence", "--kl-divergence-base", kept)
        figures, _ = quantgate(model, "--kl-base", kept)
        results.append((type, *side_by_side(theirs(text), figures, type)))
    return results


def both_sides(base, folder, types, kept, writing):
    how = ("--arithmetic", os.environ["ARITHMETIC"], "--kv", os.environ["KV"])
    print(f"== both sides: llama-perplexity through its file, quantgate from model to model ({' '.join(how)})")
    results = []
    for type in types:
        model = folder / f"{type}.gguf"
        text, reading = llama(model, *EXACT, "--kl-divergence", "--kl-divergence-base", kept)
        figures, took = quantgate(model, "--base", base, "--as-stored", "--text", TEXT, "-c", CONTEXT, how=how)
        block = theirs(text)
        side_by_side(block, figures, type)
        apart = abs(figures["kld.mean"]["value"] / float(block["kld.mean"][0]) - 1)
        print(f"mean KLD apart {apart:.2%}; seconds {writing:.1f} + {reading:.1f} against {took:.1f}")
        results.append((type, apart))
    return results


def disturbed(model, folder):
    """A copy of the file whose first norm, which is f32 in every type, is moved by 1e-7 either way."""
    import numpy
    from gguf import GGUFReader

    copy = folder / "disturbed.gguf"
    copy.write_bytes(Path(model).read_bytes())
    reader = GGUFReader(copy, "r+")
    norm = next(tensor for tensor in reader.tensors if tensor.name == "blk.0.attn_norm.weight").data
    norm *= numpy.where(numpy.random.default_rng(1).random(norm.shape) < 0.5, 1 - 1e-7, 1 + 1e-7).astype(norm.dtype)
    reader.data.flush()
    return copy


def floors(folder, types):
    """Mean KL between the programs against each of them disturbed."""
    how = ("--arithmetic", "ggml", "--kv", "f32")
    print(f"== floors: mean KL ({' '.join(how)})")
    print(f"{'type':8} {'llama.cpp fa':>13} {'ours 1e-7':>13} {'between':>13} {'of the larger':>13}")
    for type in types:
        model = folder / f"{type}.gguf"
        kept, own = folder / f"{type}.theirs", folder / f"{type}.own"
        llama(model, *EXACT, "-f", TEXT, "--kl-divergence-base", kept)
        text, _ = llama(model, "-fa", "on", "-ctk", "f32", "-ctv", "f32", "--kl-divergence", "--kl-divergence-base", kept)
        flash = float(theirs(text)["kld.mean"][0])
        between, _ = quantgate(model, "--kl-base", kept, how=how)
        quantgate(model, "--text", TEXT, "-c", CONTEXT, "--save-logits", own, "--force", how=how)
        moved, _ = quantgate(disturbed(model, folder), "--kl-base", own, how=how)
        pair = between["kld.mean"]["value"], max(flash, moved["kld.mean"]["value"])
        print(f"{type:8} {flash:13.6f} {moved['kld.mean']['value']:13.6f} {pair[0]:13.6f} {pair[0] / pair[1]:13.2f}")
        kept.unlink()
        own.unlink()


def main(base, folder, *types):
    folder = Path(folder)
    kept = folder / "base.logits"
    text, writing = llama(base, *EXACT, "-f", TEXT, "--kl-divergence-base", kept)
    final = re.search(r"Final estimate: PPL = ([\d.]+) \+/- ([\d.]+)", text)
    figures, _ = quantgate(base, "--text", TEXT, "-c", CONTEXT)
    own = figures["ppl"]
    print(f"perplexity of the base: llama.cpp {final[1]} +/- {final[2]}, quantgate {own['value']:.4f} ± {own['error']:.5f}")
    same = one_variant(folder, types, kept) if "LOGITS" in os.environ else []
    one = one_file(base, folder, types, kept)
    both = both_sides(base, folder, types, kept, writing)
    if os.environ["ARITHMETIC"] == "ggml":
        floors(folder, types)
    print("== summary")
    for type, differ, _ in same:
        print(f"{type:8} one file, one variant: {len(differ)} lines differ as printed {differ}")
    for (type, differ, largest), (_, apart) in zip(one, both):
        print(f"{type:8} one file: {len(differ)} lines differ as printed, by {largest:.1e} at most; both sides: mean KLD {apart:.2%} apart")
    kept.unlink()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
