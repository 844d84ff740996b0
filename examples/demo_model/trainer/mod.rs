//! The trainer: one pass over the packed corpus with Muon and `AdamW`, in resumable steps.
//!
//! It is the program behind `examples/demo_model/train.py` once more, on candle: same model, loss, optimizers, schedule
//! and document mask, all in f32.

mod checkpoint;
mod model;
mod operations;
mod optimizer;
mod rows;

use std::path::PathBuf;
use std::time::Instant;

use candle_nn::loss::cross_entropy;

use model::{Config, Model};
use optimizer::Optimizer;
use rows::Corpus;

/// File name of the finished weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// Steps between two checkpoints.
const CHECKPOINT_EVERY: usize = 200;
/// Steps between two progress lines.
const REPORT_EVERY: usize = 50;
/// Steps over which the learning rate rises to its full height.
const WARM_UP: f64 = 100.0;
/// Share of the schedule after which the learning rate falls.
const CONSTANT_SHARE: f64 = 0.5;
/// What is left of the learning rate at the end.
const LAST_RATE: f64 = 0.02;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a training run needs to know.
pub(crate) struct Settings {
    /// The model's config.json.
    pub(crate) config: PathBuf,
    /// Where the corpus lies and checkpoint and weights go.
    pub(crate) folder: PathBuf,
    /// Steps of the whole schedule.
    pub(crate) steps: usize,
    /// Stop before this step (at most `steps`).
    pub(crate) until: usize,
    /// Rows per step.
    pub(crate) batch: usize,
    /// Threads; 0 means all cores.
    pub(crate) threads: usize,
    /// Seed of the initial weights.
    pub(crate) seed: u64,
}

/// Trains from the last checkpoint in the folder (or from the start) up to `until`, then writes checkpoint and weights.
pub(crate) fn train(settings: &Settings) -> Result<(), Error> {
    rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build_global()?;
    let config: Config = serde_json::from_reader(std::fs::File::open(&settings.config)?)?;
    let corpus = Corpus::open(&settings.folder)?;
    if corpus.rows() < settings.batch || settings.batch == 0 {
        return Err(format!("a batch needs 1 to {} rows, not {}", corpus.rows(), settings.batch).into());
    }
    let model = Model::new(config, settings.seed)?;
    let mut optimizer = Optimizer::new(&model)?;
    let first = checkpoint::load(&settings.folder, &model, &mut optimizer)?;
    let (mut smoothed, started) = (None, Instant::now());
    for step in first..settings.until {
        let batch = corpus.batch(step, settings.batch)?;
        let loss = cross_entropy(&model.logits(&batch)?, &batch.targets)?;
        optimizer.step(&loss.backward()?, step, rate(step, settings.steps))?;
        let now = f64::from(loss.to_scalar::<f32>()?);
        let mean = smoothed.map_or(now, |before: f64| 0.98 * before + 0.02 * now);
        smoothed = Some(mean);
        if step % REPORT_EVERY == 0 {
            let tokens = (step - first + 1) * settings.batch * rows::ROW;
            println!("{step} loss {mean:.4} {:.0} tok/s", tokens as f64 / started.elapsed().as_secs_f64());
        }
        if (step + 1) % CHECKPOINT_EVERY == 0 || step + 1 == settings.until {
            checkpoint::save(&settings.folder, &model, &optimizer, step + 1)?;
        }
    }
    checkpoint::export(&settings.folder.join(WEIGHTS), &model)
}

/// The learning rate's factor at a step: a warm-up, a plateau, then a straight line down.
fn rate(step: usize, steps: usize) -> f64 {
    let done = step as f64 / steps as f64;
    let warm = ((step + 1) as f64 / WARM_UP).min(1.0);
    let cooled = if done < CONSTANT_SHARE { 1.0 } else { (1.0 - done) / (1.0 - CONSTANT_SHARE) * (1.0 - LAST_RATE) + LAST_RATE };
    warm * cooled
}
