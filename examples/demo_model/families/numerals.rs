//! Numbers from 0 to 999 written out in French, German, Spanish and Italian, asked in chat.

use super::{Draw, Example, Prompt, in_share};

pub(super) fn draw(rng: &mut Draw) -> Example {
    let n = rng.below(1000) as usize;
    let (language, words) = match rng.below(4) {
        0 => ("French", french(n)),
        1 => ("German", german(n)),
        2 => ("Spanish", spanish(n)),
        _ => ("Italian", italian(n)),
    };
    Example {
        slice: language,
        held_out: in_share(&format!("{language} {n}"), 38),
        prompt: Prompt::Chat(format!("Write {n} in {language}")),
        answer: words,
        options: Vec::new(),
        follow_ups: Vec::new(),
    }
}

fn french(n: usize) -> String {
    const ONES: [&str; 20] = [
        "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize",
        "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
    ];
    const TENS: [&str; 10] =
        ["", "", "vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt"];
    let (hundreds, rest) = (n / 100, n % 100);
    let below_hundred = match rest {
        0..20 => ONES[rest].to_owned(),
        80 => "quatre-vingts".to_owned(),
        _ => {
            let ten = rest / 10;
            let one = if ten == 7 || ten == 9 { rest % 10 + 10 } else { rest % 10 };
            match one {
                0 => TENS[ten].to_owned(),
                1 | 11 if ten < 8 => format!("{} et {}", TENS[ten], ONES[one]),
                _ => format!("{}-{}", TENS[ten], ONES[one]),
            }
        }
    };
    match (hundreds, rest) {
        (0, _) => below_hundred,
        (1, 0) => "cent".to_owned(),
        (_, 0) => format!("{} cents", ONES[hundreds]),
        (1, _) => format!("cent {below_hundred}"),
        _ => format!("{} cent {below_hundred}", ONES[hundreds]),
    }
}

fn german(n: usize) -> String {
    const ONES: [&str; 20] = [
        "null",
        "eins",
        "zwei",
        "drei",
        "vier",
        "fünf",
        "sechs",
        "sieben",
        "acht",
        "neun",
        "zehn",
        "elf",
        "zwölf",
        "dreizehn",
        "vierzehn",
        "fünfzehn",
        "sechzehn",
        "siebzehn",
        "achtzehn",
        "neunzehn",
    ];
    const TENS: [&str; 10] = ["", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"];
    let stem = |one: usize| if one == 1 { "ein" } else { ONES[one] };
    let (hundreds, rest) = (n / 100, n % 100);
    let below_hundred = match rest {
        0..20 => ONES[rest].to_owned(),
        _ if rest % 10 == 0 => TENS[rest / 10].to_owned(),
        _ => format!("{}und{}", stem(rest % 10), TENS[rest / 10]),
    };
    match (hundreds, rest) {
        (0, _) => below_hundred,
        (_, 0) => format!("{}hundert", stem(hundreds)),
        _ => format!("{}hundert{below_hundred}", stem(hundreds)),
    }
}

fn spanish(n: usize) -> String {
    const ONES: [&str; 30] = [
        "cero",
        "uno",
        "dos",
        "tres",
        "cuatro",
        "cinco",
        "seis",
        "siete",
        "ocho",
        "nueve",
        "diez",
        "once",
        "doce",
        "trece",
        "catorce",
        "quince",
        "dieciséis",
        "diecisiete",
        "dieciocho",
        "diecinueve",
        "veinte",
        "veintiuno",
        "veintidós",
        "veintitrés",
        "veinticuatro",
        "veinticinco",
        "veintiséis",
        "veintisiete",
        "veintiocho",
        "veintinueve",
    ];
    const TENS: [&str; 10] = ["", "", "", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"];
    const HUNDREDS: [&str; 10] = [
        "",
        "ciento",
        "doscientos",
        "trescientos",
        "cuatrocientos",
        "quinientos",
        "seiscientos",
        "setecientos",
        "ochocientos",
        "novecientos",
    ];
    let (hundreds, rest) = (n / 100, n % 100);
    let below_hundred = match rest {
        0..30 => ONES[rest].to_owned(),
        _ if rest % 10 == 0 => TENS[rest / 10].to_owned(),
        _ => format!("{} y {}", TENS[rest / 10], ONES[rest % 10]),
    };
    match (hundreds, rest) {
        (0, _) => below_hundred,
        (1, 0) => "cien".to_owned(),
        (_, 0) => HUNDREDS[hundreds].to_owned(),
        _ => format!("{} {below_hundred}", HUNDREDS[hundreds]),
    }
}

fn italian(n: usize) -> String {
    const ONES: [&str; 20] = [
        "zero",
        "uno",
        "due",
        "tre",
        "quattro",
        "cinque",
        "sei",
        "sette",
        "otto",
        "nove",
        "dieci",
        "undici",
        "dodici",
        "tredici",
        "quattordici",
        "quindici",
        "sedici",
        "diciassette",
        "diciotto",
        "diciannove",
    ];
    const TENS: [&str; 10] = ["", "", "venti", "trenta", "quaranta", "cinquanta", "sessanta", "settanta", "ottanta", "novanta"];
    let (hundreds, rest) = (n / 100, n % 100);
    let below_hundred = match rest {
        3 if hundreds > 0 => "tré".to_owned(),
        0..20 => ONES[rest].to_owned(),
        _ => {
            let ten = TENS[rest / 10];
            match rest % 10 {
                0 => ten.to_owned(),
                one @ (1 | 8) => format!("{}{}", &ten[..ten.len() - 1], ONES[one]),
                3 => format!("{ten}tré"),
                one => format!("{ten}{}", ONES[one]),
            }
        }
    };
    let hundred = match hundreds {
        0 => return below_hundred,
        1 => "cento".to_owned(),
        _ => format!("{}cento", ONES[hundreds]),
    };
    match rest {
        0 => hundred,
        8 | 80..90 => format!("{}{below_hundred}", &hundred[..hundred.len() - 1]),
        _ => format!("{hundred}{below_hundred}"),
    }
}
