//! Log-likelihoods of given texts from servers that tell the log-probabilities of a prompt's tokens.
//!
//! vLLM tells them as `prompt_logprobs`; OpenAI's legacy completions and their look-alikes with `echo` and `logprobs`.
//!
//! Options are cut from their context as in this process (lm-evaluation-harness's rule): trailing white space of the context moves
//! into the option, both are encoded jointly, and the option's tokens are those beyond the number of the context's own. That number
//! comes from the server's own tokenizer, never from places in the text, which tokens straddle: vLLM is asked with `/tokenize`;
//! elsewhere, and where a proxy hides that, the context alone goes along as one more prompt of the same request. All options of a
//! sample are one request.
//!
//! What is told of a token must be a finite number: a missing one is a failure. A first token that nothing stands before has no
//! probability; a document's is then left out, and an option's is refused.

use serde_json::{Map, Value, json};

use super::super::{Failure, Headroom, Reply, RetryClass};
use super::exchange::{Framing, Wire, inexpressible, malformed};
use super::native::Post;
use super::{openai_chat, preset};
use crate::domain::{Answer, ApiSpec, CauseKind, Generation, OptionScore, Preset, Served};

/// How many of the likeliest tokens are asked for in each place of a document: what a divergence is bounded by. vLLM tells no more
/// unless it was started so.
const LIKELIEST: u32 = 20;
/// Most tokens of documents in one request: of each, the likeliest are some two kilobytes of the response.
const ROOM: usize = 16_384;

/// What is known of one token of a prompt.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    /// Natural log-probability; at most 0.
    log_probability: f64,
    /// Whether no token was likelier.
    greedy: bool,
    /// The likeliest tokens in its place and itself, with their log-probabilities; empty where their ids are not told.
    top: Vec<(u32, f32)>,
}

/// A prompt's tokens in order; none for one of which nothing is told, as for the first.
type Tokens = Vec<Option<Told>>;

/// The log-likelihood of every option after a context, in one request for all of them.
///
/// # Errors
/// Those of the requests; [`CauseKind::Refused`] where an option has no token of its own, or stands at the very beginning without
/// a token before it; [`CauseKind::NotANumber`] and [`CauseKind::Malformed`] for log-probabilities that are none or missing.
pub(super) async fn choice(spec: &ApiSpec, post: &Post<'_>, context: &str, options: &[String]) -> Result<Reply, Failure> {
    let kept = context.trim_end();
    let moved = &context[kept.len()..];
    let head = match tokenized(spec, post, kept, true).await? {
        Some((tokens, _)) => Some(tokens.len()),
        None if kept.is_empty() => return Err(inexpressible("this server scores options only after a context")),
        None => None,
    };
    let mut prompts: Vec<Value> = options.iter().map(|option| format!("{kept}{moved}{option}").into()).collect();
    if head.is_none() {
        prompts.push(kept.into());
    }
    let body = post(wire(spec, &prompts, 1)).await?;
    let mut prompts = read(spec, &body, &prompts)?;
    let head = match head {
        Some(head) => head,
        None => prompts.pop().map_or(0, |context| context.len()),
    };
    let scored = prompts.iter().zip(options).enumerate();
    let scored: Result<Vec<OptionScore>, Failure> =
        scored.map(|(index, (tokens, option))| score(tokens, head, option, index)).collect();
    Ok(reply(Answer::Choice { options: scored? }, &[body]))
}

/// One option's score: what is told of the tokens beyond the context's.
fn score(tokens: &Tokens, head: usize, option: &str, index: usize) -> Result<OptionScore, Failure> {
    let own = tokens.get(head..).unwrap_or_default();
    if own.is_empty() {
        return Err(inexpressible(format!("option {} has no token of its own after the context", index + 1)));
    }
    if head == 0 {
        return Err(inexpressible(
            "without a context, and without a token that begins a text, an option's first token has no probability",
        ));
    }
    let own: Vec<&Told> = own.iter().map(|told| told.as_ref().ok_or_else(untold)).collect::<Result<_, _>>()?;
    Ok(OptionScore {
        log_likelihood: own.iter().map(|told| told.log_probability).sum(),
        tokens: own.len() as u32,
        bytes: option.len() as u32,
        greedy: own.iter().all(|told| told.greedy),
    })
}

