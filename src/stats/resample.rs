//! Resampling with replacement: seeded, exact, and the same to the bit on any number of threads.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

/// Items of a block that one byte addresses.
const BLOCK: usize = 256;

/// Random bytes made at once.
const BUFFER: usize = 8192;

/// Replicates that share a generator.
const PART: u32 = 40;

/// How often, how surely and from which random numbers to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Replicates, 20,000 by default.
    pub replicates: u32,
    /// Two-sided confidence of the intervals, 0.9 by default, which is one-sided α = 0.05.
    pub conf: f64,
    /// The seed of ChaCha8, which seeds the generators of all parts.
    pub seed: u64,
    /// Its stream: another one for each task and metric gives independent numbers from one seed.
    pub stream: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { replicates: 20_000, conf: 0.9, seed: 0, stream: 0 }
    }
}

impl Resampling {
    /// The random numbers of one part of the work.
    pub(super) fn draws(&self, part: u64) -> Draws {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&part.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(self.stream);
        Draws { rng: Lanes::seeded(&mut rng), bytes: Box::new([0; BUFFER]), at: BUFFER }
    }

    /// One value for each replicate, in their order.
    pub(super) fn replicate<T: Send>(&self, one: impl Fn(&mut Draws) -> T + Sync) -> Vec<T> {
        let part = |part: u32| {
            let mut draws = self.draws(u64::from(part));
            let count = PART.min(self.replicates - part * PART);
            (0..count).map(|_| one(&mut draws)).collect::<Vec<T>>()
        };
        (0..self.replicates.div_ceil(PART)).into_par_iter().flat_map_iter(part).collect()
    }
}

/// Four generators xoshiro256++ side by side (Blackman & Vigna 2021, ACM TOMS 47:36), each with a state of its own from
/// ChaCha8: a few times as fast as that, which is what a bootstrap of many items spends its time on.
struct Lanes([[u64; 4]; 4]);

impl Lanes {
    fn seeded(rng: &mut ChaCha8Rng) -> Self {
        let mut state = [[0; 4]; 4];
        for word in state.iter_mut().flatten() {
            *word = rng.next_u64();
        }
        Self(state)
    }

    fn fill(&mut self, bytes: &mut [u8; BUFFER]) {
        let [mut a, mut b, mut c, mut d] = self.0;
        for words in bytes.chunks_exact_mut(32) {
            for lane in 0..4 {
                let word = a[lane].wrapping_add(d[lane]).rotate_left(23).wrapping_add(a[lane]);
                words[8 * lane..8 * lane + 8].copy_from_slice(&word.to_le_bytes());
                let shifted = b[lane] << 17;
                c[lane] ^= a[lane];
                d[lane] ^= b[lane];
                b[lane] ^= c[lane];
                a[lane] ^= d[lane];
                c[lane] ^= shifted;
                d[lane] = d[lane].rotate_left(45);
            }
        }
        self.0 = [a, b, c, d];
    }
}

/// Random numbers, taken from a buffer of bytes.
pub(super) struct Draws {
    rng: Lanes,
    bytes: Box<[u8; BUFFER]>,
    at: usize,
}

impl Draws {
    /// Random bytes, at least one and at most so many (which is not 0).
    pub(super) fn some(&mut self, most: u64) -> &[u8] {
        if self.at == BUFFER {
            self.rng.fill(&mut self.bytes);
            self.at = 0;
        }
        let from = self.at;
        self.at += usize::try_from(most).map_or(BUFFER, |most| most.min(BUFFER)).min(BUFFER - from);
        &self.bytes[from..self.at]
    }

    fn word(&mut self) -> u32 {
        let mut word = [0; 4];
        for byte in &mut word {
            *byte = self.some(1)[0];
        }
        u32::from_le_bytes(word)
    }

