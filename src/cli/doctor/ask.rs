//! One test request: the first sample of a task that asks for text, or of any task.

use std::time::{Duration, Instant};

use super::ability;
use super::finding::Finding;
use crate::domain::{Answer, CauseKind, Request, RequestKind, Served};
use crate::engine::{Engine, Failure, Reply, RetryClass};
use crate::plan::Plan;

/// How long an answer is waited for where the endpoint says nothing.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often it is asked where the connection breaks off.
const TRIES: u32 = 3;

/// Characters of an answer that are shown.
const SHOWN: usize = 60;

/// What came of it.
pub(super) struct Asked {
    pub(super) findings: Vec<Finding>,
    /// Tokens of the prompt for each of its characters, where the service counted.
    pub(super) rate: Option<f64>,
}

/// The request to test with; none where the plan asks nothing.
fn sample(plan: &Plan) -> Option<&Request> {
    let order = [RequestKind::Chat, RequestKind::Generate, RequestKind::Tools, RequestKind::Choice, RequestKind::Perplexity];
    let of = |kind| plan.tasks.iter().find(move |planned| planned.task.kind == kind && !planned.samples.is_empty());
    order.into_iter().find_map(of).map(|planned| &planned.samples[0].request)
}

/// Asks once; again where the connection broke off.
pub(super) async fn once(plan: &Plan, engine: &dyn Engine) -> Asked {
    let Some(request) = sample(plan) else { return Asked { findings: Vec::new(), rate: None } };
    let patience = engine.endpoint().map_or(PATIENCE, |endpoint| endpoint.timeout);
    let mut tries = 1;
    let (answered, took) = loop {
        let began = Instant::now();
        let asked = engine.answer(std::slice::from_ref(request));
        let answered = tokio::time::timeout(patience, asked).await.map(|mut replies| replies.pop());
        // A connection that was just closed says nothing of the next one; a run would ask again too.
        match &answered {
            Ok(Some(Err(failure)))
                if failure.kind == CauseKind::Transport && failure.retry != RetryClass::No && tries < TRIES =>
            {
                tries += 1;
            }
            _ => break (answered, began.elapsed()),
        }
    };
    match answered {
        Err(_) => {
            let says = format!("no answer within {} s; `timeout` gives it longer", patience.as_secs_f64());
            Asked { findings: vec![Finding::bad("answer", says)], rate: None }
        }
        Ok(None) => Asked { findings: vec![Finding::bad("answer", "the engine answered nothing")], rate: None },
        Ok(Some(Err(failure))) => Asked { findings: vec![failed(&failure)], rate: None },
        Ok(Some(Ok(reply))) => answer(request, &reply, took),
    }
}

fn failed(failure: &Failure) -> Finding {
    match failure.kind {
        // Neither keeps a run from starting.
        CauseKind::Limited | CauseKind::Filtered => Finding::doubtful("answer", &failure.message),
        _ => Finding::bad("answer", &failure.message),
    }
}

fn answer(request: &Request, reply: &Reply, took: Duration) -> Asked {
    let served = reply.served.as_deref();
    let mut says = vec![format!("{} in {:.2} s", shown(&reply.answer), took.as_secs_f64())];
    if let Some(pace) = served.and_then(|served| served.pace) {
        says.push(format!("the first token after {:.2} s", pace.first_us as f64 / 1e6));
    }
    let usage = served.and_then(|served| served.usage);
    if let Some(usage) = usage {
        says.push(format!("{} tokens read, {} written", usage.prompt, usage.completion));
    }
    let (characters, _) = ability::size(request);
    let rate = usage.filter(|usage| usage.prompt > 0 && characters > 0).map(|usage| usage.prompt as f64 / characters as f64);
    let mut findings = vec![Finding::fine("answer", says.join("; "))];
    findings.extend(served.into_iter().flat_map(aside));
    Asked { findings, rate }
}

/// What the endpoint told beside the answer that a run would stumble over.
fn aside(served: &Served) -> Vec<Finding> {
    let mut all = Vec::new();
    if served.fallbacks > 0 {
        all.push(Finding::unfair("fallback", format!("another model answered, after {} failed", served.fallbacks)));
    }
    if served.truncated {
        all.push(Finding::unfair("truncation", "the prompt was cut to fit the context"));
    }
    let fingerprint = served.fingerprint.as_ref().map_or_else(String::new, |mark| format!(", configuration {mark}"));
    all.extend(served.model.as_ref().map(|model| Finding::fine("answered by", format!("{model}{fingerprint}"))));
    all
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Text { text, .. } => {
            let start: String = text.chars().take(SHOWN).collect();
            let more = if text.chars().count() > SHOWN { "…" } else { "" };
            format!("{start:?}{more}")
        }
        Answer::Choice { options, .. } => format!("log-likelihoods of {} options", options.len()),
        Answer::Rolling { nll, .. } => format!("log-likelihoods of {} tokens", nll.len()),
    }
}
