//! What `divergence` prints: llama.cpp's quantities to its precision, with intervals over chunks beside them.

use serde_json::{Map, Value, json};

use crate::harness::Chunks;
use crate::metric::{Figure, Part, ScoredChunks, block, perplexity};
use crate::stats::Interval;

/// What is compared, on what.
pub(super) struct Subject<'a> {
    /// The model.
    pub(super) model: &'a str,
    /// What it is laid beside.
    pub(super) base: Option<&'a str>,
    /// The text.
    pub(super) chunks: &'a Chunks,
}

impl Subject<'_> {
    /// The numbers, in headed parts; none where one isn't finite.
    fn parts(&self, scored: &ScoredChunks) -> Option<Vec<Part>> {
        match self.base {
            Some(_) => block(scored),
            None => Some(vec![Part { title: "Perplexity", figures: vec![perplexity(scored)?] }]),
        }
    }
}

/// Lines for a person.
pub(super) fn text(subject: &Subject<'_>, scored: &ScoredChunks) -> Option<String> {
    let Subject { model, base, chunks } = subject;
    let parts = subject.parts(scored)?;
    let mut lines = vec![format!("model   {model}")];
    lines.extend(base.map(|base| format!("base    {base}")));
    let (count, context) = (chunks.count(), chunks.context);
    lines.push(format!("text    {count} chunks of {context} tokens, {} of each scored: {}", chunks.rows(), scored.tokens()));
    for Part { title, figures } in &parts {
        lines.push(format!("\n{title}"));
        let wide = figures.iter().map(|figure| figure.label.chars().count()).max().unwrap_or(0);
        lines.extend(figures.iter().map(|figure| line(figure, wide)));
    }
    lines.push(format!("\n± one standard error as if tokens were independent; [95 % over {count} chunks]"));
    Some(lines.join("\n"))
}

/// One number: `Mean KLD   0.012345 ±   0.000123   [0.011900, 0.012800]`.
fn line(figure: &Figure, wide: usize) -> String {
    let Figure { label, value, error, interval, percent, digits, .. } = figure;
    let (times, unit) = if *percent { (100.0, " %") } else { (1.0, "") };
    let value = format!("{:>12.*}", digits.0, times * value);
    let error = error.map_or_else(String::new, |error| format!(" ± {:>10.*}", digits.1, times * error));
    let within = |i: &Interval| format!("   [{:.2$}, {:.2$}]", times * i.lower, times * i.upper, digits.0);
    let within = interval.as_ref().map_or_else(String::new, within);
    let pad = " ".repeat(wide - label.chars().count());
    format!("  {label}{pad} {value}{error}{unit}{within}")
}

/// The same for a program; shares are not in percent.
pub(super) fn json(subject: &Subject<'_>, scored: &ScoredChunks) -> Option<String> {
    let mut figures = Map::new();
    for Figure { key, value, error, interval, .. } in subject.parts(scored)?.into_iter().flat_map(|part| part.figures) {
        let mut told = Map::from_iter([("value".to_owned(), json!(value))]);
        told.extend(error.map(|error| ("error".to_owned(), json!(error))));
        told.extend(interval.map(|i| ("interval".to_owned(), json!([i.lower, i.upper]))));
        figures.insert(key.to_owned(), Value::Object(told));
    }
    let Subject { model, base, chunks } = subject;
    let told = json!({
        "model": model,
        "base": base,
        "chunks": chunks.count(),
        "context": chunks.context,
        "vocabulary": chunks.vocabulary,
        "scored": scored.tokens(),
        "figures": figures,
    });
    Some(format!("{told:#}"))
}
