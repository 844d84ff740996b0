//! The way that requests take: host, certificate, region, and what the path implies for who sees them.

use super::finding::Finding;
use crate::domain::{ApiSpec, Origin, Preset};
use crate::engine::api::preset;

/// The checks of a way; none of a subject in this process but that nothing leaves it.
pub(super) fn of(spec: Option<&ApiSpec>, origin: Option<&Origin>) -> Vec<Finding> {
    let Some(spec) = spec else {
        return vec![Finding::fine("path", "in this process: nothing leaves this machine")];
    };
    let Some(origin) = origin else {
        return vec![Finding::doubtful("path", "nothing was seen of the way that requests take")];
    };
    let mut all = vec![host(origin)];
    all.extend(region(origin));
    all.push(path(spec, origin));
    all.extend(origin.notes.iter().map(|note| Finding::doubtful("note", note)));
    all
}

fn host(origin: &Origin) -> Finding {
    let address = origin.address.as_ref().map_or_else(String::new, |address| format!(" ({address})"));
    let at = format!("{}{address}", origin.host);
    match &origin.tls_issuer {
        Some(issuer) => Finding::fine("host", format!("{at}, certificate by {issuer}")),
        None if is_near(origin) => Finding::fine("host", format!("{at}, without TLS")),
        None => Finding::doubtful("host", format!("{at}, and who issued its certificate is not known")),
    }
}

/// Whether requests stay where their owner is.
fn is_near(origin: &Origin) -> bool {
    matches!(origin.path.as_str(), "this machine" | "self-hosted" | "gateway")
}

fn region(origin: &Origin) -> Option<Finding> {
    Some(match (&origin.stated_region, &origin.region) {
        (Some(stated), Some(told)) if preset::lies_in(told, stated) => {
            let same = if stated == told { String::new() } else { format!(" ({told})") };
            Finding::fine("region", format!("{stated}{same}, by the plan and by the address"))
        }
        (Some(stated), Some(told)) => Finding::bad("region", format!("the plan says {stated}, and the address is one of {told}")),
        (Some(stated), None) => {
            Finding::doubtful("region", format!("{stated} by the plan alone: the address does not tell where answers come from"))
        }
        (None, Some(told)) => Finding::fine("region", format!("{told} by the address; the plan states none")),
        (None, None) if is_near(origin) => return None,
        (None, None) => Finding::doubtful("region", "not known: neither the plan nor the address tells it"),
    })
}

/// Who operates a service, where that is no secret.
fn operator(preset: Preset) -> &'static str {
    match preset {
        Preset::Mistral => "Mistral AI",
        Preset::Openai => "OpenAI",
        Preset::Azure => "Microsoft",
        Preset::Deepseek => "DeepSeek",
        Preset::Anthropic => "Anthropic",
        Preset::Bedrock => "Amazon Web Services",
        Preset::Vertex => "Google",
        Preset::Vllm | Preset::LlamaServer | Preset::Ollama | Preset::Litellm | Preset::OpenaiCompatible => "its operator",
    }
}

fn path(spec: &ApiSpec, origin: &Origin) -> Finding {
    let (operator, path) = (operator(spec.preset), origin.path.as_str());
    let place = origin.region.as_ref().or(origin.stated_region.as_ref());
    let place = place.map_or_else(String::new, |region| format!(" in {region}"));
    let says = match path {
        "this machine" if spec.preset == Preset::Litellm => {
            let says = "this machine: a proxy here passes requests on; where they end, and whether another model steps in, its configuration says";
            return Finding::doubtful("path", says);
        }
        "this machine" => "this machine: nothing leaves it".to_owned(),
        "self-hosted" => {
            format!("self-hosted: requests go to {} and to no service, as far as its operator sees to it", origin.host)
        }
        "gateway" => {
            let says = format!(
                "gateway: {} passes requests on; where they end, and whether another model steps in, its configuration says",
                origin.host
            );
            return Finding::doubtful("path", says);
        }
        "cloud marketplace" => {
            format!(
                "cloud marketplace: prompts leave this machine and are processed by {operator}{place}, under the contract with it"
            )
        }
        "managed API" => {
            format!("managed API: prompts leave this machine and are processed by {operator}{place}, under its terms")
        }
        other => format!("{other}: requests go to {}", origin.host),
    };
    Finding::fine("path", says)
}
