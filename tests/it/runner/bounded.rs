//! Documents of a model in this process beside those of an endpoint that tells the likeliest tokens alone.

use std::sync::Arc;

use quantgate::domain::{Answer, Digest, Identity, Outcome, Request, RequestKind};
use quantgate::engine::{BoxFuture, Capabilities, Distribution, Endpoint, Engine, Extent, Failure, Lane, Passage, Reply};

use super::cast::{self, Memory, engines_of, header_of, options, outcomes, play};
use super::service::endpoint;
use quantgate::runner::Start;

/// A scripted engine that is reached as a service is where it has an endpoint.
struct Reached {
    inner: Arc<dyn Engine>,
    identity: Identity,
    endpoint: Option<Endpoint>,
}

impl Engine for Reached {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn capabilities(&self) -> Capabilities {
        let able = self.inner.capabilities();
        if self.endpoint.is_some() { Capabilities { distributions: false, lane: Lane::Own(2), ..able } } else { able }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        Box::pin(async move {
            let mut replies = self.inner.answer(requests).await;
            for reply in replies.iter_mut().flatten() {
                if let Answer::Rolling { nll, top, .. } = &mut reply.answer
                    && self.endpoint.is_some()
                {
                    *top = vec![vec![(1, -0.5)]; nll.len()];
                }
            }
            replies
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        self.inner.extents(texts)
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        self.inner.distributions(passages)
    }
}

/// By subject: how many likeliest tokens each place of its documents has; the canary and a variant, `behind` one of them the
/// endpoint, which names its vocabulary or another.
fn told(behind: usize, vocabulary: Option<&Digest>) -> Vec<Vec<usize>> {
    let mut plan = cast::plan();
    plan.subjects.truncate(2);
    plan.tasks = vec![cast::task("read", RequestKind::Perplexity, 3)];
    let reached = engines_of(&plan, |_, engine| engine).into_iter().enumerate().map(|(seat, inner)| {
        let own = inner.identity().clone();
        let vocabulary = vocabulary.cloned().filter(|_| seat == behind).unwrap_or_else(|| own.vocabulary.clone());
        let endpoint = (seat == behind).then(|| endpoint(2));
        Arc::new(Reached { inner, identity: Identity { vocabulary, ..own }, endpoint })
    });
    let reached: Vec<Arc<Reached>> = reached.collect();
    let memory = Memory::default();
    let start = Start::Fresh(Box::new(header_of(plan.clone())));
    let names = plan.subjects.iter().map(|subject| subject.name.clone()).collect::<Vec<_>>();
    play(cast::work_of(plan, &reached), start, vec![Box::new(memory.clone())], options()).unwrap();
    let outcomes = outcomes(&memory.events());
    let places = |name| {
        let of_subject = outcomes.iter().filter(move |(unit, _)| unit.subject == name);
        let tops = of_subject.flat_map(|(unit, outcome)| match outcome {
            Outcome::Scored { answer: Answer::Rolling { nll, top, divergence, .. }, .. } => {
                assert!(divergence.is_none() && (top.is_empty() || top.len() == nll.len()), "{unit:?}");
                top.iter().map(Vec::len).collect::<Vec<_>>()
            }
            other => panic!("{unit:?}: {other:?}"),
        });
        let mut sizes: Vec<usize> = tops.collect();
        sizes.dedup();
        sizes
    };
    names.into_iter().map(places).collect()
}

#[test]
fn a_model_here_tells_the_likeliest_tokens_where_an_endpoint_of_its_vocabulary_tells_no_more() {
    // The scripted vocabulary has sixteen tokens.
    assert_eq!(told(1, None), [vec![16], vec![1]], "the variant is behind the endpoint");
    assert_eq!(told(0, None), [vec![1], vec![16]], "the canary is");
}

#[test]
fn ids_that_may_mean_something_else_are_not_compared() {
    assert_eq!(told(1, Some(&Digest::untold())), [vec![], vec![1]]);
    assert_eq!(told(0, Some(&Digest::untold())), [vec![1], vec![]]);
}
