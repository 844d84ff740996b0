//! Frequencies of rotary embedding, with every way of stretching them for longer contexts.

use std::f32::consts::TAU;

use super::shape::{Rope, RopeOrder, RopeScaling};

impl Rope {
    /// Unscaled frequencies `base^(−2i/size)`, rounded to f32 as the models' own code does.
    #[must_use]
    pub fn plain(order: RopeOrder, base: f32, size: usize) -> Self {
        let frequencies = steps(base, size).map(|step| 1.0 / step).collect();
        Self { order, base, size, scaling: RopeScaling::None, frequencies, magnitude: 1.0 }
    }

    /// Frequencies stretched as `scaling` says; `size` is that of the divisors, twice their number, where it has some.
    ///
    /// Every step is rounded to f32 in the order of transformers' `modeling_rope_utils`.
    #[must_use]
    pub fn scaled((order, base, size): (RopeOrder, f32, usize), scaling: RopeScaling, magnitude: f32) -> Self {
        let mut rope = Self { magnitude, ..Self::plain(order, base, size) };
        match &scaling {
            RopeScaling::None => {}
            RopeScaling::Linear { factor } => rope.frequencies.iter_mut().for_each(|frequency| *frequency /= factor),
            RopeScaling::Llama3 { factor, .. } => {
                for frequency in &mut rope.frequencies {
                    *frequency = match Band::of(*frequency, &scaling) {
                        Band::Fast => *frequency,
                        Band::Slow => *frequency / factor,
                        Band::Between(smooth) => (1.0 - smooth) * *frequency / factor + smooth * *frequency,
                    };
                }
            }
            RopeScaling::Yarn { factor, .. } => {
                let (low, high) = ramp(base, size, &scaling);
                for (index, (frequency, step)) in rope.frequencies.iter_mut().zip(steps(base, size)).enumerate() {
                    let kept = 1.0 - ((index as f32 - low) / (high - low)).clamp(0.0, 1.0);
                    *frequency = 1.0 / (factor * step) * (1.0 - kept) + *frequency * kept;
                }
            }
            RopeScaling::Factors(factors) | RopeScaling::Long { short: factors, .. } => {
                for ((frequency, step), factor) in rope.frequencies.iter_mut().zip(steps(base, size)).zip(factors) {
                    *frequency = 1.0 / (factor * step);
                }
            }
        }
        rope.scaling = scaling;
        rope
    }

    /// What Llama 3.1's frequencies are divided by, pair by pair: GGUF's `rope_freqs`.
    pub(super) fn divisors(&self) -> Vec<f32> {
        let divisor = |step: f32| match (&self.scaling, Band::of(1.0 / step, &self.scaling)) {
            (RopeScaling::Llama3 { factor, .. }, Band::Slow) => *factor,
            (RopeScaling::Llama3 { factor, .. }, Band::Between(smooth)) => 1.0 / ((1.0 - smooth) / factor + smooth),
            _ => 1.0,
        };
        steps(self.base, self.size).map(divisor).collect()
    }
}

/// `base^(2i/size)` for each pair.
fn steps(base: f32, size: usize) -> impl Iterator<Item = f32> {
    (0..size / 2).map(move |i| f64::from(base).powf(2.0 * i as f64 / size as f64) as f32)
}

/// Where Llama 3.1 sees a frequency.
enum Band {
    /// Kept.
    Fast,
    /// Divided by the whole factor.
    Slow,
    /// So far on the way from slow to fast.
    Between(f32),
}

impl Band {
    fn of(frequency: f32, scaling: &RopeScaling) -> Self {
        let RopeScaling::Llama3 { low, high, original, .. } = *scaling else { return Self::Fast };
        let (wavelength, original) = (TAU / frequency, original as f32);
        if wavelength < original / high {
            Self::Fast
        } else if wavelength > original / low {
            Self::Slow
        } else {
            Self::Between((original / wavelength - low) / (high - low))
        }
    }
}

/// The pairs between which `YaRN` goes from kept to divided frequencies.
fn ramp(base: f32, size: usize, scaling: &RopeScaling) -> (f32, f32) {
    let RopeScaling::Yarn { original, beta_fast, beta_slow, .. } = *scaling else { return (0.0, 1.0) };
    let pair = |turns: f32| {
        let turns = f64::from(turns) * std::f64::consts::TAU;
        size as f64 * (original as f64 / turns).ln() / (2.0 * f64::from(base).ln())
    };
    let low = pair(beta_fast).floor().max(0.0);
    let high = pair(beta_slow).ceil().min(size as f64 - 1.0);
    (low as f32, if (high - low).abs() < f64::EPSILON { high + 0.001 } else { high } as f32)
}
