//! `quantgate divergence`: a model on a text by llama.cpp's protocol, alone or beside its base.

mod flags;
mod shown;
mod side;

pub(super) use flags::DivergenceArgs;

use std::fs;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use self::shown::Subject;
use self::side::Side;
use super::failure::{Failure, chain};
use super::quantize::same_file;
use super::terminal;
use crate::engine::local::Settings;
use crate::harness::{Chunks, LogitsError, LogitsReader, LogitsWriter, as_stored};
use crate::metric::{Rows, ScoredChunks, divergence, log_softmax, stored_divergence};

/// Tokens of a chunk, as llama.cpp has them.
const CONTEXT: usize = 512;

/// What the model is laid beside.
enum Base {
    Nothing,
    File(Box<LogitsReader>),
    /// And whether it is rounded as a file would.
    Model(Box<Side>, bool),
}

/// Walks the chunks and prints what comes out.
pub(super) fn run(args: &DivergenceArgs) -> Result<u8, Failure> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().map_err(|fault| Failure::internal(&fault))?;
    }
    if let Some(path) = args.save_logits.as_deref().filter(|path| path.exists()) {
        let read = [Some(&args.model), args.base.as_ref(), args.kl_base.as_ref(), args.text.as_ref()];
        if !args.force || read.into_iter().flatten().any(|other| same_file(path, other)) {
            let failure = Failure::usage(format!("{} is there already", path.display()));
            let hint = if args.force { "it is read: give another name" } else { "`--force` replaces it" };
            return Err(failure.with_hint(hint));
        }
    }
    let text = args.text.as_deref().map(read).transpose()?;
    let tokenizer = args.tokenizer.as_deref();
    let settings = Settings { arithmetic: args.arithmetic, kv: args.kv, ..Settings::default() };
    let model = Side::open(&args.model, tokenizer, &settings, text.as_deref())?;
    let (mut base, chunks) = base(args, &model, text.as_deref())?;
    model.fits(&chunks)?;
    let scored = walk(&model, &mut base, &chunks, args.save_logits.as_deref())?;
    let name = match &base {
        Base::Nothing => None,
        Base::File(_) => args.kl_base.as_deref().map(|path| path.display().to_string()),
        Base::Model(side, _) => Some(side.name().to_owned()),
    };
    let subject = Subject { model: model.name(), base: name.as_deref(), chunks: &chunks };
    let shown = if args.json { shown::json(&subject, &scored) } else { shown::text(&subject, &scored) };
    let shown = shown.ok_or_else(|| Failure::usage("a number of the comparison is not finite"))?;
    terminal::say(&shown);
    Ok(0)
}

/// What the model is laid beside, and the chunks that both read.
fn base(args: &DivergenceArgs, model: &Side, text: Option<&str>) -> Result<(Base, Chunks), Failure> {
    if let Some(path) = &args.kl_base {
        let reader = LogitsReader::open(path).map_err(|fault| refused(&fault))?;
        let mut chunks = reader.chunks().clone();
        if let Some(asked) = args.context.filter(|asked| *asked != chunks.context) {
            let has = chunks.context;
            return Err(Failure::usage(format!("{} has chunks of {has} tokens, not of {asked}", path.display())));
        }
        let most = args.chunks.unwrap_or(usize::MAX).saturating_mul(chunks.context);
        chunks.tokens.truncate(most);
        return Ok((Base::File(Box::new(reader)), chunks));
    }
    let context = args.context.unwrap_or(CONTEXT);
    let chunks = model.chunks(context, args.chunks)?;
    let Some(path) = &args.base else { return Ok((Base::Nothing, chunks)) };
    let base = Side::open(path, args.tokenizer.as_deref(), &Settings::default(), text)?;
    if base.vocabulary() == model.vocabulary() {
        model.reads_as(&base)?;
    }
    let (own, other) = (model.vocabulary(), base.vocabulary());
    if own != other {
        return Err(Failure::usage(format!("the vocabulary of {} has {own} tokens, the base's {other}", model.name())));
    }
    base.fits(&chunks)?;
    Ok((Base::Model(Box::new(base), args.as_stored), chunks))
}

/// Computes chunk by chunk: the model's rows of one chunk and the base's are all that is held.
fn walk(model: &Side, base: &mut Base, chunks: &Chunks, save: Option<&Path>) -> Result<ScoredChunks, Failure> {
    let mut writer = save.map(|path| LogitsWriter::create(path, chunks)).transpose().map_err(|fault| refused(&fault))?;
    let bar = ProgressBar::new(chunks.count() as u64).with_style(style());
    let mut scored = ScoredChunks::default();
    let mut rows = Vec::new();
    for index in 0..chunks.count() {
        let mut own = model.logits(chunks, index)?;
        if let Some(writer) = &mut writer {
            writer.add(&own).map_err(|fault| refused(&fault))?;
        }
        let tokens = &chunks.tokens[index * chunks.context..][chunks.first() + 1..chunks.context];
        let of = |rows| Rows { tokens, rows, vocabulary: chunks.vocabulary };
        let stored = match base {
            Base::Nothing => {
                normalize(model, &mut own, chunks, index)?;
                let rows = own.chunks_exact(chunks.vocabulary).zip(tokens);
                scored.push(rows.map(|(row, &token)| -f64::from(row[token as usize])).collect(), None);
                bar.inc(1);
                continue;
            }
            Base::File(reader) => {
                reader.next(&mut rows).map_err(|fault| refused(&fault))?;
                true
            }
            Base::Model(base, stored) => {
                rows = base.logits(chunks, index)?;
                if *stored {
                    as_stored(&mut rows, chunks.vocabulary);
                } else {
                    normalize(base, &mut rows, chunks, index)?;
                }
                *stored
            }
        };
        let (nll, apart) = if stored {
            stored_divergence(of(&rows), of(&own))
        } else {
            normalize(model, &mut own, chunks, index)?;
            divergence(of(&rows), of(&own)).map_err(|fault| Failure::usage(fault.to_string()))?
        };
        scored.push(nll, Some(apart));
        bar.inc(1);
    }
    writer.map_or(Ok(()), LogitsWriter::finish).map_err(|fault| refused(&fault))?;
    bar.finish_and_clear();
    Ok(scored)
}

/// Logits to log-probabilities.
fn normalize(side: &Side, rows: &mut [f32], chunks: &Chunks, index: usize) -> Result<(), Failure> {
    if log_softmax(rows, chunks.vocabulary) {
        return Ok(());
    }
    Err(Failure::usage(format!("{}, chunk {}: the model's logits are not finite", side.name(), index + 1)))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|fault| Failure::usage(format!("cannot read the text {}: {fault}", path.display())))
}

fn refused(fault: &LogitsError) -> Failure {
    let failure = Failure::usage(chain(fault));
    match fault.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// A bar that counts chunks.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:32} {pos} of {len} chunks · {eta}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
