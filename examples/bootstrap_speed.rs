//! Times a BCa bootstrap of a mean: `cargo run --release --example bootstrap_speed -- [items] [replicates]`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use quantgate::stats::{Resampling, bootstrap_mean};

/// Values without ties: a Weyl sequence, bent so that it is skewed.
fn continuous(items: u32) -> Vec<f64> {
    (1..=items).map(|i| (f64::from(i) * 0.618_033_988_749_895).fract().powi(3) - 0.24).collect()
}

fn main() {
    let number = |place: usize, default: u32| std::env::args().nth(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (items, replicates) = (number(1, 100_000), number(2, 20_000));
    let sparse: Vec<f64> = (0..items).map(|i| if i % 50 == 0 { -1.0 } else { f64::from(u8::from(i % 60 == 1)) }).collect();
    let how = Resampling { replicates, ..Resampling::default() };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for (name, values) in [("continuous", continuous(items)), ("wins and losses", sparse)] {
        let start = Instant::now();
        let of = bootstrap_mean(&values, &how).expect("the values are finite");
        let (lower, upper) = of.bca.map_or((f64::NAN, f64::NAN), |bca| (bca.lower, bca.upper));
        println!(
            "{name}: items {items}, replicates {replicates}, seconds {:.3}, threads {threads}, BCa [{lower:.6}, {upper:.6}]",
            start.elapsed().as_secs_f64()
        );
    }
}
