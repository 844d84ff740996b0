"""Makes tests/fixtures/tokenizers: small tokenizers of four kinds, as tokenizer.json and as llama.cpp's converter writes
them, and the tokens that Hugging Face's library and llama-tokenize cut texts into.

    python3 examples/tokenizers/make.py LLAMA_CPP_FOLDER LLAMA_TOKENIZE OUT_FOLDER

Needs transformers, tokenizers, sentencepiece, protobuf and gguf. The vocabularies are trained on this repository's own
documents, so that they change a little whenever those do.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers.convert_slow_tokenizer import generate_merges

LLAMA_CPP, LLAMA_TOKENIZE, OUT = sys.argv[1:]
ROOT = pathlib.Path(__file__).parents[2]
OUT = pathlib.Path(OUT)
SIZE = 600
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    "", " ", "  ", "\n", "Hello world", " Hello  world ", "it's DON'T we'LL I'm 'quoted'", "1234567890 3.14159 1,000",
    "naïve café e\u0301 Straße ŒUVRE", "Привет, мир! Как дела?", "中文字符 日本語 한국어", "مرحبا नमस्ते สวัสดี", "ΑΒΓ αβγ ¹²³ ½ ٣٤ Ⅷ",
    "👩\u200d🚀 family 👨\u200d👩\u200d👧 🇫🇷", "\u0000\u0001\u007f\ufeff\ufffd\u00a0\u2028\u3000", "def f(x):\n    return x * 2  # twice\n",
    "{\"name\": \"add\", \"arguments\": {\"a\": -1.5e3}}", "tabs\tand\t\tmore\r\nand\n\n\nlines \r", "<0x41><0x0A>", "under_score ~^`|",
    "<s> in </s> the middle", "a<s>b</s>", "<s><s>", "<unk>", "[INST] Hi [/INST] Hello</s>", "<bos>hi<eos>",
    "<start_of_turn>user\nhi there<end_of_turn>\n<start_of_turn>model\n", "<table>  <mask>\n\nend", "x²≥½",
    *[f"a{' ' * k}b" for k in (2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 30)], *["\n" * k + "x" for k in (2, 3, 4, 7)], "=" * 40, "a" * 33,
]


def corpus():
    """Lines of this repository's documents, and a few in other scripts."""
    files = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/weights/**/*.rs")])
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    return lines + ["Привет, мир! Как дела сегодня?", "中文字符和日本語の文章", "naïve café déjà vu Straße"] * 40


def pieces(work, name):
    """SentencePiece's BPE with byte fallback: as llama 2 has it, and as gemma does."""
    llama = name == "llama"
    special = dict(unk_id=0, bos_id=1, eos_id=2, pad_id=-1) if llama else dict(pad_id=0, eos_id=1, bos_id=2, unk_id=3)
    if not llama:
        special |= dict(control_symbols=["<start_of_turn>", "<end_of_turn>"], bos_piece="<bos>", eos_piece="<eos>")
        own = ["<mask>", "<table>", *["\n" * k for k in (1, 2, 3)], *["▁" * k for k in range(2, 32)]]
        special |= dict(user_defined_symbols=own)
    sentencepiece.SentencePieceTrainer.train(
        input=str(work / "corpus.txt"), model_prefix=str(work / "tokenizer"), model_type="bpe", vocab_size=SIZE,
        byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, character_coverage=0.99, max_sentence_length=20000, add_dummy_prefix=llama,
        minloglevel=2, **special,
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString((work / "tokenizer.model").read_bytes())
    scores = [(piece.piece, piece.score) for piece in model.pieces]
    vocabulary = {piece: index for index, (piece, _) in enumerate(scores)}
    merges = generate_merges(vocabulary, scores)
    tokenizer = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    added = [(piece.piece, piece.type != 4) for piece in model.pieces if piece.type in (2, 3, 4)]
    tokenizer.add_tokens([AddedToken(piece, normalized=False, special=special) for piece, special in added])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    replace = normalizers.Replace(" ", "▁")
    if llama:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace])
        steps.append(decoders.Strip(" ", 1, 0))
    else:
        tokenizer.normalizer = replace
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(steps)
    return begin(tokenizer, "<s>" if llama else "<bos>")


