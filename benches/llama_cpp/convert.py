"""Runs llama.cpp's convert_hf_to_gguf.py, naming the pre-tokenizer that its list of checksums can't know.

    convert.py LLAMA_CPP_FOLDER MODEL [the converter's own options]

The converter recognizes a pre-tokenizer by the checksum of the tokens that a fixed text becomes, and those depend on the
vocabulary. The demonstration model splits by Qwen2's pattern with a vocabulary of its own, so the name is given here. The
small models of tests/fixtures/families share that vocabulary, where the converter expects a SentencePiece file of some
families: theirs is taken from tokenizer.json too.
"""

import sys

folder = sys.argv.pop(1)
sys.path[:0] = [folder, f"{folder}/gguf-py"]

import convert_hf_to_gguf  # noqa: E402
from conversion import TextModel  # noqa: E402
from conversion.gemma import Gemma2Model  # noqa: E402
from conversion.phi import Phi3MiniModel  # noqa: E402

recognized = TextModel.get_vocab_base_pre


def pre_tokenizer(self, tokenizer):
    """The recognized name, or `qwen2`."""
    try:
        return recognized(self, tokenizer)
    except NotImplementedError:
        return "qwen2"


TextModel.get_vocab_base_pre = pre_tokenizer

for family in (Gemma2Model, Phi3MiniModel):
    own = family.set_vocab

    def set_vocab(self, own=own):
        """The family's own vocabulary, or that of tokenizer.json where there is no SentencePiece file."""
        (own if (self.dir_model / "tokenizer.model").is_file() else TextModel._set_vocab_gpt2)(self)

    family.set_vocab = set_vocab

convert_hf_to_gguf.main()
