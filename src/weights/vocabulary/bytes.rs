//! Byte-level BPE from GGUF metadata (`tokenizer.ggml.model` is `gpt2`).

use serde_json::{Value as Json, json};

use super::super::WeightsError;
use super::super::gguf::Array;
use super::listing::{Listing, text};
use super::split::Split;

/// The tokenizer as tokenizer.json would have it.
pub(super) fn tokenizer(listing: &Listing<'_>) -> Result<Json, WeightsError> {
    let pre = text(listing.header, "pre").unwrap_or_default();
    let split = Split::named(pre).ok_or_else(|| listing.refuse(format!("its pre-tokenizer `{pre}` is not known")))?;
    let merges = listing.array("merges", Array::texts)?;
    let pairs: Option<Vec<Json>> = merges.iter().map(|merge| merge.split_once(' ').map(|(a, b)| json!([a, b]))).collect();
    let pairs = pairs.ok_or_else(|| listing.refuse("a merge is not two tokens with a space between"))?;
    let model = json!({"type": "BPE", "vocab": listing.vocabulary()?, "merges": pairs, "ignore_merges": split.ignore_merges});
    Ok(json!({
        "version": "1.0",
        "added_tokens": listing.added(|_| false),
        "pre_tokenizer": split.pre_tokenizer(),
        "post_processor": listing.post_processor(split.add_bos)?,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        "model": model,
    }))
}
