//! Whether a subject can do what the plan's tasks ask, and within which limits.

use super::finding::Finding;
use crate::domain::{Price, Request, RequestKind, Usage};
use crate::engine::{Capabilities, Endpoint};
use crate::plan::Plan;

/// What the plan asks of one subject.
pub(super) struct Demand {
    /// The kinds of tasks, with their names.
    tasks: Vec<(RequestKind, String)>,
    /// The names of the tasks whose answers are held to a shape.
    constrained: String,
    /// Requests in all.
    pub(super) requests: usize,
    /// Characters of all prompts, and most tokens of all answers.
    volume: (usize, usize),
    /// Characters of the longest prompt, with the most tokens of its answer.
    longest: (usize, usize),
}

impl Demand {
    /// What is asked of a subject that answers each sample `repeats` times.
    pub(super) fn of(plan: &Plan, repeats: u32) -> Self {
        let tasks = plan.tasks.iter().map(|planned| (planned.task.kind, planned.task.name.to_string())).collect();
        let constrained = plan.tasks.iter().filter(|planned| planned.task.constrained);
        let constrained = constrained.map(|planned| planned.task.name.as_str()).collect::<Vec<_>>().join(", ");
        let mut demand = Self { tasks, constrained, requests: 0, volume: (0, 0), longest: (0, 0) };
        for planned in &plan.tasks {
            let passes = planned.task.metric.passes(repeats) as usize;
            for sample in &planned.samples {
                let (characters, tokens) = size(&sample.request);
                demand.requests += passes;
                demand.volume.0 += passes * characters;
                demand.volume.1 += passes * tokens;
                if characters > demand.longest.0 {
                    demand.longest = (characters, tokens);
                }
            }
        }
        demand
    }

    /// The names of the tasks of some kinds.
    fn named(&self, kinds: &[RequestKind]) -> String {
        let names = self.tasks.iter().filter(|(kind, _)| kinds.contains(kind)).map(|(_, name)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A request's characters, and the most tokens of its answer. Options are read once with each other.
pub(super) fn size(request: &Request) -> (usize, usize) {
    match request {
        Request::Choice { context, options } => {
            (options.iter().map(|option| context.chars().count() + option.chars().count()).sum(), 0)
        }
        Request::Generate { prompt, generation } => (prompt.chars().count(), generation.max_tokens),
        Request::Chat { messages, tools, generation } => {
            let text: usize = messages.iter().map(|message| message.content.chars().count()).sum();
            let offers: usize = tools.iter().map(|tool| tool.to_string().chars().count()).sum();
            (text + offers, generation.max_tokens)
        }
        Request::Perplexity { text } => (text.chars().count(), 0),
    }
}

/// The kinds of tasks that the subject can and can't answer, and what it tells beside answers.
pub(super) fn of_tasks(able: Capabilities, demand: &Demand) -> Vec<Finding> {
    let (choice, documents) = (RequestKind::Choice, RequestKind::Perplexity);
    let (chat, tools) = (RequestKind::Chat, RequestKind::Tools);
    let needs = [
        (able.log_likelihood, demand.named(&[choice, documents]), "log-likelihoods of given texts"),
        (able.chat, demand.named(&[chat, tools]), "conversations"),
        (able.tools, demand.named(&[tools]), "tools"),
        (able.constrained, demand.constrained.clone(), "constrained decoding"),
    ];
    let mut all = Vec::new();
    let mut fine = Vec::new();
    for (can, names, what) in needs {
        match (can, names.is_empty()) {
            (_, true) => {}
            (true, false) => fine.push(format!("{what} ({names})")),
            (false, false) => all.push(Finding::bad("abilities", format!("no {what}, which {names} need"))),
        }
    }
    let raw = demand.named(&[RequestKind::Generate]);
    if !raw.is_empty() {
        if able.raw {
            fine.push(format!("prompts continued as they are ({raw})"));
        } else {
            let says = format!("prompts are sent as messages of a user, not continued as they are ({raw})");
            all.push(Finding::doubtful("abilities", says));
        }
    }
    if !fine.is_empty() {
        all.insert(0, Finding::fine("abilities", fine.join("; ")));
    }
    let documents = demand.named(&[documents]);
    if able.log_likelihood && !able.distributions && !documents.is_empty() {
        let says = format!("no distributions over the whole vocabulary: the divergence on {documents} is not measured in full");
        all.push(Finding::doubtful("divergence", says));
    }
    all
}

/// Whether the longest prompt fits, judged by how many tokens a prompt of known length took.
pub(super) fn of_context(able: Capabilities, demand: &Demand, rate: Option<f64>) -> Finding {
    // A context that nobody told is given as the largest number there is.
    if able.context == 0 || able.context >= u32::MAX as usize {
        return Finding::doubtful(
            "context",
            "how many tokens prompt and answer may have is not told: one that is cut is noticed only by its answer",
        );
    }
    let (characters, answer) = demand.longest;
    let Some(rate) = rate else {
        return Finding::fine("longest prompt", format!("{characters} characters, in a context of {} tokens", able.context));
    };
    let tokens = (characters as f64 * rate).ceil() as usize + answer;
    let says = format!("about {tokens} tokens with its answer, in a context of {}", able.context);
    if tokens > able.context {
        Finding::doubtful("longest prompt", format!("{says}, and may be cut or refused"))
    } else {
        Finding::fine("longest prompt", says)
    }
}

/// How the endpoint is treated, and how long its limits make the run at least.
pub(super) fn of_limits(endpoint: Option<&Endpoint>, demand: &Demand, rate: Option<f64>) -> Option<Finding> {
    let endpoint = endpoint?;
    let mut says = vec![format!("up to {} at once", requests(endpoint.concurrency))];
    let mut minutes: f64 = 0.0;
    if let Some(limit) = endpoint.requests_per_minute {
        says.push(format!("{limit} requests a minute"));
        minutes = minutes.max(demand.requests as f64 / limit);
    }
    if let Some(limit) = endpoint.tokens_per_minute {
        says.push(format!("{limit} tokens a minute"));
        let tokens = demand.volume.0 as f64 * rate.unwrap_or(0.3) + demand.volume.1 as f64;
        minutes = minutes.max(tokens / limit);
    }
    says.push(format!("a time-out of {} s", endpoint.timeout.as_secs_f64()));
    let least = if minutes >= 1.0 {
        format!("; {} take at least {minutes:.0} minutes", requests(demand.requests))
    } else {
        String::new()
    };
    Some(Finding::fine("limits", format!("{}{least}", says.join(", "))))
}

/// So many requests, in words.
fn requests(number: usize) -> String {
    if number == 1 { "1 request".to_owned() } else { format!("{number} requests") }
}

/// What the run costs at most, by what one request took.
pub(super) fn of_cost(price: Option<Price>, demand: &Demand, rate: Option<f64>, spending: Option<f64>) -> Option<Finding> {
    let (price, rate) = (price?, rate?);
    let usage = Usage { prompt: (demand.volume.0 as f64 * rate).ceil() as u64, completion: demand.volume.1 as u64, cached: 0 };
    let cost = price.of(usage);
    let about = if cost < 0.01 { "less than 0.01".to_owned() } else { format!("about {cost:.2} at most") };
    let says =
        format!("{about}: {}, {} tokens read and up to {} written", requests(demand.requests), usage.prompt, usage.completion);
    Some(match spending {
        Some(limit) if cost > limit => Finding::doubtful("cost", format!("{says}; the plan stops at {limit}")),
        _ => Finding::fine("cost", says),
    })
}
