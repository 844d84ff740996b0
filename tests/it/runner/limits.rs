//! What an endpoint is asked at most: its own word, its room, the plan's budgets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quantgate::domain::{CauseKind, Served, Service};
use quantgate::engine::{Endpoint, Failure, Headroom, Reply, RetryClass};
use quantgate::runner::{Options, Start, Summary, Work, run, stop};
use tokio::time::Instant;

use super::cast::{Memory, header_of, outcomes};
use super::service::{Desk, endpoint, fine, options, plan, work};

const LATENCY: Duration = Duration::from_millis(50);

fn busy(wait: Option<Duration>) -> Failure {
    Failure { wait, ..Failure::new(CauseKind::Limited, RetryClass::Busy, "too many requests") }
}

/// Runs to the end; how long that took, and how far it came.
async fn play(work: Work, options: Options) -> (Duration, Summary) {
    let (memory, start) = (Memory::default(), Instant::now());
    let header = Start::Fresh(Box::new(header_of((*work.plan).clone())));
    let (_handle, never) = stop();
    let summary = run(work, header, vec![Box::new(memory.clone())], options, never).await.unwrap();
    assert_eq!(outcomes(&memory.events()).len(), summary.scored + summary.unscored);
    (start.elapsed(), summary)
}

/// Both subjects behind one endpoint.
fn both(samples: usize, desk: &Arc<Desk>, endpoint: &Endpoint) -> Work {
    work(plan(samples), &[(desk, endpoint.clone()), (desk, endpoint.clone())])
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_time_that_a_service_asks_for_has_passed() {
    for class in [RetryClass::Busy, RetryClass::Transient] {
        let wait = Duration::from_millis(7345);
        let desk = Desk::new(move |call| match call.nth {
            40 => (LATENCY, Err(Failure { retry: class, ..busy(Some(wait)) })),
            _ => (LATENCY, fine()),
        });
        let (_, summary) = play(both(100, &desk, &endpoint(8)), options(Some(8))).await;
        assert_eq!((summary.scored, summary.unscored), (200, 0));
        let calls = desk.calls();
        let told = calls[40].at + LATENCY;
        let after: Vec<Duration> = calls.iter().map(|call| call.at).filter(|at| *at > told).collect();
        let early = after.iter().filter(|at| **at < told + wait).count();
        assert_eq!(early, 0, "{class:?}");
        assert!(
            after[0] <= told + wait + Duration::from_millis(2),
            "and no longer than that: {:?}",
            after[0].saturating_sub(told)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_merely_full_loses_no_sample_however_long_it_takes() {
    // Ten a second, and each refusal wants a second.
    let served = Mutex::new((0_u64, 0_u32));
    let desk = Desk::new(move |call| {
        let mut served = served.lock().unwrap();
        if served.0 != call.at.as_secs() {
            *served = (call.at.as_secs(), 0);
        }
        served.1 += 1;
        if served.1 > 10 { (LATENCY, Err(busy(Some(Duration::from_secs(1))))) } else { (LATENCY, fine()) }
    });
    let (took, summary) = play(both(400, &desk, &endpoint(64)), options(Some(64))).await;
    assert_eq!((summary.scored, summary.unscored), (800, 0));
    assert!(took < Duration::from_secs(160), "80 s at best, took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_settle_where_the_service_has_room() {
    let desk = Desk::new(|call| if call.under_way > 10 { (LATENCY, Err(busy(None))) } else { (LATENCY, fine()) });
    let (_, summary) = play(both(2000, &desk, &endpoint(64)), options(Some(64))).await;
    assert_eq!((summary.scored, summary.unscored), (4000, 0));
    let calls = desk.calls();
    let (refused, late) = (calls.len() - 4000, &calls[calls.len() / 4..]);
    let mean = late.iter().map(|call| call.under_way).sum::<usize>() as f64 / late.len() as f64;
    assert!((4.0..12.0).contains(&mean), "{mean} under way where there is room for 10");
    assert!(refused < 800, "{refused} refusals for 4000 answers");
}

#[tokio::test(start_paused = true)]
async fn a_number_that_nobody_stated_is_found_from_below() {
    let desk = Desk::new(|_| (LATENCY, fine()));
    play(both(1000, &desk, &endpoint(48)), options(None)).await;
    let calls = desk.calls();
    let most = |calls: &[super::service::Call]| calls.iter().map(|call| call.under_way).max().unwrap();
    assert_eq!((most(&calls[..8]), most(&calls[..24]), most(&calls)), (8, 16, 48));
    let stated = Desk::new(|_| (LATENCY, fine()));
    let mut work = both(100, &stated, &endpoint(8));
    let mut plan = (*work.plan).clone();
    plan.services = plan
        .subjects
        .iter()
        .map(|subject| (subject.name.clone(), Service { concurrency: Some(48), ..Service::default() }))
        .collect();
    work.plan = Arc::new(plan);
    play(work, options(None)).await;
    assert_eq!(most(&stated.calls()[..48]), 48, "a number in the plan is there at once");
}

/// The most that came within any minute.
fn most_a_minute(calls: &[(Duration, f64)]) -> f64 {
    let within = |first: usize| {
        let end = calls[first].0 + Duration::from_mins(1);
        calls[first..].iter().take_while(|call| call.0 < end).map(|call| call.1).sum::<f64>()
    };
    (0..calls.len()).map(within).fold(0.0, f64::max)
}

#[tokio::test(start_paused = true)]
async fn no_minute_sees_more_requests_than_the_plan_allows() {
    let desk = Desk::new(|_| (LATENCY, fine()));
    let limited = Endpoint { requests_per_minute: Some(120.0), ..endpoint(64) };
    let (took, _) = play(both(300, &desk, &limited), options(Some(64))).await;
    let calls: Vec<(Duration, f64)> = desk.calls().iter().map(|call| (call.at, 1.0)).collect();
    assert!(most_a_minute(&calls) <= 120.0);
    assert!((295..310).contains(&took.as_secs()), "600 requests at two a second took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn no_minute_sees_many_more_tokens_than_the_plan_allows_once_their_size_is_known() {
    // Each answer is counted as 30 tokens, about three times what its text looks like.
    let desk = Desk::new(|_| (LATENCY, fine()));
    let limited = Endpoint { tokens_per_minute: Some(3000.0), ..endpoint(4) };
    let (took, _) = play(both(300, &desk, &limited), options(Some(4))).await;
    let calls: Vec<(Duration, f64)> = desk.calls().iter().skip(20).map(|call| (call.at, 30.0)).collect();
    assert!(most_a_minute(&calls) <= 3000.0 * 1.05, "{}", most_a_minute(&calls));
    assert!((340..390).contains(&took.as_secs()), "18 000 tokens at 50 a second took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_out_of_the_cache_take_nothing_of_a_budget() {
    let desk = Desk::new(|_| {
        let cached = fine().map(|reply| Reply { served: Some(Box::new(Served { cached: true, ..Served::default() })), ..reply });
        (Duration::ZERO, cached)
    });
    let slow = Endpoint { requests_per_minute: Some(6.0), tokens_per_minute: Some(60.0), ..endpoint(8) };
    let (took, summary) = play(both(100, &desk, &slow), options(Some(8))).await;
    assert_eq!(summary.scored, 200);
    assert!(took < Duration::from_secs(1), "they are not sent anywhere, and took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_says_what_is_left_is_not_asked_beyond_it() {
    // Twenty every ten seconds, and it says how many of them are left.
    let window = Mutex::new((0_u64, 0_u32));
    let desk = Desk::new(move |call| {
        let mut window = window.lock().unwrap();
        if window.0 != call.at.as_secs() / 10 {
            *window = (call.at.as_secs() / 10, 0);
        }
        window.1 += 1;
        if window.1 > 20 {
            return (LATENCY, Err(busy(None)));
        }
        let reset = Duration::from_secs((window.0 + 1) * 10).saturating_sub(call.at);
        let headroom = Headroom { requests: Some((f64::from(20 - window.1), reset)), tokens: None };
        (LATENCY, fine().map(|reply| quantgate::engine::Reply { headroom, ..reply }))
    });
    let (took, summary) = play(both(100, &desk, &endpoint(8)), options(Some(8))).await;
    assert_eq!((summary.scored, desk.calls().len()), (200, 200), "not one refusal");
    assert!(took < Duration::from_secs(102), "{took:?} for ten windows");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_requests_are_under_way_at_once() {
    let desk = Desk::new(|_| (Duration::from_secs(5), fine()));
    let (took, summary) = play(both(10_000, &desk, &endpoint(10_000)), options(Some(10_000))).await;
    assert_eq!(summary.scored, 20_000);
    assert_eq!(desk.calls().iter().map(|call| call.under_way).max(), Some(10_000));
    assert!(took < Duration::from_secs(11), "{took:?}");
}
