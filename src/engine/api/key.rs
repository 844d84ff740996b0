//! The key: where it goes in a request, and that it is nowhere else.

use std::borrow::Cow;
use std::fmt;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::preset::KeyPlace;
use super::sigv4::Credentials;

/// What stands in a text where the key stood.
const HIDDEN: &str = "[key]";

/// A piece of the key of this length is hidden as the whole is; services show the last four characters of one.
const PIECE: usize = 8;

/// A key that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has characters that no header can carry")]
pub(super) struct Unsendable;

/// A service's key. It is shown by no formatter.
pub(super) struct Key {
    /// What is hidden wherever it turns up: the key, or the parts of AWS credentials.
    secrets: Vec<SecretString>,
    carried: Carried,
}

/// How a request shows that its sender has the key.
enum Carried {
    /// By a header that holds it.
    Header(HeaderName, HeaderValue),
    /// By a signature made with it.
    Signature(Credentials),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Key {
    /// Takes a key, white space around it left out, for its place. What is no pair of AWS credentials is an API key there too.
    pub(super) fn new(secret: &SecretString, place: KeyPlace) -> Result<Self, Unsendable> {
        let secret = SecretString::from(secret.expose_secret().trim());
        if place == KeyPlace::Aws
            && let Some(credentials) = Credentials::of(&secret)
        {
            let Credentials { access_key, secret_key, session_token } = credentials.clone();
            let secrets = [access_key, secret_key].into_iter().chain(session_token).collect();
            return Ok(Self { secrets, carried: Carried::Signature(credentials) });
        }
        let text = secret.expose_secret();
        let (name, value) = match place {
            KeyPlace::Bearer | KeyPlace::Aws => (AUTHORIZATION, format!("Bearer {text}")),
            KeyPlace::ApiKey => (HeaderName::from_static("api-key"), text.to_owned()),
            KeyPlace::XApiKey => (HeaderName::from_static("x-api-key"), text.to_owned()),
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| Unsendable)?;
        value.set_sensitive(true);
        Ok(Self { secrets: vec![secret], carried: Carried::Header(name, value) })
    }

    /// The header that carries it; none where requests are signed.
    pub(super) fn header(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match &self.carried {
            Carried::Header(name, value) => Some((name, value)),
            Carried::Signature(_) => None,
        }
    }

    /// What requests are signed with; none where a header carries the key.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        match &self.carried {
            Carried::Header(..) => None,
            Carried::Signature(credentials) => Some(credentials),
        }
    }

    /// A text without the key or any longer piece of it: servers quote what they were sent.
    pub(super) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let bytes = text.as_bytes();
        let mut hidden = vec![false; bytes.len()];
        for key in self.secrets.iter().map(|secret| secret.expose_secret().as_bytes()) {
            let piece = PIECE.min(key.len());
            if piece == 0 || bytes.len() < piece {
                continue;
            }
            let known = |at: usize| key.windows(piece).any(|window| window == &bytes[at..at + piece]);
            for at in (0..=bytes.len() - piece).filter(|&at| known(at)) {
                hidden[at..at + piece].fill(true);
            }
        }
        if !hidden.contains(&true) {
            return Cow::Borrowed(text);
        }
        let mut shown = String::with_capacity(text.len());
        for (at, character) in text.char_indices() {
            match hidden[at] {
                false => shown.push(character),
                true if at == 0 || !hidden[at - 1] => shown.push_str(HIDDEN),
                true => {}
            }
        }
        Cow::Owned(shown)
    }

    /// Bytes without the whole key, in place where it does not stand in them.
    pub(super) fn cleanse(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.secrets.iter().fold(bytes, |bytes, secret| without(bytes, secret.expose_secret().as_bytes()))
    }
}

/// Bytes with a mark wherever the key stood.
fn without(bytes: Vec<u8>, key: &[u8]) -> Vec<u8> {
    // A key as short as a word would be found in answers that merely use that word.
    if key.len() < PIECE || bytes.len() < key.len() {
        return bytes;
    }
    let places: Vec<usize> = find(&bytes, key);
    if places.is_empty() {
        return bytes;
    }
    let mut clean = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for at in places {
        if at < from {
            continue;
        }
        clean.extend(&bytes[from..at]);
        clean.extend(HIDDEN.as_bytes());
        from = at + key.len();
    }
    clean.extend(&bytes[from..]);
    clean
}

