//! What early stopping makes of a task: the gate's own course, followed over simulated answers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::domain::{Step, Stopping, TaskCard, Verdict};
use crate::gate::{Asking, Course, Terms};
use crate::plan::Plan;
use crate::plan::power::{Design, Expected};

/// Samples that are simulated for a task, over all of its courses.
const SIMULATED: u64 = 1_000_000;
/// Fewest and most courses of a task.
const COURSES: (u64, u64) = (50, 1_000);

/// What early stopping makes of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stopped {
    /// The probability of a pass.
    pub(super) power: f64,
    /// The share of the samples that is asked on average.
    pub(super) asked: f64,
}

/// The plan's rule for early stopping.
pub(super) struct Rule<'a> {
    plan: &'a Plan,
    cards: Vec<TaskCard>,
}

impl<'a> Rule<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        Self { plan, cards: plan.tasks.iter().map(|planned| planned.card.clone()).collect() }
    }

    /// What it makes of a task. None where the task is asked in full, or where only exact tests decide, whose courses take too
    /// long to follow.
    pub(super) fn stopped(&self, design: &Design, expected: Expected) -> Option<Stopped> {
        let policy = &self.plan.policy;
        if policy.stopping == Stopping::None || policy.strict || design.slice.is_some() {
            return None;
        }
        let card = self.cards.iter().find(|card| card.name == design.task)?;
        let asking = Asking { once: design.repeats == (1, 1), clustered: design.clusters.is_some() };
        let course = Course::new(Terms::of(card, &self.cards, policy, asking)?)?;
        let courses = (SIMULATED / design.samples.max(1)).clamp(COURSES.0, COURSES.1);
        let ends: Vec<(bool, u64)> =
            (0..courses).into_par_iter().map(|stream| follow(course.clone(), design.samples, expected, stream)).collect();
        let share = |count: f64| count / courses as f64;
        Some(Stopped {
            power: share(ends.iter().filter(|(passed, _)| *passed).count() as f64),
            asked: share(ends.iter().map(|(_, after)| *after as f64 / design.samples as f64).sum()),
        })
    }
}

/// One course to its end: whether it passed, and after how many samples.
fn follow(mut course: Course, samples: u64, expected: Expected, stream: u64) -> (bool, u64) {
    let (lost, gained) = expected.shares();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    random.set_stream(stream);
    for _ in 0..samples {
        let at = f64::from(random.next_u32()) / 2.0_f64.powi(32);
        let step = if at < lost {
            Step::Loss
        } else if at < lost + gained {
            Step::Gain
        } else {
            Step::Tie
        };
        if let Some(ending) = course.take(step) {
            return (ending.verdict == Verdict::Pass, ending.after);
        }
    }
    (false, samples)
}
