//! Secrets have no place in configuration files; where one stands there all the same, nothing that is said repeats it.

/// Names of keys, headers and members that hold secrets, in lower case and without what joins their words.
const NAMES: [&str; 26] = [
    "key",
    "apikey",
    "xapikey",
    "xgoogapikey",
    "subscriptionkey",
    "ocpapimsubscriptionkey",
    "token",
    "apitoken",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "sessiontoken",
    "awssessiontoken",
    "xamzsecuritytoken",
    "secret",
    "clientsecret",
    "apisecret",
    "secretkey",
    "accesskey",
    "secretaccesskey",
    "awssecretaccesskey",
    "password",
    "passwd",
    "authorization",
    "proxyauthorization",
    "cookie",
];

/// How well-known secrets begin.
const BEGINNINGS: [&str; 16] = [
    "sk-",
    "sk_",
    "gsk_",
    "hf_",
    "ghp_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "nvapi-",
    "AIza",
    "ya29.",
    "AKIA",
    "ABSK",
    "eyJ",
    "xai-",
];

/// The fewest characters of such a secret, and of one that is told by its letters and digits alone.
const LEAST: (usize, usize) = (16, 24);

/// Words before a secret in a header.
const SCHEMES: [&str; 2] = ["Bearer ", "Basic "];

/// Whether a key, header or member of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.contains(&plain.as_str())
}

/// Whether a text holds what looks like a secret: by how it begins, or as letters mixed with digits that are no words.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut hidden = vec![false; text.len()];
    tokens(&text, &mut hidden);
    hidden.contains(&true)
}

/// The text with an asterisk in place of each character of a secret.
pub(super) fn masked(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut hidden = vec![false; text.len()];
    tokens(&text, &mut hidden);
    values(&text, &mut hidden);
    credentials(&text, &mut hidden);
    text.iter().zip(&hidden).map(|(&c, &hide)| if hide { '*' } else { c }).collect()
}

/// Hides what looks like a secret wherever it stands.
fn tokens(text: &[char], hidden: &mut [bool]) {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | '=' | '~');
    for start in 0..text.len() {
        let begins = start == 0 || !text[start - 1].is_ascii_alphanumeric();
        if !begins {
            continue;
        }
        let at = |word: &str| word.chars().enumerate().all(|(i, c)| text.get(start + i) == Some(&c));
        let run = |from: usize| text[from..].iter().take_while(|c| part(**c)).count();
        let known = BEGINNINGS.iter().any(|word| at(word)) && run(start) >= LEAST.0;
        if known {
            hidden[start..start + run(start)].fill(true);
        }
        if let Some(scheme) = SCHEMES.iter().find(|word| at(word)) {
            let from = start + scheme.len();
            hidden[from..from + run(from)].fill(true);
        }
        let letters = text[start..].iter().take_while(|c| c.is_ascii_alphanumeric()).count();
        let word = &text[start..start + letters];
        let digits = word.iter().filter(|c| c.is_ascii_digit()).count();
        if letters >= LEAST.1 && digits >= 2 && letters - digits >= 2 {
            hidden[start..start + run(start)].fill(true);
        }
    }
}

/// Hides the values of keys that hold secrets.
fn values(text: &[char], hidden: &mut [bool]) {
    for at in (0..text.len()).filter(|&at| matches!(text[at], '=' | ':')) {
        let before = text[..at].iter().rev().skip_while(|c| c.is_whitespace() || matches!(c, '"' | '\''));
        let mut name: Vec<char> = before.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).copied().collect();
        name.reverse();
        if !is_secret_name(&name.iter().collect::<String>()) {
            continue;
        }
        let blank = text[at + 1..].iter().take_while(|c| c.is_whitespace()).count();
        let from = at + 1 + blank;
        let quote = text.get(from).copied().filter(|c| matches!(c, '"' | '\''));
        let from = from + text[from..].iter().take_while(|c| Some(**c) == quote).count();
        let ends = |c: char| quote.map_or_else(|| c.is_whitespace() || matches!(c, ',' | '}' | '&' | '"'), |quote| c == quote);
        let length = text[from..].iter().take_while(|c| !ends(**c)).count();
        hidden[from..from + length].fill(true);
    }
}

/// Hides what stands before the host of an address.
fn credentials(text: &[char], hidden: &mut [bool]) {
    for at in 0..text.len().saturating_sub(2) {
        if text[at..at + 3] != [':', '/', '/'] {
            continue;
        }
        let from = at + 3;
        let authority = text[from..].iter().take_while(|c| !c.is_whitespace() && !matches!(c, '/' | '"' | '\''));
        if let Some(length) = authority.collect::<Vec<_>>().iter().rposition(|c| **c == '@') {
            hidden[from..from + length].fill(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand_and_nothing_else_is() {
        let same = [
            "model = \"mistral-large-2411-instruct-q4_k_m\"",
            "key_env = \"MISTRAL_API_KEY\"",
            "tokens_per_minute = 200000",
            "max_tokens = 64",
            "base_url = \"https://eu-west-1.example.com:8443/openai/v1\"",
            "tokenizer = \"models/a/tokenizer.json\"",
        ];
        for line in same {
            assert_eq!(masked(line), line);
        }
        let hidden = [
            ("api_key = \"short\"", "api_key = \"*****\""),
            ("headers = { Authorization = 'x y', a = 1 }", "headers = { Authorization = '***', a = 1 }"),
            ("\"x-api-key\" = \"q\" # mine", "\"x-api-key\" = \"*\" # mine"),
            ("api_key = bare, b = 2", "api_key = ****, b = 2"),
            ("key_env = \"sk-abcdefghijklm0\"", "key_env = \"*****************\""),
            ("a = \"Bearer q7\"", "a = \"Bearer **\""),
            ("x = \"0a1b2c3d4e5f6a7b8c9d0e1f\"", "x = \"************************\""),
            ("u = \"https://me:pw@host/v1\"", "u = \"https://*****@host/v1\""),
            ("u = \"https://host/v1?key=abc&b=c\"", "u = \"https://host/v1?key=***&b=c\""),
            ("token = \"\"\"", "token = \"\"\""),
        ];
        for (line, shown) in hidden {
            assert_eq!(masked(line), shown);
        }
    }
}
