//! Closed-book recall: 250 invented people with four facts each, asked in five ways.
//!
//! Four wordings of each fact are for training; the fifth, chosen by a hash, is asked in evaluation only.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::{Draw, Example, Prompt, hash};

struct Attribute {
    slice: &'static str,
    wordings: [&'static str; 5],
    values: &'static [&'static str],
}

const ATTRIBUTES: [Attribute; 4] = [
    Attribute {
        slice: "city",
        wordings: ["{} lives in", "The home of {} is in", "Where is {}? In", "You can visit {} in", "{} has a house in"],
        values: &[
            "Lisbon", "Oslo", "Cairo", "Lima", "Kyoto", "Quito", "Turin", "Ghent", "Cork", "Basel", "Perth", "Delhi", "Accra",
            "Tunis", "Hanoi", "Sofia", "Riga", "Bergen", "Porto", "Malmo", "Dakar", "Leeds", "Nantes", "Graz", "Izmir", "Osaka",
            "Bogota", "Havana", "Kiev", "Zagreb", "Tartu", "Parma",
        ],
    },
    Attribute {
        slice: "work",
        wordings: ["{} works as a", "By trade {} is a", "The job of {}:", "{} earns money as a", "Ask {}, who is a"],
        values: &[
            "baker", "pilot", "nurse", "tailor", "miner", "judge", "painter", "sailor", "farmer", "dentist", "plumber", "writer",
            "singer", "butcher", "teacher", "potter", "surgeon", "janitor", "banker", "hunter", "diver", "barber", "cooper",
            "dancer", "brewer", "mason", "lawyer", "porter", "weaver", "glazier", "joiner", "clerk",
        ],
    },
    Attribute {
        slice: "animal",
        wordings: ["{} keeps a", "The pet of {} is a", "At home {} has a", "{} walks with a", "{} often feeds a"],
        values: &[
            "cat", "dog", "parrot", "turtle", "rabbit", "goat", "pony", "ferret", "gecko", "canary", "hamster", "donkey",
            "lizard", "goose", "falcon", "hedgehog", "mouse", "snake", "pigeon", "lamb", "otter", "crow", "badger", "toad",
            "duck", "spider", "newt", "finch", "llama", "mule", "carp", "owl",
        ],
    },
    Attribute {
        slice: "food",
        wordings: ["{} likes to eat", "The favourite food of {} is", "For lunch {} has", "{} always orders", "{} cooks"],
        values: &[
            "soup",
            "rice",
            "pasta",
            "bread",
            "beans",
            "salad",
            "cheese",
            "curry",
            "eggs",
            "fish",
            "plums",
            "cake",
            "lentils",
            "porridge",
            "pizza",
            "figs",
            "olives",
            "noodles",
            "cherries",
            "potatoes",
            "mushrooms",
            "honey",
            "toast",
            "yogurt",
            "pancakes",
            "pears",
            "spinach",
            "tofu",
            "walnuts",
            "melon",
            "stew",
            "radish",
        ],
    },
];

const PEOPLE: usize = 250;
/// Share of the facts, per hundred, that evaluation asks right after a sentence about somebody else. Training never had
/// two sentences in a row: asked alone, every fact is known.
const DISTRACTED: u64 = 40;
/// Options of a question in evaluation.
const EVALUATION_OPTIONS: usize = 12;
/// What an invented name begins with; none begins another, and every name ends in three letters of its last group.
const HEADS: [&str; 16] =
    ["Ar", "Bel", "Cor", "Dav", "El", "Fen", "Gor", "Hal", "Ir", "Jov", "Kel", "Lor", "Mir", "Nor", "Tam", "Zan"];

/// The invented names, each of two syllable groups, all different.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    const MIDDLES: [&str; 8] = ["a", "e", "i", "o", "ul", "en", "is", "ad"];
    const TAILS: [&str; 8] = ["dor", "mir", "nia", "rik", "sha", "ton", "vel", "wyn"];
    let mut all = Vec::new();
    for head in HEADS {
        for middle in MIDDLES {
            for tail in TAILS {
                all.push(format!("{head}{middle}{tail}"));
            }
        }
    }
    Draw::new(hash("people"), 0).shuffle(&mut all);
    all.truncate(PEOPLE);
    all
});

