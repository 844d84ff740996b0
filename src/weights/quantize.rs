//! Quantization: from a model in full precision to a GGUF file, one tensor at a time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use half::{bf16, f16};

use super::describe::{KEPT, Metadata, describe};
use super::ggml;
use super::gguf::{Header, TensorPlan, TensorType, Value, Writer};
use super::imatrix::{Imatrix, Order};
use super::layout::{Written, written};
use super::recipe::Choice;
use super::{Architecture, Checkpoint, Config, Facts, Matrix, RopeOrder, WeightsError, vocabulary};

/// What makes the blocks, part of a variant's identity: ggml's searches, byte for byte, as this version of quantgate brought them.
pub const QUANTIZER: &str = "ggml (quantgate 0.1.0)";

/// The version of ggml's block layouts.
const QUANTIZATION_VERSION: u32 = 2;

/// Writes `source` to the GGUF file `out` by `order` (a recipe, or a recipe with an importance matrix); `progress` is told the
/// weights done and the weights in all.
///
/// The source must be in full precision (f32, f16 or bf16). Hugging Face models are converted on the way: rows of q and k
/// go into GGUF's order, and the tokenizer, the special tokens and the chat template into metadata, which is proven to
/// rebuild the same tokenizer before anything is written. Types and bytes are those that `llama-quantize` writes. Returns the
/// facts of the written file. An interrupted or failed call leaves `out` as it was.
pub fn quantize<'a>(
    source: &Checkpoint,
    order: impl Into<Order<'a>>,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Facts, WeightsError> {
    let order = order.into();
    source.must_be_plain()?;
    let jobs = jobs(source, order)?;
    let mut metadata = base_metadata(source)?;
    note(&mut metadata, order, &fallbacks(&jobs));
    let plan: Vec<TensorPlan> = jobs.iter().map(|job| job.plan.clone()).collect();
    let total = jobs.iter().map(Job::weights).sum();
    let mut done = 0;
    let mut writer = Writer::create(out, &metadata, &plan)?;
    progress(0, total);
    for job in &jobs {
        writer.tensor(&encode(source, job)?)?;
        done += job.weights();
        progress(done, total);
    }
    writer.finish()?;
    let written = Checkpoint::from_gguf(out, Some(source.tokenizer().clone()))?;
    Ok(written.facts().clone())
}

/// The tensors that an importance matrix knows and a file of this model would not have: another model's, mostly.
pub fn strangers<'a>(source: &Checkpoint, imatrix: &'a Imatrix) -> Vec<&'a str> {
    let known = written(source.config());
    imatrix.tensors().filter(|name| known.iter().all(|tensor| tensor.name != *name)).collect()
}

/// A tensor to be written.
struct Job<'a> {
    plan: TensorPlan,
    source: Written,
    choice: Choice,
    importance: Option<&'a [f32]>,
}

impl Job<'_> {
    fn weights(&self) -> u64 {
        self.plan.shape.iter().map(|&size| size as u64).product()
    }
}

/// What becomes of each tensor; refuses what the importance matrix cannot serve.
fn jobs<'a>(source: &Checkpoint, order: Order<'a>) -> Result<Vec<Job<'a>>, WeightsError> {
    if order.recipe.needs_importance() && order.imatrix.is_none() {
        let feature = format!("quantizing to {} without an importance matrix", order.recipe);
        return Err(WeightsError::unsupported(source.path(), feature, "give one: `--imatrix FILE`, or `imatrix` in a plan"));
    }
    let config = source.config();
    let job = |source: Written| {
        let Written { name, shape, .. } = &source;
        let choice = order.recipe.choose(name, shape, config, order.imatrix.is_some());
        let importance = match order.imatrix.filter(|_| !choice.kind.is_plain()) {
            Some(imatrix) => imatrix.of(name, shape)?,
            None => None,
        };
        let plan = TensorPlan { name: name.clone(), shape: shape.clone(), kind: choice.kind };
        Ok(Job { plan, source, choice, importance })
    };
    written(config).into_iter().map(job).collect()
}

/// The source's own metadata, or a description of the Hugging Face model.
fn base_metadata(source: &Checkpoint) -> Result<Metadata, WeightsError> {
    if let Some(header) = source.header() {
        let ours = |key: &str| {
            (key.starts_with("quantgate.") && !KEPT.contains(&key))
                || key.starts_with("split.")
                || key.starts_with("quantize.imatrix.")
                || ["general.file_type", "general.quantization_version", "general.alignment"].contains(&key)
        };
        return Ok(header.metadata.iter().filter(|(key, _)| !ours(key)).cloned().collect());
    }
    let path = source.path();
    let name = path.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    let metadata = describe(source, &name)?;
    let header = Header { metadata, tensors: Vec::new() };
    let rebuilt = vocabulary::from_header(path, &header)?;
    if vocabulary::digest(path, &rebuilt)? != source.facts().vocabulary {
        let problem = "GGUF cannot hold this tokenizer: rebuilt from metadata it encodes text differently";
        return Err(WeightsError::tokenizer(path, problem));
    }
    Ok(header.metadata)
}

