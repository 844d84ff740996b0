//! Log-likelihoods from a llama.cpp server: a grammar forces given tokens, and each one's probability is read off.
//!
//! `/completion` tells of each generated token its log-probability over the whole vocabulary, before any sampler and before
//! the grammar. A grammar of one rule, the given tokens one after the other, makes them the generated ones. So a
//! continuation's exact log-likelihood is one request, and the tokens are the server's own.

use serde_json::{Value, json};

use super::super::{Failure, Headroom, Reply, RetryClass};
use super::exchange::{Wire, inexpressible, malformed};
use super::llama_cpp;
use super::native::{Native, Post};
use crate::domain::{Answer, CauseKind, Generation, OptionScore, Request, Served};

/// Most tokens that one request forces: they are written one by one, and a request must end before its time is up.
const STEP: usize = 256;
/// How many of the likeliest first tokens are asked for where several options are a single token each.
const LETTERS: u32 = 40;
/// How many of the likeliest tokens are kept for each token of a document: what a divergence is bounded by.
const LIKELIEST: u32 = 20;
/// Below this a log-probability is the server's way of writing minus infinity.
const LOWEST: f64 = -1e30;

/// Tokens to read, and the tokens to force after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// What is read; at least one token.
    pub(super) prompt: Vec<u32>,
    /// What is forced; at least one token.
    pub(super) targets: Vec<u32>,
}

/// What is known of a forced token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TokenScore {
    /// Its natural log-probability.
    pub(super) log_probability: f64,
    /// Whether it was the most likely token.
    pub(super) greedy: bool,
    /// The likeliest tokens in its place with their log-probabilities, falling.
    pub(super) top: Vec<(u32, f64)>,
}

