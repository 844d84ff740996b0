//! What subjects do against themselves, for the report.

use super::model::{ExcessResult, NoiseResult};
use crate::analysis::Noise;
use crate::stats::Excess;

impl From<&Noise> for NoiseResult {
    fn from(noise: &Noise) -> Self {
        Self {
            subject: noise.subject.clone(),
            task: noise.task.clone(),
            passes: noise.passes,
            n: noise.complete,
            flips: noise.flips,
            changed: noise.changed,
            delta: noise.again.paired.delta,
            sd: noise.sd,
            sd_run: noise.sigma2_run().sqrt(),
            p_run: noise.overdispersion.map(|of| of.p),
        }
    }
}

impl From<&Excess> for ExcessResult {
    fn from(excess: &Excess) -> Self {
        Self { excess: excess.excess, se: excess.se, p: excess.flip_bb.map(|_| excess.p), aa: excess.flip_aa, bb: excess.flip_bb }
    }
}
