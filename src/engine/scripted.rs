//! Answers written beforehand: for dry runs of a plan, and for tests of everything around an engine.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Mutex;

use super::{BoxFuture, Capabilities, Distribution, Engine, Extent, Failure, Lane, Passage, Reply, RetryClass};
use crate::domain::{Answer, CauseKind, Constraint, Digest, Finish, Identity, OptionScore, Request, ScriptedSpec, Target};

/// Size of the tiny vocabulary of its distributions: a token is a byte's last four bits.
const VOCABULARY: usize = 16;
/// How far a salt moves a logit, at most, either way.
const NOISE: f64 = 0.05;

/// Faults to show, chosen by a hash of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Requests per thousand that fail in a passing way before they are answered.
    pub transient_per_mille: u32,
    /// How often such a request fails.
    pub times: u32,
    /// Requests per thousand that always fail.
    pub permanent_per_mille: u32,
}

/// An engine that knows the right answers and gives wrong ones to a chosen share of requests.
///
/// A request is answered right where a hash of salt and request says so, whatever it is asked together with and with
/// whichever seed; then noise turns some answers round by a hash of the seed, too.
#[derive(Debug)]
pub struct ScriptedEngine {
    spec: ScriptedSpec,
    targets: HashMap<String, Target>,
    /// The known requests by what they are without their seeds: a later pass asks with another one.
    unseeded: HashMap<String, String>,
    identity: Identity,
    capabilities: Capabilities,
    faults: Faults,
    yields: u32,
    asked: Mutex<HashMap<String, u32>>,
}

impl ScriptedEngine {
    /// An engine that knows what is right for these requests, on the shared lane and without faults. A request that it
    /// does not know is refused.
    pub fn new<'a>(spec: &ScriptedSpec, items: impl IntoIterator<Item = (&'a Request, &'a Target)>) -> Self {
        let (mut targets, mut unseeded) = (HashMap::new(), HashMap::new());
        for (request, target) in items {
            let key = canonical(request);
            unseeded.entry(canonical(&without_seed(request))).or_insert_with(|| key.clone());
            targets.insert(key, target.clone());
        }
        let noise = if spec.noise_per_mille > 0 { format!(" noise {}", spec.noise_per_mille) } else { String::new() };
        let script = format!("scripted {} {}{noise}", spec.right_per_mille, spec.salt);
        let identity = Identity {
            engine: concat!("scripted ", env!("CARGO_PKG_VERSION")).to_owned(),
            weights: digest(&script),
            vocabulary: digest("scripted vocabulary"),
            template: digest("scripted template"),
            quantization: "scripted".to_owned(),
            bytes: 0,
            parameters: 0,
            bits_per_weight: 0.0,
            details: BTreeMap::from([("right_per_mille".to_owned(), spec.right_per_mille.to_string())]),
        };
        let capabilities = Capabilities {
            log_likelihood: true,
            distributions: true,
            chat: true,
            tools: true,
            raw: true,
            constrained: true,
            context: 1 << 20,
            lane: Lane::Shared,
        };
        let (faults, asked) = (Faults::default(), Mutex::default());
        Self { spec: spec.clone(), targets, unseeded, identity, capabilities, faults, yields: 0, asked }
    }

    /// With other capabilities, its lane among them.
    #[must_use]
    pub fn with_capabilities(mut self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(&mut self.capabilities);
        self
    }

    /// With another identity.
    #[must_use]
    pub fn with_identity(mut self, change: impl FnOnce(&mut Identity)) -> Self {
        change(&mut self.identity);
        self
    }

    /// With faults.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// With up to this many yields to other tasks before each answer, so that answers overtake one another.
    #[must_use]
    pub fn with_yields(mut self, yields: u32) -> Self {
        self.yields = yields;
        self
    }

    /// How often a request came, failures included; a document counts as its perplexity request.
    #[must_use]
    pub fn times_asked(&self, request: &Request) -> u32 {
        self.asked().get(&canonical(request)).copied().unwrap_or(0)
    }

    /// A number below `bound` that depends on the salt, a purpose and a text.
    fn draw(&self, purpose: &str, text: &str, bound: u32) -> u32 {
        hash(&[&self.spec.salt, purpose, text]) % bound.max(1)
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.asked.lock().expect("nothing panics while it counts")
    }

    /// Counts a request, and fails it where the script says so.
    fn meet(&self, key: &str) -> Result<(), Failure> {
        let before = {
            let mut asked = self.asked();
            let count = asked.entry(key.to_owned()).or_insert(0);
            *count += 1;
            *count - 1
        };
        let fail = |message: &str, retry| Err(Failure::new(CauseKind::Transport, retry, message));
        if self.draw("permanent", key, 1000) < self.faults.permanent_per_mille {
            return fail("scripted to fail", RetryClass::No);
        }
        if before < self.faults.times && self.draw("transient", key, 1000) < self.faults.transient_per_mille {
            return fail("scripted to fail for a while", RetryClass::Transient);
        }
        Ok(())
    }

    /// Lets other tasks go first, more or less often.
    async fn pause(&self, key: &str) {
        for _ in 0..self.draw("yields", key, self.yields + 1) {
            tokio::task::yield_now().await;
        }
    }

    fn reply(&self, request: &Request) -> Result<Answer, Failure> {
        let key = canonical(request);
        self.meet(&key)?;
        if let Request::Perplexity { text } = request {
            let shown = self.shown(text, 0..usize::MAX);
            let rows = shown.rows.chunks_exact(VOCABULARY);
            let nll = rows.zip(&shown.tokens).map(|(row, &token)| -f64::from(row[token as usize])).collect();
            return Ok(Answer::Rolling { nll, bytes: text.len() as u32, divergence: None, top: Vec::new() });
        }
        let known =
            if self.targets.contains_key(&key) { Some(&key) } else { self.unseeded.get(&canonical(&without_seed(request))) };
        let Some((first, target)) = known.and_then(|first| self.targets.get_key_value(first)) else {
            let message = "the script has no such request".to_owned();
            return Err(Failure::new(CauseKind::Refused, RetryClass::No, message));
        };
        let usual = self.draw("right", first, 1000) < self.spec.right_per_mille;
        let right = usual != (self.draw("noise", &key, 1000) < self.spec.noise_per_mille);
        Ok(match (request, target) {
            (Request::Choice { options, .. }, target) => {
                let best = if let Target::Option(index) = target { *index } else { 0 };
                choose(options, if right { best } else { (best + 1) % options.len().max(1) })
            }
            (_, target) => say(if right { right_text(target) } else { wrong_text(target) }),
        })
    }

    /// Refuses to show distributions where it is not able to.
    fn showing(&self) -> Result<(), Failure> {
        let refused = || Failure::new(CauseKind::Refused, RetryClass::No, "the script shows no distributions");
        if self.capabilities.distributions { Ok(()) } else { Err(refused()) }
    }

    /// Distributions over the tiny vocabulary: a common part that any salt shares, and a little noise of its own.
    fn shown(&self, text: &str, wanted: Range<usize>) -> Distribution {
        let mut tokens: Vec<u32> = text.bytes().map(|byte| u32::from(byte) % VOCABULARY as u32).collect();
        let (start, end) = (wanted.start.min(tokens.len()), wanted.end.min(tokens.len()));
        let mut rows = Vec::with_capacity(end.saturating_sub(start) * VOCABULARY);
        for position in start..end {
            let before = position.checked_sub(1).map_or(VOCABULARY as u32, |before| tokens[before]);
            let place = format!("{position} {before}");
            let logits: Vec<f64> = (0..VOCABULARY)
                .map(|id| {
                    let unit = |salt: &str| f64::from(hash(&[salt, &place, &id.to_string()])) / f64::from(u32::MAX);
                    4.0 * unit("common") + NOISE * (2.0 * unit(&self.spec.salt) - 1.0)
                })
                .collect();
            let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            rows.extend(logits.iter().map(|logit| (logit - total) as f32));
        }
        tokens.truncate(end);
        Distribution { tokens: tokens.split_off(start), rows, vocabulary: VOCABULARY }
    }
}

