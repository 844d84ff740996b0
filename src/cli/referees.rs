//! Early stopping, as a run is told of it: the gate's own rule follows each subject on each task that may end early.

use std::collections::HashSet;

use crate::gate::{Asking, Course, Terms};
use crate::plan::{Plan, PlannedTask};
use crate::runner::Referee;

/// A referee for each variant and control on each task that the policy lets end early.
pub(super) fn of(plan: &Plan) -> Vec<Referee> {
    let cards: Vec<_> = plan.tasks.iter().map(|planned| planned.card.clone()).collect();
    let repeats = |seat: usize| plan.subjects[seat].repeats;
    let mut referees = Vec::new();
    for (task, planned) in plan.tasks.iter().enumerate() {
        let clustered = shares_clusters(planned);
        for seat in 1..plan.subjects.len() {
            let asking = Asking { once: repeats(0) <= 1 && repeats(seat) <= 1, clustered };
            let course = Terms::of(&planned.card, &cards, &plan.policy, asking).and_then(Course::new);
            referees.extend(course.map(|mut course| Referee {
                seat,
                task,
                marks: course.marks(),
                settles: Box::new(move |step| course.take(step).is_some()),
            }));
        }
    }
    referees
}

fn shares_clusters(planned: &PlannedTask) -> bool {
    let mut seen = HashSet::new();
    let mut clusters = planned.samples.iter().filter_map(|sample| sample.cluster.as_deref());
    clusters.any(|cluster| !seen.insert(cluster))
}
