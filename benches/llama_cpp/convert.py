"""Runs llama.cpp's convert_hf_to_gguf.py, naming the pre-tokenizer that its list of checksums can't know.

    convert.py LLAMA_CPP_FOLDER MODEL [the converter's own options]

The converter recognizes a pre-tokenizer by the checksum of the tokens that a fixed text becomes, and those depend on the
vocabulary. The demonstration model splits by Qwen2's pattern with a vocabulary of its own, so the name is given here.
"""

import sys

folder = sys.argv.pop(1)
sys.path[:0] = [folder, f"{folder}/gguf-py"]

import convert_hf_to_gguf  # noqa: E402
from conversion import TextModel  # noqa: E402

recognized = TextModel.get_vocab_base_pre


def pre_tokenizer(self, tokenizer):
    """The recognized name, or `qwen2`."""
    try:
        return recognized(self, tokenizer)
    except NotImplementedError:
        return "qwen2"


TextModel.get_vocab_base_pre = pre_tokenizer
convert_hf_to_gguf.main()
