//! An endpoint in trouble: late, broken, gone, or one with limits on money; and who is asked in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quantgate::domain::{CauseKind, Outcome, Price, Role};
use quantgate::engine::{Endpoint, Failure, RetryClass};
use quantgate::event::{Event, EventKind};
use quantgate::runner::{Options, Referee, RunError, Spending, Start, Summary, Work, run, stop};
use tokio::time::Instant;

use super::cast::{Memory, header_of, outcomes};
use super::service::{Call, Desk, endpoint, fine, options, plan, work};

const LATENCY: Duration = Duration::from_millis(50);

fn gone() -> Failure {
    Failure::new(CauseKind::Transport, RetryClass::Transient, "connection refused")
}

/// Both subjects behind one endpoint.
fn both(samples: usize, desk: &Arc<Desk>, endpoint: &Endpoint) -> Work {
    work(plan(samples), &[(desk, endpoint.clone()), (desk, endpoint.clone())])
}

/// Runs until it ends; what was told, and how it ended.
async fn play(work: Work, start: Option<Vec<Event>>, options: Options) -> (Vec<Event>, Result<Summary, RunError>) {
    let memory = Memory::default();
    let fresh = || Start::Fresh(Box::new(header_of((*work.plan).clone())));
    let start = start.map_or_else(fresh, Start::Resume);
    let (_handle, never) = stop();
    let ended = run(work, start, vec![Box::new(memory.clone())], options, never).await;
    let events = memory.events().into_iter().filter(|event| event.kind.is_durable()).collect();
    (events, ended)
}

#[tokio::test(start_paused = true)]
async fn subjects_behind_one_endpoint_take_turns_sample_by_sample() {
    let desk = Desk::new(|_| (LATENCY, fine()));
    play(both(4, &desk, &endpoint(1)), None, options(Some(1))).await.1.unwrap();
    let order: Vec<String> = desk.calls().into_iter().map(|call| call.subject).collect();
    assert_eq!(order, ["canary", "good", "good", "canary", "canary", "good", "good", "canary"]);
}

#[tokio::test(start_paused = true)]
async fn a_drift_of_the_service_falls_on_both_subjects_alike() {
    let desk = Desk::new(|call| (Duration::from_millis(20 + call.nth as u64 / 4), fine()));
    let (events, ended) = play(both(500, &desk, &endpoint(16)), None, options(Some(16))).await;
    assert_eq!(ended.unwrap().scored, 1000);
    let mean = |name: &str| {
        let times = events.iter().filter_map(|event| match &event.kind {
            EventKind::UnitFinished { unit, micros, .. } if unit.subject.as_str() == name => Some(*micros as f64),
            _ => None,
        });
        times.sum::<f64>() / 500.0
    };
    assert!((mean("canary") / mean("good") - 1.0).abs() < 0.01, "{} and {}", mean("canary"), mean("good"));
}

#[tokio::test(start_paused = true)]
async fn a_late_request_gets_a_twin_and_the_first_answer_counts() {
    let slow = |call: &Call| call.before == 0 && call.nth % 100 == 99;
    let desk = Desk::new(move |call| if slow(call) { (Duration::from_hours(1), fine()) } else { (LATENCY, fine()) });
    let began = Instant::now();
    let (events, ended) = play(both(200, &desk, &Endpoint { hedge: true, ..endpoint(8) }), None, options(Some(8))).await;
    assert_eq!(ended.unwrap().scored, 400);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let again: Vec<u32> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::UnitFinished { served, .. } => served.as_ref().map(|served| served.retries),
            _ => None,
        })
        .collect();
    assert_eq!((again.len(), again.iter().filter(|&&retries| retries == 1).count()), (400, 4));
    let calls = desk.calls();
    let twins: Vec<&Call> = calls.iter().filter(|call| call.before == 1).collect();
    assert_eq!(twins.len(), 4);
    for twin in twins {
        let first = calls.iter().find(|call| (&call.subject, &call.text) == (&twin.subject, &twin.text)).unwrap();
        let age = twin.at.saturating_sub(first.at);
        assert!(age >= Duration::from_secs(1) && age < Duration::from_millis(1150), "{age:?}");
    }
    outcomes(&events);
}

