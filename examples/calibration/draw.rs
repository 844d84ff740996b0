//! Seeded draws of paired right-or-wrong items: independent, and in clusters.

use std::collections::HashMap;

use quantgate::stats::binomial_pmf;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of its own for every cell of the study, so that no cell depends on which others are run.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Uniform in [0, 1), with 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform among `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n - 1)
    }
}

/// Binomial draws by the inverse of the distribution function, tabulated once for each number of trials.
pub(crate) struct Binomial {
    p: f64,
    tables: HashMap<u64, Vec<f64>>,
}

impl Binomial {
    pub(crate) fn new(p: f64) -> Self {
        Self { p: p.clamp(0.0, 1.0), tables: HashMap::new() }
    }

    pub(crate) fn draw(&mut self, trials: u64, draws: &mut Draws) -> u64 {
        let p = self.p;
        let table = self.tables.entry(trials).or_insert_with(|| {
            let mass = (0..=trials).map(|k| binomial_pmf(k, trials, p));
            let cumulative = mass.scan(0.0, |sum, mass| {
                *sum += mass;
                Some(*sum)
            });
            cumulative.collect()
        });
        let u = draws.uniform();
        (table.partition_point(|&below| below <= u) as u64).min(trials)
    }
}

/// Losses and gains among independent items.
pub(crate) struct Trinomial {
    lost: Binomial,
    gained: Binomial,
}

impl Trinomial {
    /// An item is lost with probability `p10` and gained with `p01`.
    pub(crate) fn new(p10: f64, p01: f64) -> Self {
        let of_rest = if p10 < 1.0 { p01 / (1.0 - p10) } else { 0.0 };
        Self { lost: Binomial::new(p10), gained: Binomial::new(of_rest) }
    }

    /// (losses, gains) among `n` items.
    pub(crate) fn draw(&mut self, n: u64, draws: &mut Draws) -> (u64, u64) {
        let lost = self.lost.draw(n, draws);
        (lost, self.gained.draw(n - lost, draws))
    }
}

/// (pairs, losses, gains) of one cluster whose items agree with an intraclass correlation: Pólya's urn, that is a
/// Dirichlet-multinomial. Each further item repeats one of those before it with a probability that grows with their number.
pub(crate) fn urn(size: u64, (p10, p01): (f64, f64), icc: f64, draws: &mut Draws) -> (u64, u64, u64) {
    let mut kinds: Vec<u8> = Vec::with_capacity(size as usize);
    for item in 0..size as usize {
        // θ = 1/ICC − 1 items' worth of the population are in the urn at the beginning.
        let earlier = if icc > 0.0 { item as f64 / (item as f64 + 1.0 / icc - 1.0) } else { 0.0 };
        let kind = if draws.uniform() < earlier {
            kinds[draws.below(item)]
        } else {
            match draws.uniform() {
                u if u < p10 => 1,
                u if u < p10 + p01 => 2,
                _ => 0,
            }
        };
        kinds.push(kind);
    }
    let mut counts = [0; 3];
    for kind in kinds {
        counts[usize::from(kind)] += 1;
    }
    (size, counts[1], counts[2])
}
