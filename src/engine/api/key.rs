//! The key: where it goes in a request, and that it is nowhere else.

use std::borrow::Cow;
use std::fmt;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// What stands in a text where the key stood.
const HIDDEN: &str = "[key]";

/// A piece of the key of this length is hidden as the whole is; services show the last four characters of one.
const PIECE: usize = 8;

/// Where a service wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own.
    Header(&'static str),
    /// In no header: requests are signed with it.
    Signed,
}

/// A key that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has characters that no header can carry")]
pub(super) struct Unsendable;

/// A service's key. It is shown by no formatter.
pub(super) struct Key {
    secret: SecretString,
    header: Option<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Key {
    /// Takes a key, white space around it left out, for its place.
    pub(super) fn new(secret: &SecretString, placed: Placed) -> Result<Self, Unsendable> {
        let text = secret.expose_secret().trim();
        let header = match placed {
            Placed::Bearer => Some((AUTHORIZATION, format!("Bearer {text}"))),
            Placed::Header(name) => Some((HeaderName::from_static(name), text.to_owned())),
            Placed::Signed => None,
        };
        let header = header.map(|(name, value)| {
            let mut value = HeaderValue::try_from(value).map_err(|_| Unsendable)?;
            value.set_sensitive(true);
            Ok((name, value))
        });
        Ok(Self { secret: SecretString::from(text), header: header.transpose()? })
    }

    /// The header that carries it; none where requests are signed.
    pub(super) fn header(&self) -> Option<&(HeaderName, HeaderValue)> {
        self.header.as_ref()
    }

    /// The key itself, to sign with.
    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// A text without the key or any longer piece of it: servers quote what they were sent.
    pub(super) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let key = self.secret.expose_secret().as_bytes();
        let piece = PIECE.min(key.len());
        if piece == 0 || text.len() < piece {
            return Cow::Borrowed(text);
        }
        let bytes = text.as_bytes();
        let known = |at: usize| key.windows(piece).any(|window| window == &bytes[at..at + piece]);
        let mut hidden = vec![false; bytes.len()];
        for at in (0..=bytes.len() - piece).filter(|&at| known(at)) {
            hidden[at..at + piece].fill(true);
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
        let key = self.secret.expose_secret().as_bytes();
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
        for at in places.into_iter() {
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

    fn key(placed: Placed) -> Key {
        Key::new(&SecretString::from(format!(" {KEY}\n")), placed).expect("it can be sent")
    }

    #[test]
    fn it_goes_where_the_service_wants_it_and_no_formatter_shows_it() {
        let header = |placed| key(placed).header().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        assert_eq!(header(Placed::Bearer), Some(("authorization".to_owned(), format!("Bearer {KEY}").into_bytes())));
        assert_eq!(header(Placed::Header("x-api-key")), Some(("x-api-key".to_owned(), KEY.into())));
        assert_eq!(header(Placed::Signed), None);
        let shown = format!("{:?} {:?}", key(Placed::Bearer), key(Placed::Bearer).header());
        assert!(!shown.contains("recognisable"), "{shown}");
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_without_being_shown() {
        let fault = Key::new(&SecretString::from("two\nlines"), Placed::Bearer).expect_err("it cannot be sent");
        assert!(!fault.to_string().contains("lines"), "{fault}");
    }

    #[test]
    fn quoted_keys_are_hidden_whole_and_in_pieces() {
        let key = key(Placed::Bearer);
        assert_eq!(key.scrub(&format!("no such key: '{KEY}', é")), "no such key: '[key]', é");
        assert_eq!(key.scrub("it begins with sk-recognisa and ends with 3456789"), "it begins with [key] and ends with 3456789");
        assert_eq!(key.scrub("nothing here"), "nothing here");
        assert_eq!(key.scrub(""), "");
    }

    #[test]
    fn bodies_lose_the_whole_key_and_nothing_else() {
        let key = key(Placed::Bearer);
        let body = format!("{{\"a\":\"{KEY}{KEY}\",\"b\":\"é sk-recognisable\"}}").into_bytes();
        let clean = String::from_utf8(key.cleanse(body)).expect("still text");
        assert_eq!(clean, "{\"a\":\"[key][key]\",\"b\":\"é sk-recognisable\"}");
        assert_eq!(key.cleanse(b"short".to_vec()), b"short");
    }
}
