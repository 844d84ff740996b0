//! Which format a path holds, by its content.

use std::collections::BTreeSet;
use std::path::Path;

use super::json::fields;
use super::stream::{self, Broken, Document};
use super::{Format, HarnessError, Source, inspect, lm_eval, openai, plain, promptfoo};

/// Bytes of a file's beginning that its format is read from.
const HEAD: u64 = 1 << 20;

const KNOWN: &str = "known are lm-evaluation-harness (a folder made with --log_samples), inspect_ai (JSON logs), promptfoo (results \
                     JSON), OpenAI evals (JSON lines) and tables with `id` and `score` (CSV, JSON lines); --format names one";

/// Opens one model's results: a file or folder, of the format that its content says it has, or of the one given. Where a file
/// or folder holds several models, `model` names one.
///
/// # Errors
/// Where nothing can be read, the format isn't known, or several models are there and none is named.
pub fn open(path: &Path, model: Option<&str>, format: Option<Format>) -> Result<Source, HarnessError> {
    std::fs::metadata(path).map_err(|source| HarnessError::unreadable(path, source))?;
    let format = match format {
        Some(format) => format,
        None => detect(path)?,
    };
    let mut source = match format {
        Format::LmEval => lm_eval::open(path)?,
        Format::Inspect => inspect::open(path, model)?,
        Format::Promptfoo => promptfoo::open(path, model)?,
        Format::OpenAi => openai::open(path)?,
        Format::Plain => plain::open(path, model)?,
    };
    if let Some(asked) = model.filter(|asked| *asked != source.model) {
        let hint = format!("it holds the results of '{}': leave `#{asked}` out", source.model);
        return Err(HarnessError::file(path, format!("there is no model '{asked}' in it"), hint));
    }
    source.tasks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(source)
}

fn detect(path: &Path) -> Result<Format, HarnessError> {
    if path.is_dir() {
        return of_folder(path);
    }
    let bytes = stream::head(path, HEAD)?;
    let head = stream::without_mark(&bytes).trim_ascii_start();
    let no = |what: &str, hint: &str| Err(HarnessError::file(path, what, hint));
    match head {
        b"" => no("the file is empty", "it may not have been written to the end: write it again"),
        [b'P', b'K', 3, 4, ..] => no(
            "it is an archive (.eval), which is not read",
            "write it as JSON: `inspect log convert LOG --to json --output-dir FOLDER`",
        ),
        [b'S', b'Q', b'L', b'i', b't', b'e', ..] => no(
            "it is a database, which is not read",
            "write the results as a file: `promptfoo export eval latest --output results.json`",
        ),
        [b'{', ..] => of_json(path, head),
        _ if plain::fits(head) => Ok(Format::Plain),
        _ => no("its format is not known", KNOWN),
    }
}

fn of_folder(path: &Path) -> Result<Format, HarnessError> {
    let mut all = stream::entries(path)?;
    for folder in all.clone().iter().filter(|entry| entry.is_dir()) {
        all.extend(stream::entries(folder)?);
    }
    if all.iter().any(|file| lm_eval::is_samples(file)) {
        return Ok(Format::LmEval);
    }
    let is = |end: &str| all.iter().any(|file| file.parent() == Some(path) && file.extension().is_some_and(|e| e == end));
    let of_lm_eval =
        |file: &std::path::PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("results_"));
    if all.iter().any(of_lm_eval) {
        let hint = "lm-evaluation-harness writes each sample's score only with --log_samples: run it again";
        return Err(HarnessError::file(path, "there are results, but no samples", hint));
    }
    if is("json") || is("eval") {
        return Ok(Format::Inspect);
    }
    Err(HarnessError::file(path, "no results of a known program in this folder", KNOWN))
}

/// A file that begins with an object: JSON lines, or one document.
fn of_json(path: &Path, head: &[u8]) -> Result<Format, HarnessError> {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    let whole = fields(first).map(Iterator::collect::<Result<Vec<_>, _>>);
    if let Some(Ok(members)) = whole {
        let has = |name: &str| members.iter().any(|(own, _)| own == name);
        if has("doc_id") && (has("doc_hash") || has("resps")) {
            return Ok(Format::LmEval);
        }
        if openai::fits(first) {
            return Ok(Format::OpenAi);
        }
        if plain::fits(head) {
            return Ok(Format::Plain);
        }
    }
    let mut format = None;
    let walked = Document::new(stream::open(path, 0)?, 0).object(|document, name| {
        match name {
            "eval" | "plan" => format = Some(Ok(Format::Inspect)),
            "evalId" => format = Some(Ok(Format::Promptfoo)),
            "results" => {
                // Every other program's results are those of tasks, by name.
                format = Some(Err(()));
                document.object(|document, name| {
                    if name == "version" {
                        format = Some(Ok(Format::Promptfoo));
                    }
                    document.value(None)
                })?;
            }
            _ => return document.value(None),
        }
        Err(Broken::Enough)
    });
    walked.or_else(|broken| broken.of(path))?;
    match format {
        Some(Ok(format)) => Ok(format),
        Some(Err(())) => {
            let hint = "lm-evaluation-harness's results file has no sample's score: name the folder with samples_<task>_<time>.jsonl \
                        (made with --log_samples)";
            Err(HarnessError::file(path, "it holds no samples", hint))
        }
        None => Err(HarnessError::file(path, "its format is not known", KNOWN)),
    }
}

/// The model that is meant: the one named, or the only one.
pub(super) fn chosen(path: &Path, asked: Option<&str>, models: BTreeSet<String>) -> Result<String, HarnessError> {
    let list = models.iter().map(|name| if name.is_empty() { "(no name)" } else { name.as_str() }).collect::<Vec<_>>().join(", ");
    match asked {
        Some(asked) if models.contains(asked) => Ok(asked.to_owned()),
        Some(asked) => Err(HarnessError::file(path, format!("there is no model '{asked}' in it"), format!("it has {list}"))),
        None if models.len() > 1 => {
            let hint = format!("name one behind the path, as in {}#NAME: {list}", path.display());
            Err(HarnessError::file(path, format!("it holds the results of {} models", models.len()), hint))
        }
        None => Ok(models.into_iter().next().unwrap_or_default()),
    }
}
