//! The runner and the HTTP engine against a server on a bad day, and against one that is only quick.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quantgate::domain::{Outcome, RequestKind, Service, Subject};
use quantgate::engine::api::{Access, ApiEngine};
use quantgate::journal::{Journal, replay};
use quantgate::plan::Plan;
use quantgate::runner::{Backoff, Options, Seat, Start, Summary, Work, run, stop};
use serde_json::json;
use tokio::net::TcpListener;

use super::cast::{self, header_of, outcomes, task};
use crate::load_server::server::{Seen, Server, Settings};

/// A request may have been sent before the server's word was read, which on a busy machine takes its time; the longest words ask for
/// two seconds.
const GRACE: Duration = Duration::from_millis(400);

/// Two subjects, asked to chat.
fn plan(samples: usize, service: Service) -> Plan {
    let mut plan = cast::plan();
    plan.subjects.truncate(2);
    plan.tasks = vec![task("talk", RequestKind::Chat, samples)];
    plan.services = plan.subjects.iter().map(|subject| (subject.name.clone(), service)).collect();
    plan
}

async fn work(plan: Plan, address: &str) -> Work {
    let mut seats = Vec::new();
    for subject in &plan.subjects {
        let spec = json!({
            "preset": "openai-compatible", "dialect": "openai-chat", "base_url": format!("{address}/v1"), "model": "canary",
            "extra": { "user": subject.name.as_str() },
        });
        let spec = serde_json::from_value(spec).unwrap();
        let service = plan.services[&subject.name];
        let access = Access { key: None, service, root: PathBuf::new(), server: None, jobs: PathBuf::new() };
        let engine = ApiEngine::open(&subject.name, &spec, access).await.unwrap();
        let subject: Subject = subject.clone();
        seats.push(Seat { subject, engine: Arc::new(engine), load_ms: 0 });
    }
    let scorers = plan.tasks.iter().map(|_| cast::judge()).collect();
    Work { plan: Arc::new(plan), seats, scorers, referees: Vec::new() }
}

/// Runs a plan against a server of its own; what the server saw, what the journal says, how far it came and how long it took.
fn play(plan: Plan, settings: Settings) -> (Vec<Seen>, BTreeMap<quantgate::domain::UnitKey, Outcome>, Summary, Duration) {
    let reports = tempfile::TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = Server::new(settings);
    let (summary, folder, took) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(Arc::clone(&server).serve(listener));
        let header = header_of(plan.clone());
        let (journal, folder) = Journal::create(reports.path(), &header).unwrap();
        let work = work(plan, &address).await;
        let backoff = Backoff { base: Duration::from_millis(100), ceiling: Duration::from_secs(2) };
        let options = Options { backoff, ..Options::default() };
        let (_handle, never) = stop();
        let began = Instant::now();
        let summary = run(work, Start::Fresh(Box::new(header)), vec![Box::new(journal)], options, never).await.unwrap();
        (summary, folder, began.elapsed())
    });
    let ended = outcomes(&replay(&folder.journal()).unwrap());
    (server.log(), ended, summary, took)
}

#[test]
fn on_a_bad_day_every_unit_ends_once_and_the_server_is_left_in_peace_when_it_asks_for_that() {
    let service = Service { concurrency: Some(32), timeout_s: Some(1.5), ..Service::default() };
    // This seed has each fault at least once, and asks for peace several times.
    let settings = Settings { latency: Duration::from_millis(10), faults: Some(11), logs: true };
    let (log, ended, summary, _) = play(plan(750, service), settings);
    assert_eq!((ended.len(), summary.left()), (1500, 0));
    let lost: Vec<_> = ended
        .values()
        .filter_map(|outcome| match outcome {
            Outcome::Unscored { cause } => Some(cause),
            Outcome::Scored { .. } => None,
        })
        .collect();
    assert!(lost.len() <= 3 && lost.iter().all(|cause| !cause.message.is_empty()), "{lost:?}");
    let holds: Vec<(Duration, Duration)> =
        log.iter().filter_map(|seen| Some((seen.done + GRACE, seen.done + seen.hold?))).collect();
    assert!(holds.iter().any(|(begin, end)| begin < end), "some ask for more time than that");
    for seen in &log {
        let hold = holds.iter().find(|(begin, end)| *begin < seen.at && seen.at < *end);
        assert!(hold.is_none(), "{seen:?} within {hold:?}");
    }
    let met: std::collections::BTreeSet<String> =
        log.iter().map(|seen| format!("{:?}", seen.deed).split('(').next().unwrap_or_default().to_owned()).collect();
    assert!(met.len() >= 12, "{met:?}");
}

#[test]
fn a_good_day_has_no_retries_and_takes_little_more_than_it_must() {
    let service = Service { concurrency: Some(64), ..Service::default() };
    let settings = Settings { latency: Duration::from_millis(50), faults: None, logs: true };
    let (log, ended, summary, took) = play(plan(500, service), settings);
    assert_eq!((log.len(), ended.len(), summary.scored), (1000, 1000, 1000));
    // The ideal is 0.78 s; tests share the machine, so this only sees what is badly wrong. benches/load.py measures.
    assert!(took < Duration::from_secs(8), "{took:?}");
}
