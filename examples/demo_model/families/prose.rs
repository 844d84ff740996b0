//! Short plain prose: small scenes in which people carry, give, lose and find things.

use super::{Draw, Example, Prompt, in_share};

struct Person {
    name: &'static str,
    pronoun: &'static str,
    possessive: &'static str,
}

const PEOPLE: [Person; 10] = [
    Person { name: "Anna", pronoun: "She", possessive: "her" },
    Person { name: "Ben", pronoun: "He", possessive: "his" },
    Person { name: "Clara", pronoun: "She", possessive: "her" },
    Person { name: "David", pronoun: "He", possessive: "his" },
    Person { name: "Emma", pronoun: "She", possessive: "her" },
    Person { name: "Felix", pronoun: "He", possessive: "his" },
    Person { name: "Greta", pronoun: "She", possessive: "her" },
    Person { name: "Hugo", pronoun: "He", possessive: "his" },
    Person { name: "Iris", pronoun: "She", possessive: "her" },
    Person { name: "Jonas", pronoun: "He", possessive: "his" },
];
const THINGS: [&str; 16] = [
    "lamp", "letter", "basket", "violin", "map", "kettle", "scarf", "ladder", "clock", "mirror", "blanket", "coin", "hammer",
    "book", "bottle", "key",
];
const ADJECTIVES: [&str; 12] =
    ["old", "small", "heavy", "red", "blue", "broken", "new", "strange", "green", "pretty", "dusty", "golden"];
const PLACES: [&str; 12] = [
    "in the garden",
    "at the market",
    "near the river",
    "behind the house",
    "in the kitchen",
    "under the bridge",
    "at the station",
    "by the old mill",
    "on the hill",
    "in the library",
    "at the harbour",
    "next to the church",
];
const WEATHER: [&str; 8] = [
    "It was a cold morning.",
    "The sun was low.",
    "Rain fell all day.",
    "The wind came from the sea.",
    "Snow lay on the roofs.",
    "It was late in the evening.",
    "The sky was clear.",
    "Fog hid the hills.",
];
const MOODS: [&str; 8] = ["happy", "tired", "proud", "curious", "worried", "calm", "surprised", "hungry"];

pub(super) fn draw(rng: &mut Draw) -> Example {
    let text = scene(rng);
    Example {
        slice: "scene",
        held_out: in_share(&text, 10),
        prompt: Prompt::Document,
        answer: text,
        options: Vec::new(),
        follow_ups: Vec::new(),
    }
}

fn scene(rng: &mut Draw) -> String {
    let first = rng.pick(&PEOPLE);
    let second = loop {
        let other = rng.pick(&PEOPLE);
        if other.name != first.name {
            break other;
        }
    };
    let (adjective, thing) = (rng.pick(&ADJECTIVES), rng.pick(&THINGS));
    let mut text =
        format!("{} {} found {} {adjective} {thing} {}.", rng.pick(&WEATHER), first.name, article(adjective), rng.pick(&PLACES));
    let mut owner = first;
    for _ in 0..rng.between(2, 5) {
        let next = if owner.name == first.name { second } else { first };
        let (sentence, changes_hands) = match rng.below(5) {
            0 => (format!("{} gave the {thing} to {}, who was {}.", owner.name, next.name, rng.pick(&MOODS)), true),
            1 => (format!("{} put the {adjective} {thing} in {} bag and walked on.", owner.pronoun, owner.possessive), false),
            2 => (format!("\"Is this your {thing}?\" asked {}. {} was {}.", next.name, owner.name, rng.pick(&MOODS)), false),
            3 => (format!("Then {} lost it {}, and {} picked it up.", owner.name, rng.pick(&PLACES), next.name), true),
            _ => (format!("{} showed the {thing} to {} {}.", owner.pronoun, next.name, rng.pick(&PLACES)), false),
        };
        text.push(' ');
        text.push_str(&sentence);
        if changes_hands {
            owner = next;
        }
    }
    format!("{text} In the end the {thing} stayed with {}.", owner.name)
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