/// The rolling log-likelihood of a document: on vLLM in lm-evaluation-harness's windows (disjoint runs of scored tokens, each
/// filled up with the tokens before it) as long as its context allows, with the likeliest tokens in each place; elsewhere of a
/// document that fits.
///
/// # Errors
/// As of [`choice`]; [`CauseKind::Refused`] for a document without tokens that can be scored.
pub(super) async fn rolling(spec: &ApiSpec, post: &Post<'_>, text: &str) -> Result<Reply, Failure> {
    if text.is_empty() {
        return Err(nothing());
    }
    let windows = match tokenized(spec, post, text, true).await? {
        Some((whole, context)) => {
            let content = tokenized(spec, post, text, false).await?.map(|(tokens, _)| tokens).unwrap_or_default();
            windows(front(&whole, &content)?, &content, context)
        }
        None => vec![Window { prompt: text.into(), scored: usize::MAX }],
    };
    let (mut nll, mut top, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for windows in together(&windows) {
        let prompts: Vec<Value> = windows.iter().map(|window| window.prompt.clone()).collect();
        let body = likeliest(spec, post, &prompts).await?;
        for (tokens, window) in read(spec, &body, &prompts)?.into_iter().zip(windows) {
            // Without a count of its own, a window scores all behind its first token.
            let from = tokens.len().saturating_sub(window.scored).max(1);
            for told in tokens.into_iter().skip(from) {
                let told = told.ok_or_else(untold)?;
                nll.push(-told.log_probability);
                top.push(told.top);
            }
        }
        bodies.push(body);
    }
    if nll.is_empty() {
        return Err(nothing());
    }
    if top.iter().any(Vec::is_empty) {
        top.clear();
    }
    Ok(reply(Answer::Rolling { nll, bytes: text.len() as u32, divergence: None, top }, &bodies))
}

/// Windows by the requests that they go out in: as many as there is room for, at least one.
fn together(windows: &[Window]) -> Vec<&[Window]> {
    let mut tokens = 0;
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, window) in windows.iter().enumerate() {
        tokens += window.tokens();
        if tokens > ROOM && at > begin {
            parts.push(&windows[begin..at]);
            (begin, tokens) = (at, window.tokens());
        }
    }
    parts.push(&windows[begin..]);
    parts
}

/// What a server tells of prompts, with as many of the likeliest tokens as it does and there is room for.
async fn likeliest(spec: &ApiSpec, post: &Post<'_>, prompts: &[Value]) -> Result<Value, Failure> {
    let ids = |prompt: &Value| prompt.as_array().map_or(usize::MAX, Vec::len);
    if prompts.iter().map(ids).any(|tokens| tokens > ROOM) {
        return post(wire(spec, prompts, 1)).await;
    }
    match post(wire(spec, prompts, LIKELIEST)).await {
        // vLLM's words where it was started with fewer (`--max-logprobs`).
        Err(failure) if failure.retry == RetryClass::No && failure.message.contains("logprobs") => {
            post(wire(spec, prompts, 1)).await
        }
        told => told,
    }
}

/// What is read at once, and how many tokens at its end are scored.
#[derive(Clone, Debug, PartialEq)]
struct Window {
    prompt: Value,
    scored: usize,
}

impl Window {
    /// How many tokens it has, where that is known; else 0.
    fn tokens(&self) -> usize {
        self.prompt.as_array().map_or(0, Vec::len)
    }
}

