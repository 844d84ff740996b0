//! Tool calls: a request in words, three tools on offer, the right call as JSON.

use serde_json::{Map, Value, json};

use super::{Draw, Example, Prompt, in_share};

/// A tool: its name, its parameters with their kinds, and ways to ask for it (`{0}`, `{1}` are the arguments).
struct Tool {
    name: &'static str,
    parameters: &'static [(&'static str, Kind)],
    requests: [&'static str; 3],
}

#[derive(Clone, Copy)]
enum Kind {
    City,
    Day,
    Person,
    Song,
    Language,
    Word,
    Number,
    Clock,
}

const TOOLS: [Tool; 10] = [
    Tool {
        name: "get_weather",
        parameters: &[("city", Kind::City), ("day", Kind::Day)],
        requests: ["What is the weather in {0} on {1}?", "Will it rain in {0} on {1}?", "Weather for {0}, {1} please"],
    },
    Tool {
        name: "set_timer",
        parameters: &[("minutes", Kind::Number)],
        requests: ["Set a timer for {0} minutes", "Wake me in {0} minutes", "Count down {0} minutes"],
    },
    Tool {
        name: "set_alarm",
        parameters: &[("time", Kind::Clock), ("day", Kind::Day)],
        requests: ["Set an alarm for {0} on {1}", "Wake me at {0} on {1}", "Alarm at {0}, {1}"],
    },
    Tool {
        name: "call_person",
        parameters: &[("name", Kind::Person)],
        requests: ["Call {0}", "I want to talk to {0}", "Ring {0} now"],
    },
    Tool {
        name: "book_train",
        parameters: &[("start", Kind::City), ("end", Kind::City), ("day", Kind::Day)],
        requests: ["Book a train from {0} to {1} on {2}", "I go from {0} to {1} on {2} by train", "Train {0} to {1}, {2}"],
    },
    Tool {
        name: "book_table",
        parameters: &[("guests", Kind::Number), ("time", Kind::Clock)],
        requests: ["Book a table for {0} at {1}", "We are {0}, dinner at {1}", "A table at {1} for {0} guests"],
    },
    Tool {
        name: "play_song",
        parameters: &[("title", Kind::Song)],
        requests: ["Play {0}", "I want to hear {0}", "Put on {0} please"],
    },
    Tool {
        name: "translate",
        parameters: &[("word", Kind::Word), ("language", Kind::Language)],
        requests: ["Translate {0} to {1}", "What is {0} in {1}?", "How do I say {0} in {1}?"],
    },
    Tool {
        name: "add_event",
        parameters: &[("guest", Kind::Person), ("day", Kind::Day), ("time", Kind::Clock)],
        requests: ["Meet {0} on {1} at {2}", "Plan a meeting with {0}, {1} {2}", "At {2} on {1} I see {0}"],
    },
    Tool {
        name: "find_hotel",
        parameters: &[("city", Kind::City), ("nights", Kind::Number)],
        requests: ["Find a hotel in {0} for {1} nights", "I stay {1} nights in {0}", "Hotel, {0}, {1} nights"],
    },
];

pub(super) fn draw(rng: &mut Draw) -> Example {
    let tool = rng.pick(&TOOLS);
    let values: Vec<Value> = tool.parameters.iter().map(|&(_, kind)| value(rng, kind)).collect();
    let request = rng.pick(&tool.requests);
    let mut text = (*request).to_owned();
    for (i, value) in values.iter().enumerate() {
        let shown = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        text = text.replace(&format!("{{{i}}}"), &shown);
    }
    let mut offered = vec![tool];
    while offered.len() < 3 {
        let other = rng.pick(&TOOLS);
        if offered.iter().all(|seen| seen.name != other.name) {
            offered.push(other);
        }
    }
    rng.shuffle(&mut offered);
    let written: Vec<String> =
        tool.parameters.iter().zip(&values).map(|(&(name, _), value)| format!("\"{name}\": {value}")).collect();
    Example {
        slice: ["", "one argument", "two arguments", "three arguments"][values.len()],
        held_out: in_share(&text, 15),
        answer: format!("{{\"name\": \"{}\", \"arguments\": {{{}}}}}", tool.name, written.join(", ")),
        prompt: Prompt::Tools(offered.into_iter().map(schema).collect(), text),
        options: Vec::new(),
        follow_ups: Vec::new(),
    }
}

fn schema(tool: &Tool) -> Value {
    let properties: Map<String, Value> = tool
        .parameters
        .iter()
        .map(|&(name, kind)| {
            (name.to_owned(), json!({ "type": if matches!(kind, Kind::Number) { "integer" } else { "string" } }))
        })
        .collect();
    let required: Vec<&str> = tool.parameters.iter().map(|&(name, _)| name).collect();
    json!({ "type": "function", "function": { "name": tool.name, "parameters": { "type": "object", "properties": properties, "required": required } } })
}

fn value(rng: &mut Draw, kind: Kind) -> Value {
    const CITIES: [&str; 16] = [
        "Lisbon", "Oslo", "Cairo", "Lima", "Kyoto", "Quito", "Turin", "Ghent", "Cork", "Basel", "Perth", "Delhi", "Accra",
        "Tunis", "Hanoi", "Sofia",
    ];
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    const PEOPLE: [&str; 16] = [
        "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Iris", "Jonas", "Karla", "Leo", "Mona", "Nils",
        "Olga", "Paul",
    ];
    const FIRST: [&str; 10] = ["Blue", "Silent", "Golden", "Broken", "Summer", "Winter", "Distant", "Lonely", "Secret", "Wild"];
    const SECOND: [&str; 10] = ["River", "Heart", "Moon", "Road", "Garden", "Rain", "Fire", "Dance", "Night", "Bird"];
    const LANGUAGES: [&str; 6] = ["French", "German", "Spanish", "Italian", "Polish", "Dutch"];
    const WORDS: [&str; 16] = [
        "house", "bread", "water", "friend", "window", "apple", "street", "letter", "bridge", "candle", "forest", "mirror",
        "pencil", "shadow", "ticket", "winter",
    ];
    match kind {
        Kind::City => json!(rng.pick(&CITIES)),
        Kind::Day => json!(rng.pick(&DAYS)),
        Kind::Person => json!(rng.pick(&PEOPLE)),
        Kind::Song => json!(format!("{} {}", rng.pick(&FIRST), rng.pick(&SECOND))),
        Kind::Language => json!(rng.pick(&LANGUAGES)),
        Kind::Word => json!(rng.pick(&WORDS)),
        Kind::Number => json!(rng.between(2, 90)),
        Kind::Clock => json!(format!("{:02}:{:02}", rng.below(24), 5 * rng.below(12))),
    }
}
