//! Whether a subject can be compared with the canary: tokenizer, template, context, and that it is another model.

use super::finding::Finding;
use crate::domain::{EngineSpec, Identity, RequestKind, Role, Subject};
use crate::engine::Capabilities;
use crate::plan::Plan;

/// What an open subject told of itself.
pub(super) struct Known {
    pub(super) identity: Identity,
    pub(super) able: Capabilities,
}

/// The checks of a variant or control beside the canary.
pub(super) fn of(plan: &Plan, subject: &Subject, known: &Known, canary: &Known) -> Vec<Finding> {
    let asks = |kinds: &[RequestKind]| plan.tasks.iter().any(|planned| kinds.contains(&planned.task.kind));
    let (own, first) = (&known.identity, &canary.identity);
    let mut all = Vec::new();
    all.push(if own.vocabulary.contradicts(&first.vocabulary) {
        let says = format!("another vocabulary ({}) than the canary's ({})", own.vocabulary, first.vocabulary);
        Finding::unfair("vocabulary", says)
    } else if own.vocabulary.is_told() && first.vocabulary.is_told() {
        Finding::fine("vocabulary", "the canary's vocabulary")
    } else {
        Finding::doubtful("vocabulary", "its vocabulary can't be compared with the canary's: one of them is not told")
    });
    if asks(&[RequestKind::Chat, RequestKind::Tools]) {
        all.push(if own.template.contradicts(&first.template) {
            let says = format!("another chat template ({}) than the canary's ({})", own.template, first.template);
            Finding::unfair("chat template", says)
        } else if own.template.is_told() && first.template.is_told() {
            Finding::fine("chat template", "the canary's chat template")
        } else {
            Finding::doubtful("chat template", "its chat template can't be compared with the canary's: one of them is not told")
        });
    }
    if asks(&[RequestKind::Generate]) && known.able.raw != canary.able.raw {
        let says = "prompts to be continued reach the model as they are on one side, and as a message on the other";
        all.push(Finding::unfair("prompts", says));
    }
    all.extend(same(plan, subject, known, canary));
    all
}

/// A variant that is the canary, by its content or by its name.
fn same(plan: &Plan, subject: &Subject, known: &Known, canary: &Known) -> Option<Finding> {
    let content = known.identity.weights.is_content() && known.identity.weights == canary.identity.weights;
    let named = match (&subject.engine, &plan.subjects[0].engine) {
        (EngineSpec::Api(own), EngineSpec::Api(first)) => {
            own.server.is_none() && first.server.is_none() && (&own.base_url, &own.model) == (&first.base_url, &first.model)
        }
        _ => false,
    };
    let says = match (content, named) {
        (true, _) => "its weights are the canary's: nothing but the way of serving is compared",
        (_, true) => "the same model at the same address as the canary: it is compared with itself",
        _ => return None,
    };
    (subject.role != Role::Canary).then(|| Finding::doubtful("weights", says))
}
