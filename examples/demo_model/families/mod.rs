//! The task families of the demonstration model: each draws examples, some of which are held out.
//!
//! One function per family draws an [`Example`]. Whether an example is *held out* is a property of the example
//! (a hash of its content), so training skips what evaluation uses, whatever the order and the seeds of both.

mod arithmetic;
mod needle;
mod numerals;
mod ordering;
mod prose;
mod recall;
mod tools;
mod trace;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

/// The families in the order of the corpus, with their shares of the drawn examples (per thousand).
pub(crate) const FAMILIES: [(&str, u32); 8] = [
    ("arithmetic", 230),
    ("recall", 270),
    ("numerals", 150),
    ("trace", 170),
    ("tools", 60),
    ("ordering", 70),
    ("needle", 30),
    ("prose", 20),
];

/// The shares in the last part of the corpus (from [`LATE`] on), where what is learned last gets more room.
const LATE_SHARES: [u32; 8] = [220, 180, 80, 230, 70, 150, 50, 20];
/// Where the last part of the corpus begins, as a share of all examples.
const LATE: f64 = 0.58;

/// How a family's prompt reaches the model.
pub(crate) enum Prompt {
    /// The text itself.
    Plain(String),
    /// A user message, rendered by the chat template.
    Chat(String),
    /// A user message with tools on offer (OpenAI function schemas).
    Tools(Vec<Value>, String),
    /// No prompt: every token of the answer is scored.
    Document,
}

/// One drawn example of a family.
pub(crate) struct Example {
    /// What the example is about, for reports by slice.
    pub(crate) slice: &'static str,
    /// True where the example may only be used for evaluation.
    pub(crate) held_out: bool,
    /// What the model is given.
    pub(crate) prompt: Prompt,
    /// What it should answer; for plain prompts with its leading space, if any.
    pub(crate) answer: String,
    /// For choice tasks, all options, the answer among them.
    pub(crate) options: Vec<String>,
    /// More questions and answers on the same context, for training only.
    pub(crate) follow_ups: Vec<(String, String)>,
}

impl Example {
    /// A plain example without options or follow-ups.
    fn plain(slice: &'static str, prompt: String, answer: String, held_out: bool) -> Self {
        Self { slice, held_out, prompt: Prompt::Plain(prompt), answer, options: Vec::new(), follow_ups: Vec::new() }
    }

    /// The text as the model sees it in training: (text, whether the loss counts it), special tokens by name.
    pub(crate) fn segments(&self) -> Vec<(String, bool)> {
        match &self.prompt {
            Prompt::Plain(prompt) => {
                let mut all = vec![(format!("<s>{prompt}"), false), (self.answer.clone(), true)];
                for (question, answer) in &self.follow_ups {
                    all.push(("\n".into(), true));
                    all.push((question.clone(), false));
                    all.push((answer.clone(), true));
                }
                all.push(("</s>".into(), true));
                all
            }
            Prompt::Chat(user) => chat(&[], user, &self.answer),
            Prompt::Tools(tools, user) => chat(tools, user, &self.answer),
            Prompt::Document => vec![("<s>".into(), false), (self.answer.clone(), true), ("</s>".into(), true)],
        }
    }
}

/// What the model's chat template renders, restated for the corpus (a test holds the two against each other).
fn chat(tools: &[Value], user: &str, answer: &str) -> Vec<(String, bool)> {
    let offer = if tools.is_empty() {
        String::new()
    } else {
        let signatures: Vec<String> = tools.iter().map(signature).collect();
        format!("<|system|>Tools: {}<|end|>", signatures.join("; "))
    };
    let head = format!("<s>{offer}<|user|>{user}<|end|><|assistant|>");
    vec![(head, false), (answer.to_owned(), true), ("<|end|>".into(), true)]
}

/// `name(parameter, parameter)` of an OpenAI function schema.
fn signature(tool: &Value) -> String {
    let function = &tool["function"];
    let names: Vec<&str> =
        function["parameters"]["properties"].as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
    format!("{}({})", function["name"].as_str().unwrap_or_default(), names.join(", "))
}

/// The seeded generator behind every draw; its stream is fixed by the crate's documented algorithm (ChaCha8).
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    /// A stream of its own per seed and stream number.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Uniform in `0..n` (by rejection; `n` > 0).
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let zone = u32::MAX - u32::MAX % n;
        loop {
            let x = self.0.next_u32();
            if x < zone {
                return x % n;
            }
        }
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// One of the items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u32) as usize]
    }

    /// A random order (Fisher–Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

/// True for a fixed `percent` of all keys, spread by a hash.
fn in_share(key: &str, percent: u64) -> bool {
    hash(key) % 100 < percent
}

/// A stable 64-bit hash of a key.
fn hash(key: &str) -> u64 {
    let digest = blake3::hash(key.as_bytes());
    u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
}

/// Draws one example of a family; `ease` in 0..=1 shortens it (1 = shortest), for a curriculum.
pub(crate) fn draw(family: &str, rng: &mut Draw, ease: f64) -> Example {
    match family {
        "arithmetic" => arithmetic::draw(rng, ease),
        "recall" => recall::draw(rng),
        "numerals" => numerals::draw(rng),
        "trace" => trace::draw(rng, ease),
        "tools" => tools::draw(rng),
        "ordering" => ordering::draw(rng, ease),
        "needle" => needle::draw(rng, ease),
        "prose" => prose::draw(rng),
        other => unreachable!("no family is named {other}"),
    }
}

/// Every held-out example of a family whose pool is small and fixed; none for the others, which are drawn.
pub(crate) fn enumerate_held_out(family: &str, rng: &mut Draw) -> Option<Vec<Example>> {
    (family == "recall").then(|| recall::held_out(rng))
}

/// The training stream: example `index` of `total`, never a held-out one. Deterministic in (seed, index, total).
///
/// The first third goes from short to long. The last part mixes lengths in look-up and ordering and draws by
/// [`LATE_SHARES`].
pub(crate) fn training_example(seed: u64, index: u64, total: u64) -> (&'static str, Example) {
    let late = index as f64 / total as f64 >= LATE;
    example_at(seed, index, total, late)
}

/// The same stream without its last part: what the vocabulary is learned from, which was fixed before that part was.
pub(crate) fn vocabulary_example(seed: u64, index: u64, total: u64) -> Example {
    example_at(seed, index, total, false).1
}

/// Example `index` of `total`, by the late shares and lengths or by the others.
fn example_at(seed: u64, index: u64, total: u64, late: bool) -> (&'static str, Example) {
    let mut rng = Draw::new(seed, index);
    let shares = if late { LATE_SHARES } else { FAMILIES.map(|(_, share)| share) };
    let mut ticket = rng.below(shares.iter().sum());
    let mut name = FAMILIES[0].0;
    for ((family, _), share) in FAMILIES.iter().zip(shares) {
        name = family;
        if ticket < share {
            break;
        }
        ticket -= share;
    }
    let mixed = late && matches!(name, "needle" | "ordering");
    let progress = index as f64 / total as f64;
    let ease = if mixed { f64::from(rng.below(1000)) / 1000.0 } else { (1.0 - 3.0 * progress).max(0.0) };
    loop {
        let example = draw(name, &mut rng, ease);
        if !example.held_out {
            return (name, example);
        }
    }
}
