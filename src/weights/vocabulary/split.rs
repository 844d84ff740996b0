//! How byte-level vocabularies cut text into words before merging, by llama.cpp's names.

use serde_json::{Value as Json, json};

/// A way of splitting.
pub(in crate::weights) struct Split {
    /// llama.cpp's names for it, the one that is written first.
    names: &'static [&'static str],
    /// The patterns, applied one after the other to the pieces that the one before left; as tokenizer.json files have them
    /// where such files exist, and llama.cpp's own for `default`.
    patterns: &'static [&'static str],
    /// Whether a piece that is a token as a whole is taken without merging.
    pub(super) ignore_merges: bool,
    /// Whether texts begin with BOS where the file doesn't say.
    pub(super) add_bos: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
/// The letters of scripts with case, as deepseek's first vocabulary lists them.
const CASED: &str = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1F7D}ᾀ-ᾴᾶ-ᾼ\u{1FBE}ῂ-ῄῆ-ῌῐ-\u{1FD3}ῖ-\u{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";

const fn plain(names: &'static [&'static str], patterns: &'static [&'static str]) -> Split {
    Split { names, patterns, ignore_merges: false, add_bos: false }
}

const fn whole(names: &'static [&'static str], patterns: &'static [&'static str]) -> Split {
    Split { names, patterns, ignore_merges: true, add_bos: true }
}

/// The ways that are known.
static SPLITS: [Split; 13] = [
    plain(&["qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"], &[QWEN2]),
    whole(&["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"], &[LLAMA3]),
    plain(
        &["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "mellum", "exaone4", "gigachat", "a.x-4.0"],
        &[GPT2],
    ),
    whole(&["tekken"], &[TEKKEN]),
    plain(&["dbrx", "smaug-bpe"], &[LLAMA3]),
    plain(&["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"], &[r"\p{N}", GPT2]),
    plain(&["qwen35"], &[QWEN35]),
    plain(&["gpt-4o", "llama4", "kanana2"], &[GPT4O]),
    plain(&["deepseek-v3", "hunyuan-dense", "joyai-llm"], &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3]),
    plain(&["deepseek-llm"], &["[\r\n]", CASED, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
    plain(&["deepseek-coder"], &["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
    // What llama.cpp does with files that name no way of splitting.
    plain(&["default", ""], &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
    plain(&["falcon"], &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"]),
];

impl Split {
    /// The way of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        SPLITS.iter().find(|split| split.names.contains(&name))
    }

    /// The name that files are written with, and the digest's word for it.
    pub(in crate::weights) fn name(&self) -> &'static str {
        self.names[0]
    }

    /// The names that files are written with.
    fn known() -> String {
        SPLITS.iter().map(Self::name).collect::<Vec<_>>().join(", ")
    }

    /// The steps before merging, as tokenizer.json has them.
    pub(super) fn pre_tokenizer(&self) -> Json {
        let piece = |pattern| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let mut steps: Vec<Json> = self.patterns.iter().map(piece).collect();
        steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}));
        json!({"type": "Sequence", "pretokenizers": steps})
    }

    /// The way that a pre-tokenizer of tokenizer.json splits; else what is in the way.
    pub(super) fn recognize(pre: &Json, ignore_merges: bool) -> Result<&'static Self, String> {
        let patterns = patterns(pre);
        let same = |split: &&Self| patterns.as_deref() == Some(split.patterns);
        if let Some(split) = SPLITS.iter().find(|split| same(split) && split.ignore_merges == ignore_merges) {
            return Ok(split);
        }
        Err(match SPLITS.iter().find(same) {
            Some(split) => format!("`{}` vocabularies have ignore_merges = {}", split.name(), split.ignore_merges),
            None => format!("its way of splitting text is not one of {}: {pre}", Self::known()),
        })
    }
}

/// The patterns that a byte-level pre-tokenizer splits by, one after the other.
fn patterns(pre: &Json) -> Option<Vec<&str>> {
    let steps = pre["pretokenizers"].as_array().map_or_else(|| vec![pre], |steps| steps.iter().collect());
    let (last, steps) = steps.split_last()?;
    let mut patterns = Vec::new();
    for step in steps {
        patterns.push(match step["type"].as_str()? {
            "Split" if step["behavior"] == "Isolated" && step["invert"] != true => step["pattern"]["Regex"].as_str()?,
            "Digits" if step["individual_digits"] == true => r"\p{N}",
            _ => return None,
        });
    }
    if last["type"] != "ByteLevel" || last["add_prefix_space"] != false {
        return None;
    }
    if last["use_regex"].as_bool().unwrap_or(true) {
        patterns.push(GPT2);
    }
    Some(patterns)
}
