//! Times the estimates that run most often or on most data: `cargo run --release --example stats_speed`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use quantgate::stats::{self, GroupSequential, PairTable};

/// Prints the mean time of one call.
fn timed<T>(name: &str, calls: u32, mut call: impl FnMut(u32) -> T) {
    let start = Instant::now();
    for i in 0..calls {
        black_box(call(black_box(i)));
    }
    println!("{name}: {:.3} µs a call", start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
}

/// A table of a thousand pairs and a few flips, another one for each number.
fn table(i: u32) -> PairTable {
    PairTable::of_flips(u64::from(i % 23), u64::from(i % 29), 1000 + u64::from(i % 7))
}

fn main() {
    timed("tango", 100_000, |i| stats::tango(&table(i), 0.9));
    timed("tango_score", 1_000_000, |i| stats::tango_score(&table(i), -0.02));
    timed("fay_p", 1000, |i| stats::fay_p(&table(i), -0.02));
    timed("fay_diff", 200, |i| stats::fay_diff(&table(i), 0.9));
    timed("betting_counts", 1000, |i| stats::betting_counts(&table(i), 0.05, 20));
    timed("four Lan-DeMets bounds", 20, |i| GroupSequential::new(&[0.25, 0.5, 0.75 + f64::from(i) * 1e-3, 1.0], 0.05));
    let many: Vec<f64> = (0..1_000_000_u32).map(|i| (f64::from(i) * 0.618_033_988_749_895).fract() - 0.5).collect();
    timed("betting_interval of a million different values", 1, |_| stats::betting_interval(&many, 1.0, 0.05, 20));
}
