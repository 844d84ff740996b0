//! Every unit ends once or stays open, whatever an endpoint does and whenever the run is stopped.

use std::time::Duration;

use proptest::prelude::*;
use quantgate::domain::CauseKind;
use quantgate::engine::{Endpoint, Failure, Headroom, Reply, RetryClass};
use quantgate::event::{Event, Sink};
use quantgate::runner::{Options, Start, run, stop};

use super::cast::{Memory, header_of, outcomes};
use super::service::{Call, Deed, Desk, endpoint, fine, options, plan, work};

/// What an endpoint does, by a hash of the call.
fn deed(seed: u64, call: &Call) -> Deed {
    let text = format!("{seed} {} {} {}", call.subject, call.text, call.before);
    let hash = stirred(text.as_bytes());
    let after = Duration::from_millis(5 + hash / 1000 % 200);
    let fail = |kind, retry| Err(Failure::new(kind, retry, "as the script says"));
    let wait = Some(Duration::from_millis(hash / 7 % 3000));
    let reply = match hash % 100 {
        0..6 => fail(CauseKind::Limited, RetryClass::Busy).map_err(|failure| Failure { wait, ..failure }),
        6..10 => fail(CauseKind::Limited, RetryClass::Busy),
        10..16 => fail(CauseKind::Transport, RetryClass::Transient),
        16..19 => fail(CauseKind::Timeout, RetryClass::Transient),
        19..22 => fail(CauseKind::Malformed, RetryClass::Transient),
        22..25 => fail(CauseKind::Refused, RetryClass::No),
        25 => fail(CauseKind::Refused, RetryClass::Barred),
        26 => return (Duration::from_secs(40), fine()),
        27..35 => {
            let headroom = Headroom { requests: Some((hash as f64 % 9.0, Duration::from_millis(hash % 2000))), tokens: None };
            fine().map(|reply| Reply { headroom, ..reply })
        }
        _ => fine(),
    };
    (after, reply)
}

/// FNV-1a with a last stir.
fn stirred(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 8
}

/// How an endpoint may be set up.
#[derive(Clone, Debug)]
struct Setting {
    seed: u64,
    most: usize,
    stated: bool,
    hedge: bool,
    apart: bool,
    per_minute: Option<f64>,
}

/// One part of a run, stopped after a while by one signal or two; what it told.
async fn part(setting: &Setting, past: Vec<Event>, signals: Option<(u64, u8)>) -> (Vec<Event>, usize) {
    let Setting { seed, most, stated, hedge, apart, per_minute } = *setting;
    let desk = Desk::new(move |call| deed(seed, call));
    let other = Desk::new(move |call| deed(seed + 1, call));
    let first = Endpoint { hedge, requests_per_minute: per_minute, ..endpoint(most) };
    let second = Endpoint { name: "http://other".to_owned(), ..first.clone() };
    let work = work(plan(60), &[(&desk, first.clone()), if apart { (&other, second) } else { (&desk, first) }]);
    let fresh = || Start::Fresh(Box::new(header_of((*work.plan).clone())));
    let start = if past.is_empty() { fresh() } else { Start::Resume(past) };
    let memory = Memory::default();
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(memory.clone())];
    let (handle, listener) = stop();
    let options = Options { concurrency: stated.then_some(most), ..options(None) };
    let running = run(work, start, sinks, options, listener);
    let asking = async {
        if let Some((after, times)) = signals {
            tokio::time::sleep(Duration::from_millis(after)).await;
            (0..times).for_each(|_| handle.ask());
        }
    };
    let (summary, ()) = tokio::join!(running, asking);
    let events = memory.events().into_iter().filter(|event| event.kind.is_durable()).collect();
    (events, summary.unwrap().left())
}

fn settings() -> impl Strategy<Value = Setting> {
    let numbers = (any::<u32>(), 1..40_usize, prop::option::of(100.0..3000.0_f64));
    (numbers, any::<[bool; 3]>()).prop_map(|((seed, most, per_minute), [stated, hedge, apart])| Setting {
        seed: u64::from(seed),
        most,
        stated,
        hedge,
        apart,
        per_minute,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_unit_is_lost_or_ends_twice(
        setting in settings(), stops in prop::collection::vec((1..20_000_u64, 1..3_u8), 0..3)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut told: Vec<Event> = Vec::new();
            for signals in stops {
                let (events, left) = part(&setting, told.clone(), Some(signals)).await;
                told.extend(events);
                prop_assert_eq!(outcomes(&told).len() + left, 120);
                if left == 0 {
                    break;
                }
            }
            if outcomes(&told).len() < 120 {
                let (events, left) = part(&setting, told.clone(), None).await;
                told.extend(events);
                prop_assert_eq!(left, 0);
            }
            prop_assert_eq!(outcomes(&told).len(), 120);
            prop_assert!(told.iter().enumerate().all(|(place, event)| event.seq == place as u64));
            Ok(())
        })?;
    }
}