/// What the tokenizer puts in front of a text of its own: what stands before the content's tokens.
fn front<'a>(whole: &'a [u64], content: &[u64]) -> Result<&'a [u64], Failure> {
    let spare = whole.len().saturating_sub(content.len());
    let at = (0..=spare).find(|&at| whole[at..].starts_with(content));
    at.map(|at| &whole[..at]).ok_or_else(|| malformed("the document's tokens differ with and without special ones"))
}

/// A document's windows for a context of `context` tokens, one of which is left for the token that must be generated.
fn windows(front: &[u64], content: &[u64], context: usize) -> Vec<Window> {
    let room = context.saturating_sub(1).max(front.len() + 2);
    let first = content.len().min(room - front.len());
    let mut begin = front.to_vec();
    begin.extend(&content[..first]);
    let mut windows = vec![Window { prompt: begin.into(), scored: first }];
    let mut done = first;
    while done < content.len() {
        let end = content.len().min(done + room - 1);
        let from = end.saturating_sub(room);
        windows.push(Window { prompt: content[from..end].into(), scored: end - done });
        done = end;
    }
    windows
}

/// A text's tokens by vLLM's own tokenizer, and the server's context; none on other servers and behind proxies without it.
async fn tokenized(spec: &ApiSpec, post: &Post<'_>, text: &str, special: bool) -> Result<Option<(Vec<u64>, usize)>, Failure> {
    if spec.preset != Preset::Vllm {
        return Ok(None);
    }
    let body = json!({"model": spec.model, "prompt": text, "add_special_tokens": special});
    let Value::Object(body) = body else { return Ok(None) };
    let path = preset::root_path(&spec.base_url, "/tokenize");
    let told = match post(Wire { path, headers: Vec::new(), body, framing: Framing::Whole }).await {
        Err(failure) if failure.retry == RetryClass::No => return Ok(None),
        told => told?,
    };
    let tokens = told.get("tokens").and_then(Value::as_array).ok_or_else(|| malformed("/tokenize told no `tokens`"))?;
    let tokens: Option<Vec<u64>> = tokens.iter().map(Value::as_u64).collect();
    let context = told.get("max_model_len").and_then(Value::as_u64).unwrap_or(u64::from(u32::MAX));
    Ok(Some((tokens.ok_or_else(|| malformed("/tokenize told `tokens` that are no ids"))?, context as usize)))
}