    /// A number below `n` (which is not 0), each as likely. Source: Lemire 2019 (ACM TOMACS 29:3).
    pub(super) fn below(&mut self, n: u32) -> u32 {
        let least = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.word()) * u64::from(n);
            if product as u32 >= least {
                return (product >> 32) as u32;
            }
        }
    }

    /// How many of so many fair coins show heads.
    fn heads(&mut self, coins: u64) -> u64 {
        let (mut left, mut heads) = (coins / 8, 0);
        while left > 0 {
            let bytes = self.some(left);
            left -= bytes.len() as u64;
            let words = bytes.chunks_exact(8);
            heads += words.remainder().iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
            heads += words.map(|word| u64::from(u64::from_le_bytes(word.try_into().expect("8 bytes")).count_ones())).sum::<u64>();
        }
        let rest = coins % 8;
        if rest > 0 {
            heads += u64::from((self.some(1)[0] >> (8 - rest)).count_ones());
        }
        heads
    }

    /// A draw from Bin(n, part/whole), exactly: uniform numbers are compared with part/whole bit by bit, all of them at once.
    fn binomial(&mut self, n: u64, part: usize, whole: usize) -> u64 {
        let (mut rest, mut below, mut undecided) = (part, 0, n);
        while undecided > 0 && rest > 0 {
            rest *= 2;
            let heads = self.heads(undecided);
            if rest >= whole {
                rest -= whole;
                below += undecided - heads;
                undecided = heads;
            } else {
                undecided -= heads;
            }
        }
        below
    }

    /// The sum over `draws` rows drawn with replacement; rows must be sorted, so that equal ones stand together.
    ///
    /// The number that falls into each part is drawn first, halving down to blocks that one random byte addresses and that
    /// the fastest cache holds; parts of equal rows are not drawn from. That is the multinomial distribution, exactly.
    pub(super) fn total<const D: usize>(&mut self, rows: &[[f64; D]], draws: u64) -> [f64; D] {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return [0.0; D] };
        if draws == 0 {
            return [0.0; D];
        }
        if first.map(f64::to_bits) == last.map(f64::to_bits) {
            return first.map(|value| value * draws as f64);
        }
        if rows.len() <= BLOCK {
            return self.of_block(rows, draws);
        }
        let (low, high) = rows.split_at(rows.len().div_ceil(2).next_power_of_two().max(BLOCK).min(rows.len() - 1));
        let fallen = self.binomial(draws, low.len(), rows.len());
        let (mut sum, more) = (self.total(low, fallen), self.total(high, draws - fallen));
        for (sum, more) in sum.iter_mut().zip(more) {
            *sum += more;
        }
        sum
    }

    fn of_block<const D: usize>(&mut self, rows: &[[f64; D]], draws: u64) -> [f64; D] {
        let mut sums = [[0.0; D]; 4];
        let mut add = |lane: usize, row: &[f64; D]| {
            for d in 0..D {
                sums[lane][d] += row[d];
            }
        };
        let Ok(block) = <&[[f64; D]; BLOCK]>::try_from(rows) else {
            for i in 0..draws {
                add((i % 4) as usize, &rows[self.below(rows.len() as u32) as usize]);
            }
            return total_of(&sums);
        };
        let mut left = draws;
        while left > 0 {
            let bytes = self.some(left);
            left -= bytes.len() as u64;
            let fours = bytes.chunks_exact(4);
            for byte in fours.remainder() {
                add(0, &block[usize::from(*byte)]);
            }
            for four in fours {
                for lane in 0..4 {
                    add(lane, &block[usize::from(four[lane])]);
                }
            }
        }
        total_of(&sums)
    }
}

fn total_of<const D: usize>(sums: &[[f64; D]; 4]) -> [f64; D] {
    std::array::from_fn(|d| (sums[0][d] + sums[1][d]) + (sums[2][d] + sums[3][d]))
}

/// The rows in an order that does not depend on the one they came in.
pub(super) fn sorted<const D: usize>(mut rows: Vec<[f64; D]>) -> Vec<[f64; D]> {
    rows.sort_unstable_by(|a, b| {
        a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_successes_have_the_mean_and_variance_of_a_binomial() {
        let mut draws = Resampling::default().draws(0);
        let counts: Vec<f64> = (0..20_000).map(|_| draws.binomial(1000, 3, 10) as f64).collect();
        let mean = counts.iter().sum::<f64>() / 2e4;
        let variance = counts.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2e4;
        assert!((mean - 300.0).abs() < 0.5, "{mean}");
        assert!((variance / 210.0 - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn every_item_of_many_blocks_is_drawn_as_often_as_any_other() {
        let rows: Vec<[f64; 1]> = (0..700).map(|i| [f64::from(i)]).collect();
        let mut draws = Resampling::default().draws(0);
        let totals: Vec<f64> = (0..4000).map(|_| draws.total(&rows, 700)[0] / 700.0).collect();
        let mean = totals.iter().sum::<f64>() / 4000.0;
        let variance = totals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0;
        // Uniform on 0..700: mean 349.5, variance (700² − 1)/12, over 700 draws 58.3.
        assert!((mean - 349.5).abs() < 0.6, "{mean}");
        assert!((variance / 58.333 - 1.0).abs() < 0.1, "{variance}");
    }
}