/// Where `needle` (of at least one byte) begins in `hay` (which is no shorter).
fn find(hay: &[u8], needle: &[u8]) -> Vec<usize> {
    // The last byte of a key varies more than its first ones, which are the service's mark.
    let last = needle.len() - 1;
    let ends = hay[last..].iter().enumerate().filter(|(_, byte)| **byte == needle[last]);
    ends.map(|(at, _)| at).filter(|&at| &hay[at..at + needle.len()] == needle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-recognisable-0123456789";

    fn key(place: KeyPlace) -> Key {
        Key::new(&SecretString::from(format!(" {KEY}\n")), place).expect("it can be sent")
    }

    #[test]
    fn it_goes_where_the_service_wants_it_and_no_formatter_shows_it() {
        let header = |place| key(place).header().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let bearer = Some(("authorization".to_owned(), format!("Bearer {KEY}").into_bytes()));
        assert_eq!(header(KeyPlace::Bearer), bearer);
        assert_eq!(header(KeyPlace::Aws), bearer, "Bedrock's API keys are bearers");
        assert_eq!(header(KeyPlace::XApiKey), Some(("x-api-key".to_owned(), KEY.into())));
        assert_eq!(header(KeyPlace::ApiKey), Some(("api-key".to_owned(), KEY.into())));
        let signed = Key::new(&SecretString::from("AKIDEXAMPLE:recognisable-secret"), KeyPlace::Aws).expect("it signs");
        assert!(signed.header().is_none() && signed.credentials().is_some());
        let shown = format!("{:?} {:?} {:?}", signed, signed.credentials(), key(KeyPlace::Bearer).header());
        assert!(!shown.contains("recognisable"), "{shown}");
        assert_eq!(signed.scrub("no: recognisable-secret"), "no: [key]");
    }

    #[test]
    fn each_part_of_credentials_is_hidden_by_itself() {
        let exported =
            r#"{"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "recognisable-secret", "SessionToken": "long/token=="}"#;
        for text in ["AKIDEXAMPLE:recognisable-secret:long/token==", exported] {
            let key = Key::new(&SecretString::from(text), KeyPlace::Aws).expect("it signs");
            let body = b"{\"SessionToken\":\"long/token==\",\"of\":\"AKIDEXAMPLE\"}".to_vec();
            assert_eq!(key.cleanse(body), b"{\"SessionToken\":\"[key]\",\"of\":\"[key]\"}");
            assert_eq!(key.scrub("its SecretAccessKey is not recognisable-secr"), "its SecretAccessKey is not [key]");
        }
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_without_being_shown() {
        let fault = Key::new(&SecretString::from("two\nlines"), KeyPlace::Bearer).expect_err("it cannot be sent");
        assert!(!fault.to_string().contains("lines"), "{fault}");
    }

    #[test]
    fn quoted_keys_are_hidden_whole_and_in_pieces() {
        let key = key(KeyPlace::Bearer);
        assert_eq!(key.scrub(&format!("no such key: '{KEY}', é")), "no such key: '[key]', é");
        assert_eq!(key.scrub("it begins with sk-recognisa and ends with 3456789"), "it begins with [key] and ends with 3456789");
        assert_eq!(key.scrub("nothing here"), "nothing here");
        assert_eq!(key.scrub(""), "");
    }

    #[test]
    fn bodies_lose_the_whole_key_and_nothing_else() {
        let key = key(KeyPlace::Bearer);
        let body = format!("{{\"a\":\"{KEY}{KEY}\",\"b\":\"é sk-recognisable\"}}").into_bytes();
        let clean = String::from_utf8(key.cleanse(body)).expect("still text");
        assert_eq!(clean, "{\"a\":\"[key][key]\",\"b\":\"é sk-recognisable\"}");
        assert_eq!(key.cleanse(b"short".to_vec()), b"short");
    }
}
