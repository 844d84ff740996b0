//! Early stopping, as a run is told of it: the gate's own rule follows each subject on each task that may end early.

use crate::domain::{Role, Stopping, share_clusters};
use crate::gate::{Asking, Course, Terms};
use crate::plan::Plan;
use crate::runner::Referee;

/// A referee for each variant and control on each task that the policy lets end early.
///
/// A control is spared curtailment alone: it saves next to nothing there, and the tasks must show their teeth under every
/// policy that the run may be judged by later.
pub(super) fn of(plan: &Plan) -> Vec<Referee> {
    let cards: Vec<_> = plan.tasks.iter().map(|planned| planned.card.clone()).collect();
    let repeats = |seat: usize| plan.subjects[seat].repeats;
    let mut referees = Vec::new();
    for (task, planned) in plan.tasks.iter().enumerate() {
        let clustered = share_clusters(planned.samples.iter().map(|sample| sample.cluster.as_deref()));
        for seat in 1..plan.subjects.len() {
            if plan.policy.stopping == Stopping::None && plan.subjects[seat].role == Role::Control {
                continue;
            }
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