/// The request that forces a span's targets and tells of the `top` likeliest tokens in each place; `top` is at least 1.
pub(super) fn wire(span: &Span, top: u32) -> Wire {
    let count = span.targets.len();
    let generation = Generation { max_tokens: count, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
    let mut wire = llama_cpp::completion(&json!(span.prompt), &generation, false);
    let rule: Vec<String> = span.targets.iter().map(|id| format!("<[{id}]>")).collect();
    wire.body.insert("grammar".into(), format!("root ::= {}", rule.join(" ")).into());
    wire.body.insert("n_probs".into(), top.into());
    wire
}

/// The scores of a span's targets out of the response to [`wire`].
///
/// # Errors
/// [`CauseKind::Malformed`] where other tokens came back than were forced, or other tokens were read than were sent:
/// nothing is scored then. [`CauseKind::NotANumber`] where a probability is too small for the server to write.
pub(super) fn scores(body: &Value, span: &Span) -> Result<Vec<TokenScore>, Failure> {
    llama_cpp::check(body)?;
    let list = body.get("completion_probabilities").and_then(Value::as_array);
    let list = list.ok_or_else(|| disobeyed("it tells no probabilities"))?;
    let read = body.get("tokens_evaluated").and_then(Value::as_u64);
    if read.is_some_and(|read| read != span.prompt.len() as u64) {
        return Err(disobeyed(&format!("of {} tokens it read {}", span.prompt.len(), read.unwrap_or_default())));
    }
    let (came, wanted) = (list.len(), span.targets.len());
    if came != wanted {
        return Err(disobeyed(&format!("it wrote {came} of {wanted} tokens")));
    }
    list.iter().zip(&span.targets).map(|(entry, &target)| score(entry, target)).collect()
}

/// The score of one target.
fn score(entry: &Value, target: u32) -> Result<TokenScore, Failure> {
    let (id, log_probability) = pair(entry)?;
    if id != target {
        return Err(disobeyed(&format!("it wrote token {id} in place of {target}")));
    }
    if !(LOWEST..=1e-4).contains(&log_probability) {
        let what = format!("the probability of token {id} is beyond what the server can write ({log_probability:e})");
        return Err(Failure::new(CauseKind::NotANumber, RetryClass::No, what));
    }
    let top = entry.get("top_logprobs").and_then(Value::as_array);
    let top: Vec<(u32, f64)> = top.into_iter().flatten().map(pair).collect::<Result<_, _>>()?;
    let best = top.first().ok_or_else(|| malformed("it doesn't tell the likeliest token"))?;
    Ok(TokenScore { log_probability: log_probability.min(0.0), greedy: best.0 == id, top })
}

/// An id with its log-probability.
fn pair(entry: &Value) -> Result<(u32, f64), Failure> {
    let id = entry.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    let logprob = entry.get("logprob").and_then(Value::as_f64);
    id.zip(logprob).ok_or_else(|| malformed("a probability has no `id` or no `logprob`"))
}

/// A server that didn't write what it was made to: the same request would fare the same.
fn disobeyed(how: &str) -> Failure {
    let what = format!("the server did not write the forced tokens ({how}), so nothing can be scored");
    Failure::new(CauseKind::Malformed, RetryClass::No, what)
}

/// What several requests said beside their answers, together.
#[derive(Default)]
struct Beside {
    served: Served,
}

impl Beside {
    /// Adds one response.
    fn add(&mut self, body: &Value) {
        if let Some(name) = body.get("model").and_then(Value::as_str) {
            self.served.model = Some(name.to_owned());
        }
        if let Some(more) = llama_cpp::usage(body) {
            self.served.usage = Some(self.served.usage.unwrap_or_default() + more);
        }
    }

    /// An answer with all of it.
    fn reply(self, answer: Answer) -> Reply {
        Reply { answer, served: Some(Box::new(self.served)), headroom: Headroom::default() }
    }
}

/// Forces one span and reads its scores.
async fn force(post: &Post<'_>, span: &Span, top: u32, told: &mut Beside) -> Result<Vec<TokenScore>, Failure> {
    let body = post(wire(span, top)).await?;
    told.add(&body);
    scores(&body, span)
}

/// The log-likelihood of every option after a context, its tokens cut by lm-evaluation-harness's rule: trailing white
/// space of the context moves into the option; both are encoded jointly, and the option's tokens are those beyond the
/// number of the context's own.
///
/// # Errors
/// Those of the requests; [`CauseKind::Refused`] where an option has no token of its own, or there is no room for it.
pub(super) async fn choice(native: &Native, post: &Post<'_>, context: &str, options: &[String]) -> Result<Reply, Failure> {
    let spans = spans(native, post, context, options).await?;
    let mut told = Beside::default();
    let mut known: Vec<Option<TokenScore>> = vec![None; spans.len()];
    let letters = spans.iter().filter(|span| span.targets.len() == 1).count();
    let mut scored = Vec::with_capacity(spans.len());
    for (index, (span, option)) in spans.iter().zip(options).enumerate() {
        let tokens = if let Some(score) = known[index].take() {
            vec![score]
        } else {
            let top = if letters > 1 && span.targets.len() == 1 { LETTERS } else { 1 };
            let tokens = force(post, span, top, &mut told).await?;
            share(&tokens[0], &spans[index + 1..], &mut known[index + 1..]);
            tokens
        };
        scored.push(OptionScore {
            log_likelihood: tokens.iter().map(|token| token.log_probability).sum(),
            tokens: tokens.len() as u32,
            bytes: option.len() as u32,
            greedy: tokens.iter().all(|token| token.greedy),
        });
    }
    Ok(told.reply(Answer::Choice { options: scored }))
}

/// Options of a single token whose probability another option's first place has told already: all options have one prompt.
fn share(first: &TokenScore, spans: &[Span], known: &mut [Option<TokenScore>]) {
    for (span, known) in spans.iter().zip(known) {
        let [target] = span.targets[..] else { continue };
        let found = first.top.iter().find(|(id, logprob)| *id == target && *logprob >= LOWEST);
        if let Some(&(_, logprob)) = found {
            let greedy = first.top.first().is_some_and(|best| best.0 == target);
            *known = Some(TokenScore { log_probability: logprob.min(0.0), greedy, top: Vec::new() });
        }
    }
}

/// The spans of options after a context.
async fn spans(native: &Native, post: &Post<'_>, context: &str, options: &[String]) -> Result<Vec<Span>, Failure> {
    let kept = context.trim_end();
    let moved = &context[kept.len()..];
    let head = native.ids(post, kept, true).await?;
    let mut spans = Vec::with_capacity(options.len());
    for (index, option) in options.iter().enumerate() {
        let joint = native.ids(post, &format!("{kept}{moved}{option}"), true).await?;
        spans.push(span(&head, &joint, || native.start(), index)?);
    }
    match spans.iter().find(|span| span.prompt.len() + span.targets.len() - 1 > native.room()) {
        None => Ok(spans),
        Some(span) => Err(inexpressible(format!(
            "the prompt has {} tokens, and the server's context holds {}",
            span.prompt.len() + span.targets.len() - 1,
            native.room()
        ))),
    }
}

/// The span of an option: what the joint text has beyond the number of the context's tokens. Without a context, or a BOS
/// in its place, the option is encoded on its own.
fn span(head: &[u32], joint: &[u32], start: impl Fn() -> Result<u32, Failure>, index: usize) -> Result<Span, Failure> {
    let own = joint.get(head.len()..).unwrap_or_default();
    if own.is_empty() {
        return Err(inexpressible(format!("option {} has no token of its own after the context", index + 1)));
    }
    let prompt = if head.is_empty() { vec![start()?] } else { head.to_vec() };
    Ok(Span { prompt, targets: own.to_vec() })
}

/// A document's tokens in lm-evaluation-harness's rolling windows of `room` tokens (disjoint runs of scored tokens, each
/// filled up with the tokens before it), each run in steps that one request can take.
fn windows(tokens: &[u32], start: u32, room: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut done = 0;
    while done < tokens.len() {
        let end = tokens.len().min(done + room);
        // The first window has the start token in front; the others begin so that they are full at their end.
        let mut window: Vec<u32> = if done == 0 { vec![start] } else { Vec::new() };
        let first = if done == 0 { 0 } else { end - 1 - room.min(end - 1) };
        window.extend(&tokens[first..end]);
        let offset = window.len() - (end - done);
        for from in (offset..window.len()).step_by(STEP) {
            let to = window.len().min(from + STEP);
            spans.push(Span { prompt: window[..from].to_vec(), targets: window[from..to].to_vec() });
        }
        done = end;
    }
    spans
}

/// The rolling log-likelihood of a document, scored from its first token on.
///
/// # Errors
/// Those of the requests; [`CauseKind::Refused`] for a document without tokens.
pub(super) async fn rolling(native: &Native, post: &Post<'_>, text: &str) -> Result<Reply, Failure> {
    let tokens = native.ids(post, text, false).await?;
    if tokens.is_empty() {
        return Err(inexpressible("the document has no tokens"));
    }
    let mut told = Beside::default();
    let mut scores = Vec::with_capacity(tokens.len());
    for span in windows(&tokens, native.start()?, native.room()) {
        scores.extend(force(post, &span, LIKELIEST, &mut told).await?);
    }
    let nll = scores.iter().map(|score| -score.log_probability).collect();
    let likeliest = |score: &TokenScore| score.top.iter().map(|&(id, logprob)| (id, logprob as f32)).collect();
    let top = scores.iter().map(likeliest).collect();
    Ok(told.reply(Answer::Rolling { nll, bytes: text.len() as u32, divergence: None, top }))
}

/// A prompt as it is sent: its text, its tokens, and how its answer is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prompt {
    /// The whole text, special tokens of a template included; what is asked can be compared by it.
    pub(super) text: String,
    /// The tokens.
    pub(super) tokens: Vec<u32>,
    /// How to generate.
    pub(super) generation: Generation,
}