#[tokio::test(start_paused = true)]
async fn the_last_requests_get_their_twins_sooner_than_others() {
    // Three answers in a hundred take two seconds, so nothing is late before six; the very last one never comes.
    let desk = Desk::new(move |call| match (call.before, call.nth) {
        (0, 399) => (Duration::from_hours(1), fine()),
        (0, nth) if nth % 33 == 5 => (Duration::from_secs(2), fine()),
        _ => (LATENCY, fine()),
    });
    play(both(200, &desk, &Endpoint { hedge: true, ..endpoint(8) }), None, options(Some(8))).await.1.unwrap();
    let calls = desk.calls();
    let twins: Vec<&Call> = calls.iter().filter(|call| call.before == 1).collect();
    let first = |twin: &Call| calls.iter().find(|call| (&call.subject, &call.text) == (&twin.subject, &twin.text)).unwrap().nth;
    let last = twins.iter().find(|twin| first(twin) == 399).unwrap();
    let age = last.at.saturating_sub(calls[399].at);
    assert!(age < Duration::from_millis(1200), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_its_time_and_no_sample() {
    let down = |at: Duration| (1..61).contains(&at.as_secs());
    let desk = Desk::new(move |call| if down(call.at) { (LATENCY, Err(gone())) } else { (LATENCY, fine()) });
    let began = Instant::now();
    let (events, ended) = play(both(2000, &desk, &endpoint(32)), None, options(Some(32))).await;
    let summary = ended.unwrap();
    assert_eq!((summary.scored, summary.unscored, outcomes(&events).len()), (4000, 0, 4000));
    let during = desk.calls().iter().filter(|call| down(call.at)).count();
    assert!(during <= 10 + 32 + 6, "{during} requests to an endpoint that is down");
    assert!(began.elapsed() < Duration::from_secs(61 + 15 + 8), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stays_away_is_given_up_and_its_units_stay_open() {
    let dead = Desk::new(move |call| if call.nth < 100 { (LATENCY, fine()) } else { (LATENCY, Err(gone())) });
    let alive = Desk::new(|_| (LATENCY, fine()));
    let behind = [(&alive, endpoint(8)), (&dead, Endpoint { name: "http://dead".to_owned(), ..endpoint(8) })];
    let (events, ended) = play(work(plan(10_000), &behind), None, options(Some(8))).await;
    let error = ended.unwrap_err();
    assert_eq!(error.exit_code(), 130);
    assert!(error.to_string().starts_with("http://dead answered nothing for 10 minutes, and 99"), "{error}");
    let ended = outcomes(&events);
    assert_eq!(ended.keys().filter(|unit| unit.subject.as_str() == "canary").count(), 10_000, "the other went on");
    let lost = ended.values().filter(|outcome| matches!(outcome, Outcome::Unscored { .. })).count();
    assert_eq!(lost, 0, "what may still be answered is left for the next part of the run");
    assert!(dead.calls().len() < 200, "{} requests to a dead endpoint", dead.calls().len());
    // It is back: the next part asks what is left and nothing twice.
    let back = Desk::new(|_| (LATENCY, fine()));
    let behind = [(&alive, endpoint(8)), (&back, Endpoint { name: "http://dead".to_owned(), ..endpoint(8) })];
    let (more, ended) = play(work(plan(10_000), &behind), Some(events.clone()), options(Some(8))).await;
    assert_eq!(ended.unwrap().left(), 0);
    assert_eq!(outcomes(&[events, more].concat()).len(), 20_000);
}

#[tokio::test(start_paused = true)]
async fn retries_are_a_share_of_the_requests_and_what_is_lost_says_so() {
    let torn = || Failure::new(CauseKind::Malformed, RetryClass::Transient, "the answer was cut off");
    let desk = Desk::new(move |call| if call.nth % 10 < 6 { (LATENCY, Err(torn())) } else { (LATENCY, fine()) });
    let (events, ended) = play(both(1000, &desk, &endpoint(16)), None, options(Some(16))).await;
    let summary = ended.unwrap();
    assert_eq!(summary.left(), 0);
    assert!(desk.calls().len() <= 2000 + 32 + 400, "{} requests for 2000 units", desk.calls().len());
    let said = outcomes(&events).into_values().filter_map(|outcome| match outcome {
        Outcome::Unscored { cause } => Some(cause),
        Outcome::Scored { .. } => None,
    });
    let said: Vec<_> = said.collect();
    assert!(said.iter().all(|cause| cause.kind == CauseKind::Malformed));
    assert!(said.iter().any(|cause| cause.message.contains("budget for retries is used up")));
}

#[tokio::test(start_paused = true)]
async fn waits_hold_no_place_among_the_requests_under_way() {
    let desk = Desk::new(|call| {
        let first = call.before == 0 && call.nth < 60 && call.nth % 2 == 0;
        let torn = Failure::new(CauseKind::Malformed, RetryClass::Transient, "the answer was cut off");
        (LATENCY, if first { Err(torn) } else { fine() })
    });
    let options = Options {
        backoff: quantgate::runner::Backoff { base: Duration::from_mins(1), ceiling: Duration::from_mins(1) },
        ..options(Some(4))
    };
    play(both(200, &desk, &endpoint(4)), None, options).await.1.unwrap();
    let others = desk.calls().into_iter().filter(|call| call.before == 0).map(|call| call.at).max().unwrap();
    assert!(others < Duration::from_millis(50 * 105), "thirty units that wait a minute held the others up: {others:?}");
}

#[tokio::test(start_paused = true)]
async fn a_first_signal_ends_what_is_under_way_and_leaves_what_waits() {
    let desk = Desk::new(|call| if call.nth % 5 == 4 { (LATENCY, Err(gone())) } else { (LATENCY, fine()) });
    let (handle, listener) = stop();
    let memory = Memory::default();
    let work = both(500, &desk, &endpoint(8));
    let header = Start::Fresh(Box::new(header_of((*work.plan).clone())));
    let asking = async {
        tokio::time::sleep(Duration::from_millis(1020)).await;
        handle.ask();
        desk.calls().len()
    };
    let sinks: Vec<Box<dyn quantgate::event::Sink>> = vec![Box::new(memory.clone())];
    let (summary, sent) = tokio::join!(run(work, header, sinks, options(Some(8)), listener), asking);
    assert_eq!(desk.calls().len(), sent, "nothing is sent after the signal");
    let summary = summary.unwrap();
    assert_eq!((summary.scored, summary.unscored), (desk.answered(), 0));
    assert_eq!(outcomes(&memory.events()).len(), desk.answered());
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_and_a_panic_keep_everything_that_was_answered() {
    for panics in [false, true] {
        let desk = Desk::new(move |call| {
            assert!(!panics || call.nth < 300, "a fault in the engine");
            (LATENCY, fine())
        });
        let (handle, listener) = stop();
        let memory = Memory::default();
        let work = both(500, &desk, &endpoint(8));
        let header = Start::Fresh(Box::new(header_of((*work.plan).clone())));
        let asking = async {
            tokio::time::sleep(Duration::from_millis(3020)).await;
            handle.ask();
            handle.ask();
        };
        let sinks: Vec<Box<dyn quantgate::event::Sink>> = vec![Box::new(memory.clone())];
        let (ended, ()) = tokio::join!(run(work, header, sinks, options(Some(8)), listener), asking);
        assert_eq!(ended.is_err(), panics);
        assert!(ended.err().is_none_or(|error| error.to_string().contains("a fault in the engine")));
        assert_eq!(outcomes(&memory.events()).len(), desk.answered());
        assert!(desk.answered() >= 290);
    }
}

#[tokio::test(start_paused = true)]
async fn a_variant_does_not_run_far_ahead_of_a_slow_canary_while_verdicts_may_end_its_task() {
    let ended = Arc::new(AtomicUsize::new(0));
    let (slow, count) = (Arc::clone(&ended), Arc::clone(&ended));
    let canary = Desk::new(move |_| {
        slow.fetch_add(1, Ordering::SeqCst);
        (Duration::from_secs(1), fine())
    });
    let variant = Desk::new(move |call| {
        let ahead = call.nth.saturating_sub(count.load(Ordering::SeqCst));
        assert!(ahead <= 16, "{ahead} samples ahead");
        (LATENCY, fine())
    });
    let behind = [(&canary, endpoint(1)), (&variant, Endpoint { name: "http://fast".to_owned(), ..endpoint(8) })];
    let referee = Referee { seat: 1, task: 0, marks: vec![10, 100], settles: Box::new(|_| false) };
    let work = Work { referees: vec![referee], ..work(plan(120), &behind) };
    let summary = play(work, None, options(None)).await.1.unwrap();
    assert_eq!((summary.scored, summary.saved), (240, 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_when_its_money_is_spent_and_goes_on_with_more() {
    // An answer costs 20 · 1 + 10 · 4 = 60 millionths; only the variant has a price.
    let price = Price { input: 1.0, output: 4.0, cached: None };
    let spending = |limit| Some(Spending { limit, prices: vec![None, Some(price)] });
    let desk = Desk::new(|_| (LATENCY, fine()));
    let first = Options { spending: spending(0.003), ..options(Some(4)) };
    let (events, ended) = play(both(200, &desk, &endpoint(4)), None, first).await;
    let summary = ended.unwrap();
    let variant = outcomes(&events).keys().filter(|unit| unit.subject.as_str() == "good").count();
    assert!(summary.broke && summary.left() > 0);
    assert!((50..=54).contains(&variant), "the fiftieth spends it, and three more may be under way: {variant}");
    assert!((summary.spent - variant as f64 * 60e-6).abs() < 1e-12);
    let again = Options { spending: spending(0.003), ..options(Some(4)) };
    let (more, ended) = play(both(200, &desk, &endpoint(4)), Some(events.clone()), again).await;
    assert!(ended.unwrap().broke && outcomes(&more).is_empty(), "what was spent before counts");
    let richer = Options { spending: spending(1.0), ..options(Some(4)) };
    let past = [events, more].concat();
    let (_, ended) = play(both(200, &desk, &endpoint(4)), Some(past), richer).await;
    let summary = ended.unwrap();
    assert!(!summary.broke && summary.left() == 0 && (summary.spent - 200.0 * 60e-6).abs() < 1e-12);
    assert_eq!(plan(1).subjects[0].role, Role::Canary);
}
