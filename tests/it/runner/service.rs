//! An endpoint that does as a script says, on a clock that only moves when everybody waits, and that writes down who came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quantgate::domain::{Answer, Digest, Finish, Identity, Request, RequestKind, Served, Usage};
use quantgate::engine::{
    BoxFuture, Capabilities, Distribution, Endpoint, Engine, Extent, Failure, Headroom, Lane, Passage, Reply, RetryClass,
};
use quantgate::plan::Plan;
use quantgate::runner::{Options, Seat, Work};
use tokio::time::Instant;

use super::cast;

/// A request as the endpoint sees it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// How many came before it, of all subjects.
    pub(super) nth: usize,
    /// When it came, since the endpoint was opened.
    pub(super) at: Duration,
    /// Requests under way, itself included.
    pub(super) under_way: usize,
    /// How often the same subject sent the same before.
    pub(super) before: u32,
    pub(super) subject: String,
    pub(super) text: String,
}

/// What the endpoint does about it, and after how long.
pub(super) type Deed = (Duration, Result<Reply, Failure>);

type Script = Box<dyn Fn(&Call) -> Deed + Send + Sync>;

/// One endpoint; several subjects may be behind it.
pub(super) struct Desk {
    opened: Instant,
    script: Script,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    calls: Vec<Call>,
    seen: HashMap<(String, String), u32>,
    under_way: usize,
    /// Answers given to somebody who still waited.
    answered: usize,
}

/// Takes a request off the count when it has ended or was given up.
struct Under<'a>(&'a Desk);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.log.lock().unwrap().under_way -= 1;
    }
}

impl Desk {
    pub(super) fn new(script: impl Fn(&Call) -> Deed + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { opened: Instant::now(), script: Box::new(script), log: Mutex::default() })
    }

    /// Everybody who came.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.log.lock().unwrap().calls.clone()
    }

    /// Answers given.
    pub(super) fn answered(&self) -> usize {
        self.log.lock().unwrap().answered
    }

    fn arrive(&self, subject: &str, request: &Request) -> (Under<'_>, Deed) {
        let text = format!("{request:?}");
        let call = {
            let mut log = self.log.lock().unwrap();
            log.under_way += 1;
            let (nth, under_way, at) = (log.calls.len(), log.under_way, self.opened.elapsed());
            let before = log.seen.entry((subject.to_owned(), text.clone())).or_insert(0);
            *before += 1;
            let call = Call { nth, at, under_way, before: *before - 1, subject: subject.to_owned(), text };
            log.calls.push(call.clone());
            call
        };
        (Under(self), (self.script)(&call))
    }
}

/// A subject behind the endpoint.
struct Client {
    subject: String,
    desk: Arc<Desk>,
    endpoint: Endpoint,
    identity: Identity,
    lane: Lane,
}

impl Engine for Client {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            log_likelihood: true,
            distributions: false,
            chat: true,
            tools: true,
            raw: true,
            constrained: false,
            context: 1 << 20,
            lane: self.lane,
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        Some(&self.endpoint)
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        Box::pin(async move {
            let mut replies = Vec::new();
            for request in requests {
                let (under, (after, reply)) = self.desk.arrive(&self.subject, request);
                tokio::time::sleep(after).await;
                self.desk.log.lock().unwrap().answered += usize::from(reply.is_ok());
                drop(under);
                replies.push(reply);
            }
            replies
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        Box::pin(std::future::ready(texts.iter().map(|_| Err(no_distributions())).collect()))
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        Box::pin(std::future::ready(passages.iter().map(|_| Err(no_distributions())).collect()))
    }
}

fn no_distributions() -> Failure {
    Failure::new(quantgate::domain::CauseKind::Refused, RetryClass::No, "no distributions")
}

/// An endpoint that takes up to `concurrency` requests; jobs of many where that is 0.
pub(super) fn endpoint(concurrency: usize) -> Endpoint {
    Endpoint {
        name: "http://desk".to_owned(),
        concurrency,
        requests_per_minute: None,
        tokens_per_minute: None,
        timeout: Duration::from_mins(1),
        hedge: false,
    }
}

/// An answer with 30 tokens of usage.
#[expect(clippy::unnecessary_wraps, reason = "it stands where a script may fail")]
pub(super) fn fine() -> Result<Reply, Failure> {
    let answer = Answer::Text { text: "7".to_owned(), tokens: Vec::new(), finish: Finish::End };
    let usage = Some(Usage { prompt: 20, completion: 10, cached: 0 });
    let served = Some(Box::new(Served { usage, ..Served::default() }));
    Ok(Reply { answer, served, headroom: Headroom::default() })
}

/// Canary and one variant, asked to generate for this many samples.
pub(super) fn plan(samples: usize) -> Plan {
    let mut plan = cast::plan();
    plan.subjects.truncate(2);
    plan.tasks = vec![cast::task("say", RequestKind::Generate, samples)];
    plan
}

/// The plan's work with each subject behind its endpoint.
pub(super) fn work(plan: Plan, behind: &[(&Arc<Desk>, Endpoint)]) -> Work {
    let digest = || Digest::new("blake3:0");
    let seats = plan.subjects.iter().zip(behind).map(|(subject, (desk, endpoint))| {
        let identity = Identity {
            engine: "scripted endpoint".to_owned(),
            weights: digest(),
            vocabulary: digest(),
            template: digest(),
            quantization: String::new(),
            bytes: 0,
            parameters: 0,
            bits_per_weight: 0.0,
            details: std::collections::BTreeMap::new(),
        };
        let (subject_name, desk, endpoint) = (subject.name.to_string(), Arc::clone(desk), endpoint.clone());
        let lane = if endpoint.concurrency == 0 { Lane::Bulk } else { Lane::Own(endpoint.concurrency) };
        let client = Client { subject: subject_name, desk, endpoint, identity, lane };
        Seat { subject: subject.clone(), engine: Arc::new(client), load_ms: 0 }
    });
    let seats = seats.collect();
    let scorers = plan.tasks.iter().map(|_| cast::judge()).collect();
    Work { plan: Arc::new(plan), seats, scorers, referees: Vec::new() }
}

/// The runner's usual waits, and a stated concurrency where there is one.
pub(super) fn options(concurrency: Option<usize>) -> Options {
    Options { concurrency, clock: Arc::new(quantgate::runner::Fixed(7)), ..Options::default() }
}
