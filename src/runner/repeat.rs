//! Asking again: what a later pass over the samples changes in a request.

use std::borrow::Cow;

use crate::domain::{Generation, Request};

/// The request of a pass, counted from 0: the sample's own, with another seed where later passes draw from it.
pub(super) fn on_pass(request: &Request, pass: u32) -> Cow<'_, Request> {
    let mut request = Cow::Borrowed(request);
    let is_drawn = match &*request {
        Request::Generate { generation, .. } | Request::Chat { generation, .. } => generation.temperature > 0.0,
        Request::Choice { .. } | Request::Perplexity { .. } => false,
    };
    if pass > 0
        && is_drawn
        && let Request::Generate { generation, .. } | Request::Chat { generation, .. } = request.to_mut()
    {
        reseed(generation, pass);
    }
    request
}

fn reseed(generation: &mut Generation, pass: u32) {
    let mut hasher = blake3::Hasher::new_derive_key("quantgate repeat seed v1");
    hasher.update(&generation.seed.to_le_bytes()).update(&pass.to_le_bytes());
    let digest = hasher.finalize();
    generation.seed = u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(temperature: f64) -> Request {
        let generation = Generation { max_tokens: 8, stop: Vec::new(), temperature, top_p: 1.0, seed: 42, constraint: None };
        Request::Generate { prompt: "7 x 6 =".to_owned(), generation }
    }

    #[test]
    fn a_later_pass_draws_anew_and_a_greedy_one_asks_the_same() {
        let drawn: Vec<Request> = (0..3).map(|pass| on_pass(&request(0.8), pass).into_owned()).collect();
        assert_eq!(drawn[0], request(0.8), "the first pass is the sample's own request");
        assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
        assert_eq!(*on_pass(&request(0.8), 2), drawn[2]);
        assert_eq!(*on_pass(&request(0.0), 2), request(0.0));
    }
}
