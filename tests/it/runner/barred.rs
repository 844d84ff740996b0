//! An endpoint that lets nobody in any more: its units stay open; a request that it forbids by itself ends.

use std::time::Duration;

use quantgate::domain::{Cause, CauseKind, Outcome};
use quantgate::engine::{Failure, RetryClass};
use quantgate::event::Event;
use quantgate::runner::{RunError, Start, Summary, Work, run, stop};

use super::cast::{Memory, header_of, outcomes};
use super::service::{Desk, endpoint, fine, options, plan, work};

const LATENCY: Duration = Duration::from_millis(50);

fn shut() -> Failure {
    Failure::new(CauseKind::Transport, RetryClass::Barred, "the key was revoked")
}

async fn play(work: Work, start: Option<Vec<Event>>) -> (Vec<Event>, Result<Summary, RunError>) {
    let memory = Memory::default();
    let fresh = || Start::Fresh(Box::new(header_of((*work.plan).clone())));
    let start = start.map_or_else(fresh, Start::Resume);
    let (_handle, never) = stop();
    let ended = run(work, start, vec![Box::new(memory.clone())], options(Some(8)), never).await;
    let events = memory.events().into_iter().filter(|event| event.kind.is_durable()).collect();
    (events, ended)
}

fn lost(events: &[Event]) -> Vec<Cause> {
    let lost = outcomes(events).into_values().filter_map(|outcome| match outcome {
        Outcome::Unscored { cause } => Some(cause),
        Outcome::Scored { .. } => None,
    });
    lost.collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_in_mid_run_costs_no_unit() {
    // However many units are left: a thousand of them, or the very last one.
    for open in [1000, 9, 1] {
        let desk = Desk::new(move |call| (LATENCY, if call.nth < 2000 - open { fine() } else { Err(shut()) }));
        let behind = [(&desk, endpoint(8)), (&desk, endpoint(8))];
        let (events, ended) = play(work(plan(1000), &behind), None).await;
        let error = ended.unwrap_err();
        assert_eq!(error.exit_code(), 130);
        let said = error.to_string();
        assert!(said.contains(&format!("lets nothing through any more, and {open} units are still")), "{said}");
        assert!(said.ends_with("the key was revoked"), "{said}");
        assert_eq!((outcomes(&events).len(), lost(&events).len()), (2000 - open, 0));
        assert!(desk.calls().len() <= 2000 - open + 60, "{} requests", desk.calls().len());
        let mended = Desk::new(|_| (LATENCY, fine()));
        let behind = [(&mended, endpoint(8)), (&mended, endpoint(8))];
        let (more, ended) = play(work(plan(1000), &behind), Some(events.clone())).await;
        assert_eq!((ended.unwrap().left(), mended.calls().len()), (0, open));
        assert_eq!(outcomes(&[events, more].concat()).len(), 2000);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_reached_loses_not_even_the_last_unit() {
    let refused = || Failure::new(CauseKind::Transport, RetryClass::Unreached, "connection refused");
    let desk = Desk::new(move |call| (LATENCY, if call.nth < 99 { fine() } else { Err(refused()) }));
    let (events, ended) = play(work(plan(50), &[(&desk, endpoint(8)), (&desk, endpoint(8))]), None).await;
    let error = ended.unwrap_err().to_string();
    assert!(error.starts_with("http://desk answered nothing for 10 minutes, and 1 units"), "{error}");
    assert_eq!((outcomes(&events).len(), lost(&events).len()), (99, 0));
    assert!(desk.calls().len() < 160, "{} requests to an endpoint that is gone", desk.calls().len());
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_forbidden_by_themselves_end_and_the_others_are_asked() {
    let forbidden = |text: &str| text.bytes().map(u32::from).sum::<u32>() % 20 == 3;
    let desk = Desk::new(move |call| {
        let waf = Failure::new(CauseKind::Refused, RetryClass::Barred, "forbidden");
        (LATENCY, if forbidden(&call.text) { Err(waf) } else { fine() })
    });
    let behind = [(&desk, endpoint(8)), (&desk, endpoint(8))];
    let (events, ended) = play(work(plan(500), &behind), None).await;
    let summary = ended.unwrap();
    assert_eq!(summary.left(), 0);
    let lost = lost(&events);
    assert!(!lost.is_empty() && lost.len() == summary.unscored);
    assert!(lost.iter().all(|cause| cause.kind == CauseKind::Refused && cause.message.contains("(asked ")), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_few_last_requests_that_always_take_too_long_do_not_hold_the_run_open() {
    let desk = Desk::new(|call| {
        let late = Failure::new(CauseKind::Timeout, RetryClass::Transient, "no answer in time");
        let stuck = call.before > 0 || call.nth >= 994;
        if stuck { (Duration::from_mins(5), Err(late)) } else { (LATENCY, fine()) }
    });
    let behind = [(&desk, endpoint(8)), (&desk, endpoint(8))];
    let (events, ended) = play(work(plan(500), &behind), None).await;
    let summary = ended.unwrap();
    assert_eq!((summary.left(), summary.unscored), (0, 6), "the endpoint answered everything else");
    assert!(lost(&events).iter().all(|cause| cause.kind == CauseKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_page_in_the_place_of_every_answer_is_an_outage() {
    // A portal of the network's asks for a login for two minutes.
    let page = |at: Duration| (1..121).contains(&at.as_secs());
    let desk = Desk::new(move |call| {
        let html = Failure::new(CauseKind::Malformed, RetryClass::Transient, "it is text/html");
        (LATENCY, if page(call.at) { Err(html) } else { fine() })
    });
    let behind = [(&desk, endpoint(8)), (&desk, endpoint(8))];
    let (_, ended) = play(work(plan(1000), &behind), None).await;
    assert_eq!(ended.unwrap().scored, 2000);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_no_job_leaves_its_units_open() {
    let dropped = || Failure::new(CauseKind::Transport, RetryClass::Transient, "connection refused");
    for (failure, what) in [(shut(), "lets nothing through"), (dropped(), "answered nothing")] {
        let desk = Desk::new(move |_| (LATENCY, Err(failure.clone())));
        let live = Desk::new(|_| (LATENCY, fine()));
        let (events, ended) = play(work(plan(50), &[(&live, endpoint(8)), (&desk, endpoint(0))]), None).await;
        let error = ended.unwrap_err();
        assert_eq!(error.exit_code(), 130);
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!((outcomes(&events).len(), lost(&events).len()), (50, 0));
    }
}
