//! Closed-book recall: 250 invented people with four facts each, asked in five ways.
//!
//! Four wordings of each fact are for training; the fifth, chosen by a hash, is asked in evaluation only.

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

/// The invented names, each of two syllable groups, all different.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    const HEADS: [&str; 16] =
        ["Ar", "Bel", "Cor", "Dav", "El", "Fen", "Gor", "Hal", "Ir", "Jov", "Kel", "Lor", "Mir", "Nor", "Tam", "Zan"];
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

pub fn draw(rng: &mut Draw) -> Example {
    let person = rng.pick(&NAMES).clone();
    let attribute = rng.pick(&ATTRIBUTES);
    let wording = rng.below(5) as usize;
    let right = fact(&person, attribute);
    let mut options: Vec<usize> = vec![right];
    while options.len() < 4 {
        let other = rng.below(attribute.values.len() as u32) as usize;
        if !options.contains(&other) {
            options.push(other);
        }
    }
    rng.shuffle(&mut options);
    Example {
        slice: attribute.slice,
        held_out: hash(&format!("{person}/{}/wording", attribute.slice)) % 5 == wording as u64,
        prompt: Prompt::Plain(attribute.wordings[wording].replace("{}", &person)),
        answer: format!(" {}", attribute.values[right]),
        options: options.into_iter().map(|value| format!(" {}", attribute.values[value])).collect(),
        follow_ups: Vec::new(),
    }
}
