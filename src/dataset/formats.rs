//! The forms of dataset files: JSON lines and CSV, plain or packed.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};

use super::{DatasetError, Row, RowFault};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object a line.
    JsonLines {
        /// Whether it is packed with gzip.
        packed: bool,
    },
    /// A header and records.
    Csv {
        /// Whether it is packed with gzip.
        packed: bool,
    },
}

/// The form that a file's name promises.
pub(super) fn form_of(path: &Path) -> Result<Form, DatasetError> {
    let text = path.to_string_lossy();
    // A plan's folder may stand before an address.
    if text.contains("hf:/") {
        return Err(DatasetError::Unsupported { path: path.to_owned(), what: "an address at the Hugging Face hub" });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (stem, packed) = name.strip_suffix(".gz").map_or((name.as_str(), false), |stem| (stem, true));
    let ends = |end: &str| stem.ends_with(end);
    let unsupported = |what| Err(DatasetError::Unsupported { path: path.to_owned(), what });
    match () {
        () if ends(".jsonl") => Ok(Form::JsonLines { packed }),
        () if ends(".csv") => Ok(Form::Csv { packed }),
        () if ends(".parquet") => unsupported("a Parquet file"),
        () if ends(".zst") => unsupported("packed with zstd"),
        () => Err(DatasetError::UnknownKind { path: path.to_owned() }),
    }
}

/// The file's bytes without packing and without a byte order mark.
pub(super) fn unpacked(path: &Path, form: Form, bytes: Vec<u8>) -> Result<Vec<u8>, DatasetError> {
    let (Form::JsonLines { packed } | Form::Csv { packed }) = form;
    let mut text = bytes;
    if packed {
        let mut plain = Vec::new();
        let unpacked = MultiGzDecoder::new(text.as_slice()).read_to_end(&mut plain);
        unpacked.map_err(|source| DatasetError::Packed { path: path.to_owned(), source })?;
        text = plain;
    }
    if text.starts_with(b"\xEF\xBB\xBF") {
        text.drain(..3);
    }
    Ok(text)
}

/// Rows that could be read, and what is wrong with the others.
pub(super) fn parse(form: Form, text: &[u8]) -> (Vec<Row>, Vec<RowFault>) {
    let results = match form {
        Form::JsonLines { .. } => json_lines(text),
        Form::Csv { .. } => records(text),
    };
    let (mut rows, mut faults) = (Vec::with_capacity(results.len()), Vec::new());
    for result in results {
        match result {
            Ok(row) => rows.push(row),
            Err(fault) => faults.push(fault),
        }
    }
    (rows, faults)
}

fn json_lines(text: &[u8]) -> Vec<Result<Row, RowFault>> {
    let lines = text.split(|byte| *byte == b'\n').enumerate().map(|(i, line)| (i + 1, line.trim_ascii()));
    let parsed = lines.filter(|(_, line)| !line.is_empty()).map(|(line, bytes)| {
        let fault = |what: String| RowFault { line, what };
        match serde_json::from_slice::<Value>(bytes) {
            Ok(Value::Object(fields)) => row(line, fields),
            Ok(_) => Err(fault("not a JSON object".to_owned())),
            Err(_) if std::str::from_utf8(bytes).is_err() => Err(fault("not UTF-8".to_owned())),
            // serde_json counts lines within this one line: only its column says something.
            Err(error) => {
                let what = error.to_string();
                let what = what.split(" at line ").next().unwrap_or_default();
                Err(fault(format!("not JSON: {what} (column {})", error.column())))
            }
        }
    });
    parsed.collect()
}

fn records(text: &[u8]) -> Vec<Result<Row, RowFault>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(_) => return vec![Err(RowFault { line: 1, what: "the header is not UTF-8".to_owned() })],
    };
    if header.is_empty() {
        return Vec::new();
    }
    let twice = header.iter().enumerate().find(|(i, name)| header.iter().take(*i).any(|earlier| earlier == *name));
    if let Some((_, name)) = twice {
        return vec![Err(RowFault { line: 1, what: format!("the header has two columns `{name}`") })];
    }
    if !header.iter().any(|name| name == "id") {
        return vec![Err(RowFault { line: 1, what: "the header has no column `id`".to_owned() })];
    }
    let mut lines = Lines { text, byte: 0, line: 1 };
    let parsed = reader.byte_records().map(|record| {
        let record = record.map_err(|error| RowFault { line: lines.at(error.position()), what: format!("not CSV: {error}") })?;
        let line = lines.at(record.position());
        let record = csv::StringRecord::from_byte_record(record).map_err(|_| RowFault { line, what: "not UTF-8".to_owned() })?;
        if record.len() != header.len() {
            let plural = if record.len() == 1 { "" } else { "s" };
            let what = format!("{} field{plural} where the header has {}", record.len(), header.len());
            return Err(RowFault { line, what });
        }
        row(line, header.iter().zip(&record).map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
    });
    parsed.collect()
}

/// Counts lines up to positions that only grow. The csv crate's own count is one short after CRLF.
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: usize,
}

impl Lines<'_> {
    fn at(&mut self, position: Option<&csv::Position>) -> usize {
        let start = position.map_or(self.byte, |position| position.byte() as usize).clamp(self.byte, self.text.len());
        let breaks = self.text[start..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let end = start + breaks;
        self.line += self.text[self.byte..end].split(|byte| *byte == b'\n').count() - 1;
        self.byte = end;
        self.line
    }
}

fn row(line: usize, fields: Map<String, Value>) -> Result<Row, RowFault> {
    let id = match fields.get("id") {
        Some(Value::String(id)) if !id.is_empty() => id.clone(),
        Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
        Some(Value::String(_)) => return Err(RowFault { line, what: "the `id` is empty".to_owned() }),
        Some(_) => return Err(RowFault { line, what: "the `id` is neither text nor a whole number".to_owned() }),
        None => return Err(RowFault { line, what: "no `id`".to_owned() }),
    };
    Ok(Row { id, line, fields })
}