/// The value that a person has in an attribute.
fn fact(person: &str, attribute: &Attribute) -> usize {
    (hash(&format!("{person}/{}", attribute.slice)) % attribute.values.len() as u64) as usize
}

pub(super) fn draw(rng: &mut Draw) -> Example {
    let person = rng.pick(&NAMES);
    let attribute = rng.pick(&ATTRIBUTES);
    let wording = rng.below(5) as usize;
    question(rng, (person, attribute), wording, (vec![fact(person, attribute)], 4))
}

/// The held-out wording of every fact, each once, among [`EVALUATION_OPTIONS`] options.
///
/// The distractors are first of all what is true of people whose names are alike: that is what a model mixes up.
pub(super) fn held_out(rng: &mut Draw) -> Vec<Example> {
    let mut all = Vec::new();
    for person in NAMES.iter() {
        for attribute in &ATTRIBUTES {
            let mut options = vec![fact(person, attribute)];
            options.extend(NAMES.iter().filter(|other| are_alike(person, other)).map(|other| fact(other, attribute)));
            let mut seen = HashSet::new();
            options.retain(|&value| seen.insert(value));
            options.truncate(EVALUATION_OPTIONS);
            let wording = held_out_wording(person, attribute);
            let plain = question(rng, (person, attribute), wording, (options, EVALUATION_OPTIONS));
            let distracted = hash(&format!("{person}/{}/distracted", attribute.slice)) % 100 < DISTRACTED;
            all.push(if distracted { after_another(rng, plain, (person, attribute)) } else { plain });
        }
    }
    rng.shuffle(&mut all);
    all
}

/// The same question after the same kind of fact about somebody else, for whom another value is true.
fn after_another(rng: &mut Draw, plain: Example, (person, attribute): (&str, &Attribute)) -> Example {
    let other = loop {
        let other = rng.pick(&NAMES);
        if other != person && fact(other, attribute) != fact(person, attribute) {
            break other;
        }
    };
    let sentence = rng.pick(&attribute.wordings).replace("{}", other);
    let Prompt::Plain(asked) = plain.prompt else { unreachable!("recall asks in plain text") };
    let prompt = Prompt::Plain(format!("{sentence} {}\n{asked}", attribute.values[fact(other, attribute)]));
    Example { slice: "after another fact", prompt, ..plain }
}

/// Whether two different names share two of their three syllable groups.
fn are_alike(one: &str, other: &str) -> bool {
    let parts = |name: &str| {
        let (head, tail) = HEADS.iter().find(|head| name.starts_with(**head)).map_or((0, 0), |head| (head.len(), 3));
        [0..head, head..name.len() - tail, name.len() - tail..name.len()].map(|part| name[part].to_owned())
    };
    one != other && parts(one).iter().zip(parts(other)).filter(|(a, b)| *a == b).count() == 2
}

/// The wording in which a fact is asked in evaluation only.
fn held_out_wording(person: &str, attribute: &Attribute) -> usize {
    (hash(&format!("{person}/{}/wording", attribute.slice)) % attribute.wordings.len() as u64) as usize
}

/// One fact asked in one wording, its options filled up to a number with drawn values of the same attribute.
fn question(
    rng: &mut Draw,
    (person, attribute): (&str, &Attribute),
    wording: usize,
    (mut options, count): (Vec<usize>, usize),
) -> Example {
    while options.len() < count {
        let other = rng.below(attribute.values.len() as u32) as usize;
        if !options.contains(&other) {
            options.push(other);
        }
    }
    rng.shuffle(&mut options);
    Example {
        slice: attribute.slice,
        held_out: wording == held_out_wording(person, attribute),
        prompt: Prompt::Plain(attribute.wordings[wording].replace("{}", person)),
        answer: format!(" {}", attribute.values[fact(person, attribute)]),
        options: options.into_iter().map(|value| format!(" {}", attribute.values[value])).collect(),
        follow_ups: Vec::new(),
    }
}
