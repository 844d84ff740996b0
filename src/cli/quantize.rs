//! `quantgate quantize`: a model in another quantization, as GGUF.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::QuantizeArgs;
use super::failure::{Failure, chain};
use super::terminal;
use crate::weights::{self, Checkpoint, Imatrix, Order, Recipe, WeightsError};

/// Reads the model, writes the file and says what became of its size.
pub(super) fn quantize(args: &QuantizeArgs) -> Result<u8, Failure> {
    let recipe: Recipe = args.to.parse().map_err(|fault| Failure::usage(chain(&fault)))?;
    let out = args.out.clone().unwrap_or_else(|| default_name(&args.model, &args.to));
    if out.exists() && (!args.force || same_file(&out, &args.model)) {
        let failure = Failure::usage(format!("{} is there already", out.display()));
        let hint =
            if args.force { "it is the model itself: give another name" } else { "`--force` replaces it; `--out` names another" };
        return Err(failure.with_hint(hint));
    }
    let usage = |fault: WeightsError| {
        let failure = Failure::usage(chain(&fault));
        match fault.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    };
    let imatrix = args.imatrix.as_deref().map(Imatrix::open).transpose().map_err(usage)?;
    let model = Checkpoint::open(&args.model, args.tokenizer.as_deref()).map_err(usage)?;
    if let Some(imatrix) = &imatrix {
        tell_strangers(&weights::strangers(&model, imatrix));
    }
    let bar = ProgressBar::new(0).with_style(style());
    let mut advance = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let order = Order { recipe, imatrix: imatrix.as_ref() };
    let facts = weights::quantize(&model, order, &out, &mut advance).map_err(usage)?;
    bar.finish_and_clear();
    terminal::note(&format!(
        "wrote {} · {} · {:.2} MB · {:.2} bits per weight (from {:.2} MB)",
        out.display(),
        facts.quantization,
        facts.bytes as f64 / 1e6,
        facts.bits_per_weight,
        model.facts().bytes as f64 / 1e6
    ));
    Ok(0)
}

/// Notes what an importance matrix knows and the model has not.
fn tell_strangers(strangers: &[&str]) {
    if let Some(first) = strangers.first() {
        let more = if strangers.len() > 1 { format!(" and {} more", strangers.len() - 1) } else { String::new() };
        terminal::note(&format!("the importance matrix has entries that this model has no tensors for: {first}{more}"));
    }
}

/// Whether two paths lead to one file.
pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// `NAME-TYPE.gguf` in the current folder.
fn default_name(model: &Path, to: &str) -> PathBuf {
    let stem = model.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned());
    PathBuf::from(format!("{stem}-{to}.gguf"))
}

/// A bar that counts weights.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:32} {percent} %").unwrap_or_else(|_| ProgressStyle::default_bar())
}