impl Prompt {
    /// The request for its answer.
    pub(super) fn wire(&self, stream: bool) -> Wire {
        llama_cpp::completion(&json!(self.tokens), &self.generation, stream)
    }
}

/// The prompt of a request for text: a conversation is rendered, a raw prompt is taken as it is; both are cut into tokens,
/// so that nothing is added on the way.
///
/// # Errors
/// Those of the requests; [`CauseKind::Refused`] where the prompt leaves no room, or the request is not for text.
pub(super) async fn prompt(native: &Native, post: &Post<'_>, request: &Request) -> Result<Prompt, Failure> {
    let (text, tokens, generation) = match request {
        Request::Generate { prompt, generation } => {
            let mut tokens = native.ids(post, prompt, true).await?;
            if tokens.is_empty() {
                tokens.push(native.start()?);
            }
            (prompt.clone(), tokens, generation)
        }
        Request::Chat { messages, tools, generation } => {
            let (text, tokens) = native.rendered(post, messages, tools).await?;
            (text, tokens, generation)
        }
        Request::Choice { .. } | Request::Perplexity { .. } => return Err(inexpressible("the request is not for text")),
    };
    if tokens.len() >= native.room() {
        let (length, context) = (tokens.len(), native.context);
        let what = format!("the prompt has {length} tokens, which leaves no room for an answer in a context of {context}");
        return Err(inexpressible(what));
    }
    Ok(Prompt { text, tokens, generation: generation.clone() })
}

#[cfg(test)]
mod tests;
