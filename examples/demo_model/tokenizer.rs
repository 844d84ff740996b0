//! Trains the byte-level BPE vocabulary of the demonstration model on a part of its corpus.

use std::path::Path;

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, SplitDelimiterBehavior,
    TokenizerBuilder, TokenizerImpl,
};

use super::families::vocabulary_example;

/// Special tokens, in the order of their ids.
pub(crate) const SPECIALS: [&str; 8] = ["<unk>", "<s>", "</s>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"];
/// Rows of the embedding table.
pub(crate) const VOCABULARY: usize = 1024;
/// The split of Qwen2's pre-tokenizer, known to llama.cpp as `qwen2`: digits stand alone.
const SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Trains on `examples` examples of the corpus and writes `tokenizer.json` to `path`.
pub(crate) fn train(path: &Path, seed: u64, examples: u64) -> Result<(), Error> {
    let specials: Vec<AddedToken> = SPECIALS.iter().map(|name| AddedToken::from((*name).to_owned(), true)).collect();
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(VOCABULARY)
        .min_frequency(20)
        .show_progress(false)
        .special_tokens(specials.clone())
        .initial_alphabet(alphabet.into_iter().collect())
        .build();
    let mut tokenizer: TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper> =
        TokenizerBuilder::new()
            .with_model(BPE::default())
            .with_normalizer(None)
            .with_pre_tokenizer(Some(PreTokenizerWrapper::from(Sequence::new(vec![
                PreTokenizerWrapper::from(Split::new(
                    SplitPattern::Regex(SPLIT.into()),
                    SplitDelimiterBehavior::Isolated,
                    false,
                )?),
                PreTokenizerWrapper::from(ByteLevel::new(false, true, false)),
            ]))))
            .with_post_processor(None)
            .with_decoder(Some(DecoderWrapper::from(ByteLevel::default())))
            .build()?;
    let texts = (0..examples).flat_map(|index| {
        let example = vocabulary_example(seed, index * 7, examples * 7);
        example.segments().into_iter().map(|(text, _)| plain(&text)).collect::<Vec<_>>()
    });
    tokenizer.train(&mut trainer, texts)?;
    tokenizer.add_special_tokens(specials)?;
    let template =
        TemplateProcessing::builder().try_single("<s> $A")?.try_pair("<s> $A $B:1")?.special_tokens(vec![("<s>", 1)]).build()?;
    tokenizer.with_post_processor(Some(PostProcessorWrapper::from(template)));
    tokenizer.save(path, true)?;
    Ok(())
}

/// The text without the names of special tokens, which are never learned as words.
fn plain(text: &str) -> String {
    SPECIALS.iter().fold(text.to_owned(), |text, name| text.replace(name, " "))
}