/// The request that asks for the log-probabilities of prompts' tokens and of the `top` likeliest beside each; at least 1.
///
/// OpenAI's own takes 0 for the tokens to generate; others take that for "no limit", or refuse it, and generate one.
pub(super) fn wire(spec: &ApiSpec, prompts: &[Value], top: u32) -> Wire {
    let nothing = Generation { max_tokens: 1, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
    let mut body = Map::new();
    body.insert("model".into(), spec.model.as_str().into());
    body.insert("prompt".into(), prompts.into());
    body.insert("max_tokens".into(), u32::from(spec.preset != Preset::Openai).into());
    openai_chat::sampling(spec, &nothing, &mut body);
    if spec.preset == Preset::Vllm {
        body.insert("add_special_tokens".into(), true.into());
        body.insert("prompt_logprobs".into(), top.into());
    } else {
        body.insert("echo".into(), true.into());
        body.insert("logprobs".into(), 1.into());
    }
    body.insert("stream".into(), false.into());
    Wire { path: preset::api_path(spec, "/completions"), headers: Vec::new(), body, framing: Framing::Whole }
}

/// The tokens of every prompt of a response, in the order in which they were sent.
fn read(spec: &ApiSpec, body: &Value, prompts: &[Value]) -> Result<Vec<Tokens>, Failure> {
    if let Some(failure) = super::dialect::in_band(body) {
        return Err(failure);
    }
    let choices = body.get("choices").and_then(Value::as_array).ok_or_else(|| malformed("it has no `choices`"))?;
    let mut places: Vec<Option<&Value>> = vec![None; prompts.len()];
    for (at, choice) in choices.iter().enumerate() {
        let index = choice.get("index").and_then(Value::as_u64).map_or(at, |index| index as usize);
        *places.get_mut(index).ok_or_else(|| malformed("it has more choices than there are prompts"))? = Some(choice);
    }
    let choices: Option<Vec<&Value>> = places.into_iter().collect();
    let choices =
        choices.ok_or_else(|| malformed(format!("it has {} choices for {} prompts", choices_of(body), prompts.len())))?;
    if spec.preset == Preset::Vllm {
        return choices.into_iter().zip(prompts).map(|(choice, prompt)| prompt_logprobs(choice, prompt)).collect();
    }
    let mut tokens: Vec<Tokens> = choices.iter().map(|choice| echoed(choice)).collect::<Result<_, _>>()?;
    without_generated(spec, &mut tokens, body, &choices)?;
    Ok(tokens)
}

/// How many choices a response has.
fn choices_of(body: &Value) -> usize {
    body.get("choices").and_then(Value::as_array).map_or(0, Vec::len)
}

/// vLLM's entries: for each token those told of it and of the likeliest, by id; null for the first. Where the prompt went out as
/// tokens, they must be those that came back.
fn prompt_logprobs(choice: &Value, prompt: &Value) -> Result<Tokens, Failure> {
    let entries = choice.get("prompt_logprobs").and_then(Value::as_array).ok_or_else(missing)?;
    let Some(ids) = prompt.as_array() else {
        return entries.iter().map(|entry| entry.as_object().map(own).transpose()).collect();
    };
    if entries.len() != ids.len() {
        return Err(malformed(format!("it tells of {} tokens, and {} were sent", entries.len(), ids.len())));
    }
    entries.iter().zip(ids).map(|(entry, id)| entry.as_object().map(|entries| named(entries, id)).transpose()).collect()
}

/// What is told of a token that is known by its id, and of the likeliest in its place.
fn named(entries: &Map<String, Value>, id: &Value) -> Result<Told, Failure> {
    let own = entries.get(&id.to_string());
    let own = own.ok_or_else(|| malformed(format!("it tells nothing of token {id}, which was sent")))?;
    let log_probability = number(own.get("logprob"))?;
    // An entry without a probability to speak of says no more than that it has none.
    let logs = || entries.iter().filter_map(|(id, entry)| Some((id, number(entry.get("logprob")).ok()?)));
    let greedy = rank(own) == Some(1) || logs().all(|(_, best)| best <= log_probability);
    let top: Option<Vec<(u32, f32)>> = logs().map(|(id, log)| Some((id.parse().ok()?, log as f32))).collect();
    Ok(Told { log_probability, greedy, top: top.ok_or_else(|| malformed("its log-probabilities are of no token ids"))? })
}

/// A token's place among all, from the likeliest on.
fn rank(entry: &Value) -> Option<u64> {
    entry.get("rank").and_then(Value::as_u64)
}

/// Which of a place's entries is the prompt's own: of two, the one of the lower rank, as the other is the likeliest.
fn own(entries: &Map<String, Value>) -> Result<Told, Failure> {
    let number = |entry: &Value| number(entry.get("logprob"));
    let own = if entries.len() == 1 { entries.values().next() } else { entries.values().max_by_key(|entry| rank(entry)) };
    let is_clear = entries.len() == 1 || entries.len() == 2 && entries.values().all(|entry| rank(entry).is_some());
    let own = own.filter(|_| is_clear);
    let own = own.ok_or_else(|| malformed("which of a token's log-probabilities is its own cannot be told"))?;
    let log_probability = number(own)?;
    let mut greedy = rank(own) == Some(1);
    if !greedy && entries.len() > 1 {
        let best = entries.values().map(number).collect::<Result<Vec<f64>, _>>()?;
        greedy = best.iter().all(|best| *best <= log_probability);
    }
    Ok(Told { log_probability, greedy, top: Vec::new() })
}

/// OpenAI's lists: each token's own log-probability, and those of the likeliest.
fn echoed(choice: &Value) -> Result<Tokens, Failure> {
    let list = |name: &str| choice.pointer(&format!("/logprobs/{name}")).and_then(Value::as_array);
    let (own, top) = (list("token_logprobs").ok_or_else(missing)?, list("top_logprobs").ok_or_else(missing)?);
    if own.len() != top.len() {
        return Err(malformed("its lists of log-probabilities differ in length"));
    }
    let told = |(own, top): (&Value, &Value)| {
        if own.is_null() {
            return Ok(None);
        }
        let log_probability = number(Some(own))?;
        let top = top.as_object().filter(|top| !top.is_empty()).ok_or_else(missing)?;
        let best = top.values().map(|best| number(Some(best))).collect::<Result<Vec<f64>, _>>()?;
        let greedy = best.iter().all(|best| *best <= log_probability);
        Ok(Some(Told { log_probability, greedy, top: Vec::new() }))
    };
    own.iter().zip(top).map(told).collect()
}

/// Takes the tokens off that were generated behind the prompts. How many there are in all, the count of prompt tokens tells: none,
/// or one each; anything else can't be told apart.
fn without_generated(spec: &ApiSpec, tokens: &mut [Tokens], body: &Value, choices: &[&Value]) -> Result<(), Failure> {
    let listed: usize = tokens.iter().map(Vec::len).sum();
    let counted = body.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
    let generated = match counted {
        Some(counted) => listed.checked_sub(counted as usize),
        None if spec.preset == Preset::Openai => Some(0),
        // Each was cut off by the limit, so each has its one token.
        None if choices.iter().all(|choice| choice["finish_reason"] == "length") => Some(tokens.len()),
        None => None,
    };
    match generated {
        Some(0) => Ok(()),
        Some(several) if several == tokens.len() => {
            for tokens in tokens {
                tokens.pop();
            }
            Ok(())
        }
        _ => Err(malformed("its counts do not tell the prompts' tokens from those generated behind them")),
    }
}

/// vLLM and others write this or less where they mean negative infinity.
const INFINITE: f64 = -9999.0;

/// A log-probability: a finite number that is not above 0, but for rounding.
fn number(value: Option<&Value>) -> Result<f64, Failure> {
    match value {
        Some(Value::Number(number)) => match number.as_f64() {
            Some(number) if number.is_finite() && number > INFINITE && number <= 1e-3 => Ok(number.min(0.0)),
            _ => {
                let what = format!("the server told {number} as a token's log-probability");
                Err(Failure::new(CauseKind::NotANumber, RetryClass::No, what))
            }
        },
        _ => Err(untold()),
    }
}

/// A token in the part that is scored, of which nothing was told.
fn untold() -> Failure {
    Failure::new(CauseKind::NotANumber, RetryClass::No, "the server told no log-probability of a token that is scored")
}

/// A response without log-probabilities of the prompt.
fn missing() -> Failure {
    let what = "the server told no log-probabilities of the prompt: it, or a gateway before it, does not do that";
    Failure::new(CauseKind::Malformed, RetryClass::No, what)
}

/// A document with nothing to score.
fn nothing() -> Failure {
    inexpressible("the document has no token that can be scored")
}

/// An answer with what the responses told beside it.
fn reply(answer: Answer, bodies: &[Value]) -> Reply {
    let text = |key: &str| {
        let told = bodies.iter().rev().filter_map(|body| body.get(key).and_then(Value::as_str));
        told.filter(|text| !text.is_empty()).map(str::to_owned).next()
    };
    let usage = bodies.iter().filter_map(|body| body.get("usage").and_then(openai_chat::usage)).reduce(std::ops::Add::add);
    let served = Served { model: text("model"), fingerprint: text("system_fingerprint"), usage, ..Served::default() };
    Reply { answer, served: Some(Box::new(served)), headroom: Headroom::default() }
}

#[cfg(test)]
#[path = "tests/echo.rs"]
mod tests;
