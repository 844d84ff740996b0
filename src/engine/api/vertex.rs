//! Mistral's models behind Vertex AI's rawPredict.
//!
//! A model is named with its version (`mistral-medium-3@001`) in the path and without in the body, which is Mistral's own.

use super::super::Failure;
use super::exchange::{Ask, Framing, Wire, inexpressible};
use super::{mistral, preset};

/// A request of Mistral's in Vertex AI's envelope: the path says project, region, model and whether the answer is streamed.
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    let spec = ask.spec;
    let project = spec.project.as_deref().ok_or_else(|| inexpressible("Vertex AI needs the plan's `project`"))?;
    let region = preset::region_of(&spec.base_url).or_else(|| spec.region.clone());
    let region =
        region.ok_or_else(|| inexpressible("neither the address nor the plan's `region` says where the model is served"))?;
    let name = spec.model.split_once('@').map_or(spec.model.as_str(), |(name, _)| name);
    let (_, body) = mistral::body(ask, name)?;
    let (verb, framing) = if spec.stream { ("streamRawPredict", Framing::Sse) } else { ("rawPredict", Framing::Whole) };
    let version = if spec.base_url.ends_with("/v1") { "" } else { "/v1" };
    let publisher = format!("{version}/projects/{project}/locations/{region}/publishers/mistralai");
    let path = format!("{publisher}/models/{}:{verb}", spec.model);
    Ok(Wire { path, headers: Vec::new(), body, framing })
}

#[cfg(test)]
#[path = "tests/vertex.rs"]
mod tests;