def bytes_(name):
    """Byte-level BPE: as Nemo has it, and with single digits."""
    tekken = name == "tekken"
    tokenizer = Tokenizer(BPE(ignore_merges=tekken))
    split = pre_tokenizers.Split(Regex(TEKKEN), "isolated") if tekken else pre_tokenizers.Digits(True)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not tekken)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=SIZE, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    return begin(tokenizer, "<s>")


def begin(tokenizer, bos):
    """Puts BOS in front."""
    special = [(bos, tokenizer.token_to_id(bos))]
    template = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=special)
    tokenizer.post_processor = template
    return tokenizer


def convert(work, name, tokenizer, out):
    """llama.cpp's converter, told the pre-tokenizer's name as benches/llama_cpp/convert.py does."""
    kind, model = ("Gemma2ForCausalLM", "gemma2") if name == "gemma" else ("LlamaForCausalLM", "llama")
    config = dict(
        architectures=[kind], model_type=model, hidden_size=64, intermediate_size=64, num_hidden_layers=1, head_dim=16,
        num_attention_heads=4, num_key_value_heads=4, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128,
        rms_norm_eps=1e-5, sliding_window=64, attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
    )
    (work / "config.json").write_text(json.dumps(config))
    flags = ("content", "lstrip", "rstrip", "normalized", "single_word", "special")
    added = {str(id): {flag: getattr(token, flag) for flag in flags} for id, token in tokenizer.get_added_tokens_decoder().items()}
    bos, eos = ("<bos>", "<eos>") if name == "gemma" else ("<s>", "</s>")
    settings = dict(added_tokens_decoder=added, add_bos_token=True, bos_token=bos, eos_token=eos, unk_token="<unk>")
    settings["tokenizer_class"] = "LlamaTokenizer" if (work / "tokenizer.model").exists() else "PreTrainedTokenizerFast"
    (work / "tokenizer_config.json").write_text(json.dumps(settings))
    converter = (ROOT / "benches/llama_cpp/convert.py").read_text().replace('return "qwen2"', f'return "{name}"')
    (work / "convert.py").write_text(converter)
    command = [sys.executable, work / "convert.py", LLAMA_CPP, work, "--vocab-only", "--outfile", out]
    subprocess.run(command, check=True, capture_output=True)


def tokenize(file, text):
    """llama-tokenize's tokens."""
    command = [LLAMA_TOKENIZE, "-m", file, "--stdin", "--ids", "--log-disable"]
    result = subprocess.run(command, check=True, capture_output=True, input=text.encode())
    return json.loads(result.stdout.decode().strip().splitlines()[-1])


for name in ("llama", "gemma", "tekken", "smollm"):
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "corpus.txt").write_text("\n".join(corpus()))
        tokenizer = pieces(work, name) if name in ("llama", "gemma") else bytes_(name)
        tokenizer.save(str(work / "tokenizer.json"))
        place = OUT / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        compact = json.dumps(json.loads((work / "tokenizer.json").read_text()), ensure_ascii=False, separators=(",", ":"))
        (place / "tokenizer.json").write_text(compact)
        convert(work, name, tokenizer, place / "vocabulary.gguf")
    ids = {text: tokenizer.encode(text).ids for text in TEXTS}
    theirs = {text: tokenize(place / "vocabulary.gguf", text) for text in TEXTS if text}
    differing = [text for text in theirs if theirs[text] != ids[text]]
    print(f"{name}: {len(TEXTS)} texts; llama.cpp cuts {len(differing)} of them another way: {differing}")
    lines = ",\n".join(json.dumps([text, ids[text]], ensure_ascii=False, separators=(",", ":")) for text in TEXTS)
    (place / "ids.json").write_text(f"[\n{lines}\n]\n")