impl Engine for ScriptedEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                self.pause(&canonical(request)).await;
                answers.push(self.reply(request).map(Reply::from));
            }
            answers
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        let extent = |text: &String| self.showing().map(|()| Extent { tokens: text.len(), vocabulary: VOCABULARY });
        Box::pin(std::future::ready(texts.iter().map(extent).collect()))
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        let reply = |Passage { text, rows }: &Passage| {
            self.showing()?;
            self.meet(&canonical(&Request::Perplexity { text: text.clone() })).map(|()| self.shown(text, rows.clone()))
        };
        let replies = passages.iter().map(reply).collect();
        Box::pin(std::future::ready(replies))
    }
}

/// A request with its seed put aside.
fn without_seed(request: &Request) -> Request {
    let mut request = request.clone();
    if let Request::Generate { generation, .. } | Request::Chat { generation, .. } = &mut request {
        generation.seed = 0;
    }
    request
}

/// A request as its JSON text.
fn canonical(request: &Request) -> String {
    serde_json::to_string(request).expect("a request has text keys only")
}

/// A 32-bit hash of some texts, the same on every machine.
fn hash(parts: &[&str]) -> u32 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let bytes = hasher.finalize();
    let [a, b, c, d, ..] = *bytes.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn digest(text: &str) -> Digest {
    Digest::new(format!("blake3:{}", blake3::hash(text.as_bytes())))
}

/// Log-likelihoods that prefer an option by sum, by token and by byte.
fn choose(options: &[String], best: usize) -> Answer {
    let score = |(index, option): (usize, &String)| {
        let bytes = option.len() as u32;
        let likely = index == best;
        let log_likelihood = if likely { -0.25 } else { -4.0 * f64::from(bytes.max(1)) - index as f64 };
        OptionScore { log_likelihood, tokens: 1, bytes, greedy: likely }
    };
    Answer::Choice { options: options.iter().enumerate().map(score).collect() }
}

