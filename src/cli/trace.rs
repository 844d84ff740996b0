//! `-v`: each attempt at a question, as it ends, on standard error.

use std::sync::Arc;
use std::time::Instant;

use super::progress;
use crate::domain::{Answer, Identity, Origin, Request, SubjectName};
use crate::engine::{BoxFuture, Capabilities, Distribution, Endpoint, Engine, Extent, Failure, Passage, Reply, RetryClass};
use crate::runner::Seat;

/// Most characters of a question or an answer in a line of `-v`; `-vv` shows more, and `-vvv` everything.
const SHORT: usize = 60;
const LONG: usize = 400;

/// Has every seat tell of its attempts, the more the higher the level; nothing at 0.
pub(super) fn follow(seats: &mut [Seat], level: u8) {
    if level == 0 {
        return;
    }
    let most = [SHORT, LONG, usize::MAX][usize::from(level.min(3) - 1)];
    for seat in seats {
        let (subject, engine) = (seat.subject.name.clone(), Arc::clone(&seat.engine));
        seat.engine = Arc::new(Traced { subject, engine, most });
    }
}

/// An engine whose attempts are told.
struct Traced {
    subject: SubjectName,
    engine: Arc<dyn Engine>,
    most: usize,
}

impl Engine for Traced {
    fn identity(&self) -> &Identity {
        self.engine.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        self.engine.endpoint()
    }

    fn origin(&self) -> Option<&Origin> {
        self.engine.origin()
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        Box::pin(async move {
            let began = Instant::now();
            let replies = self.engine.answer(requests).await;
            let took = began.elapsed().as_secs_f64();
            for (request, reply) in requests.iter().zip(&replies) {
                progress::aside(&line(&self.subject, request, (reply, took), self.most));
            }
            replies
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        self.engine.extents(texts)
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        self.engine.distributions(passages)
    }
}

/// One attempt in one line.
fn line(subject: &SubjectName, request: &Request, (reply, took): (&Result<Reply, Failure>, f64), most: usize) -> String {
    let asked = match request {
        Request::Choice { context, options } => format!("choice of {} after {}", options.len(), shown(context, most)),
        Request::Generate { prompt, .. } => format!("generate {}", shown(prompt, most)),
        Request::Chat { messages, tools, .. } => {
            let last = messages.last().map_or("", |message| message.content.as_str());
            let kind = if tools.is_empty() { "chat" } else { "tools" };
            format!("{kind} {}", shown(last, most))
        }
        Request::Perplexity { text } => format!("document {}", shown(text, most)),
    };
    let came = match reply {
        Ok(reply) => answered(&reply.answer, most),
        Err(failure) => {
            let again = match failure.retry {
                RetryClass::No => "for good",
                RetryClass::Transient => "for now",
                RetryClass::Busy => "since it is busy",
                RetryClass::Unreached => "before it was received",
                RetryClass::Barred => "since nobody is let in",
            };
            format!("failed {again}: {}", failure.message.replace(char::is_control, " "))
        }
    };
    format!("{subject} {took:.3} s: {asked} → {came}")
}

fn answered(answer: &Answer, most: usize) -> String {
    match answer {
        Answer::Text { text, .. } => shown(text, most),
        Answer::Choice { options } => {
            let scores: Vec<String> = options.iter().map(|option| format!("{:.3}", option.log_likelihood)).collect();
            scores.join(" ")
        }
        Answer::Rolling { nll, .. } => {
            format!("{} tokens, {:.3} nats each", nll.len(), nll.iter().sum::<f64>() / nll.len().max(1) as f64)
        }
    }
}

/// A text in quotes, on one line, up to a number of characters.
fn shown(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CauseKind, Finish, Generation};

    #[test]
    fn an_attempt_is_one_line_whatever_was_said() {
        let generation = Generation { max_tokens: 4, stop: vec![], temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
        let request = Request::Generate { prompt: "two\nlines".into(), generation };
        let answer = Answer::Text { text: "x".repeat(80), tokens: vec![], finish: Finish::End };
        let subject = SubjectName::new("q4");
        let said = line(&subject, &request, (&Ok(Reply::from(answer)), 0.25), 60);
        assert_eq!(said, format!("q4 0.250 s: generate \"two\\nlines\" → \"{}\"…", "x".repeat(60)));
        let failure = Failure::new(CauseKind::Limited, RetryClass::Busy, "slow down");
        let failed = line(&subject, &request, (&Err(failure), 1.0), 3);
        assert_eq!(failed, "q4 1.000 s: generate \"two\"… → failed since it is busy: slow down");
    }
}