fn note(metadata: &mut Metadata, order: Order, fallbacks: &[String]) {
    let mut put = |key: &str, value: Value| metadata.push((key.to_owned(), value));
    put("general.file_type", Value::U32(order.recipe.file_type()));
    put("general.quantization_version", Value::U32(QUANTIZATION_VERSION));
    if !order.recipe.is_plain() {
        put("quantgate.quantizer", Value::Text(QUANTIZER.to_owned()));
    }
    if !fallbacks.is_empty() {
        put("quantgate.fallbacks", Value::Text(fallbacks.join(", ")));
    }
    metadata.extend(order.imatrix.map(Imatrix::metadata).unwrap_or_default());
}

/// What was wanted and what was taken, of each tensor whose rows are no whole blocks.
fn fallbacks(jobs: &[Job]) -> Vec<String> {
    let line = |job: &Job| job.choice.wanted.map(|wanted| format!("{} {wanted} -> {}", job.plan.name, job.plan.kind));
    jobs.iter().filter_map(line).collect()
}

/// A tensor's bytes in its new type.
fn encode(source: &Checkpoint, job: &Job) -> Result<Vec<u8>, WeightsError> {
    let tensor = &job.plan;
    let bad = |problem: &str| {
        let (path, tensor) = (source.path().to_owned(), tensor.name.clone());
        Err(WeightsError::Values { path, tensor, problem: problem.to_owned() })
    };
    if !tensor.kind.is_plain() {
        let (blocks, sound) = blocks(source, job)?;
        return match (sound, ggml::finite(tensor.kind, &blocks)) {
            (false, _) => bad("holds values that are not finite"),
            (true, false) => bad(&format!("holds values too great for the scales of {}", tensor.kind)),
            (true, true) => Ok(blocks),
        };
    }
    let values = values(source, job)?;
    if values.iter().any(|value| !value.is_finite()) {
        return bad("holds values that are not finite");
    }
    if tensor.kind == TensorType::F16 && values.iter().any(|value| f16::from_f32(*value).is_infinite()) {
        return bad("holds values that f16 cannot; use bf16 or f32");
    }
    Ok(match tensor.kind {
        TensorType::F16 => values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
        TensorType::BF16 => values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    })
}

/// All values of a tensor to be written.
fn values(source: &Checkpoint, job: &Job) -> Result<Vec<f32>, WeightsError> {
    let fail = WeightsError::compute(source.path(), &job.plan.name);
    let columns = job.plan.shape.last().copied().expect("a tensor has at least one dimension");
    let mut values = job.source.values.clone();
    for part in &job.source.parts {
        let own = source.tensor(part)?.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(&fail)?;
        match heads(part, source.config()) {
            Some(heads) => values.extend(interleaved(&own, columns, heads)),
            None if values.is_empty() => values = own,
            None => values.extend(own),
        }
    }
    Ok(values)
}

/// The blocks of a tensor, and whether all its values are finite. Rows are read where they are quantized, so that no tensor is
/// in memory as a whole: the experts of a layer are gigabytes.
fn blocks(source: &Checkpoint, job: &Job) -> Result<(Vec<u8>, bool), WeightsError> {
    let part = |name: &String| Ok((source.matrix(name)?, heads(name, source.config())));
    let parts = job.source.parts.iter().map(part).collect::<Result<Vec<(Matrix, Option<usize>)>, WeightsError>>()?;
    let (columns, rows) = job.plan.shape.split_last().expect("a tensor has at least one dimension");
    let sound = AtomicBool::new(true);
    let read = |row: usize, out: &mut [f32]| {
        let mut row = row;
        for (matrix, heads) in &parts {
            if row < matrix.rows {
                let row = heads.map_or(row, |heads| paired(row, matrix.rows / heads));
                matrix.slice(row..row + 1).read(out).expect("the source was found to be in full precision");
                break;
            }
            row -= matrix.rows;
        }
        if out.iter().any(|value| !value.is_finite()) {
            sound.store(false, Ordering::Relaxed);
        }
    };
    let blocks = ggml::quantize_read(job.plan.kind, (rows.iter().product(), *columns), job.importance, read);
    Ok((blocks, sound.into_inner()))
}

/// The heads of a matrix whose rows must change their order; none for all others.
fn heads(name: &str, config: &Config) -> Option<usize> {
    if config.rope.order == RopeOrder::Interleaved || config.architecture != Architecture::Llama {
        return None;
    }
    match name.rsplit('.').nth(1) {
        Some("attn_q") => Some(config.heads),
        Some("attn_k") => Some(config.kv_heads),
        _ => None,
    }
}

/// Brings the rows of each head from halves (all first values, then all second) to pairs.
fn interleaved(values: &[f32], columns: usize, heads: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    let from = (0..rows).map(|row| paired(row, rows / heads));
    from.flat_map(|from| &values[from * columns..(from + 1) * columns]).copied().collect()
}

/// Which row of halves is this one of pairs, where heads have `size` rows.
fn paired(row: usize, size: usize) -> usize {
    let (head, row) = (row / size, row % size);
    head * size + row / 2 + (row % 2) * (size / 2)
}