fn say(text: String) -> Answer {
    let tokens = text.bytes().map(u32::from).collect();
    Answer::Text { text, tokens, finish: Finish::End }
}

fn right_text(target: &Target) -> String {
    match target {
        Target::Text(accepted) => accepted.first().cloned().unwrap_or_default(),
        Target::Call(value) | Target::Json(value) => value.to_string(),
        Target::Shape(Constraint::Choice(texts)) => texts.first().cloned().unwrap_or_default(),
        Target::Shape(_) | Target::Option(_) | Target::None => String::new(),
    }
}

/// A readable answer that no scorer takes for the right one: other digits, another tool, or another text.
fn wrong_text(target: &Target) -> String {
    match target {
        Target::Text(accepted) => {
            let right = right_text(target);
            let mut wrong: String = right.chars().map(next_digit).collect();
            while accepted.iter().any(|text| text.trim().eq_ignore_ascii_case(wrong.trim())) {
                wrong.push('?');
            }
            wrong
        }
        Target::Call(call) => {
            let mut call = call.clone();
            call["name"] = serde_json::Value::from("no_such_tool");
            call.to_string()
        }
        Target::Json(value) => serde_json::json!({ "not": value }).to_string(),
        Target::Shape(_) | Target::Option(_) | Target::None => String::new(),
    }
}

/// The digit after this one (9 becomes 1: a leading 0 could vanish); any other character itself.
fn next_digit(c: char) -> char {
    match c {
        '9' => '1',
        digit if digit.is_ascii_digit() => char::from(digit as u8 + 1),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Generation;

    fn spec(right_per_mille: u32, salt: &str) -> ScriptedSpec {
        ScriptedSpec { right_per_mille, salt: salt.to_owned(), noise_per_mille: 0 }
    }

    fn likelihoods(answer: &Answer) -> Vec<f64> {
        match answer {
            Answer::Choice { options } => options.iter().map(|option| option.log_likelihood).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn noise_turns_some_answers_round_from_seed_to_seed_and_none_without_it() {
        let request = |i: usize, seed| {
            let generation = Generation { max_tokens: 8, stop: vec![], temperature: 1.0, top_p: 1.0, seed, constraint: None };
            Request::Generate { prompt: format!("{i}?"), generation }
        };
        let items: Vec<(Request, Target)> = (0..200).map(|i| (request(i, 1), Target::Text(vec!["7".to_owned()]))).collect();
        let differ = |noise_per_mille| {
            let spec = ScriptedSpec { noise_per_mille, ..spec(800, "a") };
            let engine = ScriptedEngine::new(&spec, items.iter().map(|(request, target)| (request, target)));
            (0..200).filter(|&i| engine.reply(&request(i, 1)) != engine.reply(&request(i, 2))).count()
        };
        assert_eq!(differ(0), 0);
        assert!((20..55).contains(&differ(100)), "2 · 10 % · 90 % of 200, found {}", differ(100));
    }

    #[test]
    fn the_share_of_right_answers_is_about_what_the_script_says() {
        let target = Target::Option(1);
        let request = |i: usize| Request::Choice { context: format!("{i}"), options: vec!["no".to_owned(), "yes".to_owned()] };
        let requests: Vec<Request> = (0..1000).map(request).collect();
        let engine = ScriptedEngine::new(&spec(700, "a"), requests.iter().map(|request| (request, &target)));
        let right = requests.iter().filter(|request| {
            let scores = likelihoods(&engine.reply(request).expect("no faults"));
            scores[1] > scores[0]
        });
        let right = right.count();
        assert!((650..750).contains(&right), "{right} of 1000");
    }

    #[test]
    fn a_wrong_number_is_another_number() {
        for right in ["0", "9", "99", "109", "x = 42"] {
            let wrong = wrong_text(&Target::Text(vec![right.to_owned()]));
            assert_ne!(wrong, right);
            assert!(wrong.chars().any(|c| c.is_ascii_digit()), "{wrong}");
        }
    }

    #[test]
    fn equal_salts_have_equal_distributions_and_others_nearly() {
        let shown = |salt| ScriptedEngine::new(&spec(1000, salt), []).shown("some text", 0..usize::MAX);
        assert_eq!(shown("a"), shown("a"));
        assert_ne!(shown("a"), shown("b"));
        let [a, b] = [shown("a"), shown("b")];
        assert!(a.rows.iter().zip(&b.rows).all(|(a, b)| (a - b).abs() < 0.25));
        let mass: f32 = a.rows[..VOCABULARY].iter().map(|ln_p| ln_p.exp()).sum();
        assert!((mass - 1.0).abs() < 1e-5, "a row sums to {mass}");
    }
}
