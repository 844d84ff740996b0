//! What a failed exchange means: its class, whether asking again could help, and a sentence without the key.

use std::error::Error;
use std::io;

use reqwest::header::HeaderMap;
use rustls::CertificateError;

use super::super::{Failure, RetryClass};
use super::bedrock;
use super::headroom::{Told, until_reset};
use crate::domain::CauseKind;

/// Most characters of a service's own words.
const WORDS: usize = 300;
/// Most characters of something that should have been JSON.
const GLIMPSE: usize = 80;

/// The failure that a response with another status than 2xx is. `words` are the service's own.
pub(super) fn of_status(status: u16, headers: &HeaderMap, words: &str, (host, told): (&str, Told)) -> Failure {
    let spent = no_credit(words);
    let (kind, class) = by_name(headers).unwrap_or_else(|| by_status(status, words, told.wait.is_some()));
    let class = match (headers.get("x-should-retry").and_then(|value| value.to_str().ok()), class) {
        (Some("false"), RetryClass::Transient | RetryClass::Busy) => RetryClass::No,
        (Some("true"), RetryClass::No) => RetryClass::Transient,
        (_, class) => class,
    };
    let words = shortened(words.trim(), WORDS);
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    let refused = if status == 400 && is_stranger(&words) { 401 } else { status };
    let hint = parserless(&words).or_else(|| hint(refused, spent, headers)).map_or_else(String::new, |hint| format!(" ({hint})"));
    let wait = match class {
        RetryClass::Busy => told.wait.or_else(|| until_reset(told.headroom)),
        RetryClass::Transient | RetryClass::Unreached | RetryClass::Barred | RetryClass::No => told.wait,
    };
    let message = format!("{host} answered with HTTP {status}{said}{hint}");
    Failure { wait, headroom: told.headroom, ..Failure::new(kind, class, message) }
}

/// The class of a fault that Amazon names in a header and that is not the request's own: its statuses (408, 424, 429 and 503 are each used for
/// several) say less than its names.
fn by_name(headers: &HeaderMap) -> Option<(CauseKind, RetryClass)> {
    let name = headers.get("x-amzn-errortype")?.to_str().ok()?;
    Some(bedrock::class(name)).filter(|(_, class)| *class != RetryClass::No)
}

/// The class of a status; `waits`: whether the service says how long to wait.
fn by_status(status: u16, words: &str, waits: bool) -> (CauseKind, RetryClass) {
    match status {
        400 | 403 | 429 if no_credit(words) => (CauseKind::Transport, RetryClass::Barred),
        429 | 529 => (CauseKind::Limited, RetryClass::Busy),
        503 if waits || is_full(words) => (CauseKind::Limited, RetryClass::Busy),
        408 | 504 => (CauseKind::Timeout, RetryClass::Transient),
        400 | 403 | 422 if is_filter(words) => (CauseKind::Filtered, RetryClass::No),
        400 if is_stranger(words) => (CauseKind::Transport, RetryClass::Barred),
        400 | 413 | 422 => (CauseKind::Refused, RetryClass::No),
        // Firewalls and some services forbid a single request by this status.
        403 => (CauseKind::Refused, RetryClass::Barred),
        404 if words.to_lowercase().contains("model") => (CauseKind::Refused, RetryClass::Barred),
        300..400 | 401 | 402 | 407 => (CauseKind::Transport, RetryClass::Barred),
        501 | 505 => (CauseKind::Transport, RetryClass::No),
        // 424: a gateway's own model failed, not the request.
        424 | 425 | 500.. => (CauseKind::Transport, RetryClass::Transient),
        _ => (CauseKind::Transport, RetryClass::No),
    }
}

/// Whether a bad request is one with a key that is not known: a LiteLLM proxy without a database looks for it there.
fn is_stranger(words: &str) -> bool {
    words.to_lowercase().contains("no connected db")
}

/// Whether a limit will not come back by waiting: there is no money left.
fn no_credit(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("insufficient_quota")
        || words.contains("exceeded your current quota")
        || words.contains("insufficient balance")
        || words.contains("credit balance is too low")
        || words.contains("billing_hard_limit_reached")
        || words.contains("billing hard limit")
}

/// Whether a service that is not available is one that has too much to do.
fn is_full(words: &str) -> bool {
    let words = words.to_lowercase();
    ["busy", "overload", "capacity", "too many", "queue", "pending requests", "throttl", "slow down"]
        .iter()
        .any(|word| words.contains(word))
}

/// Whether a request was refused by a filter of content.
fn is_filter(words: &str) -> bool {
    let words = words.to_lowercase();
    ["content_filter", "content management policy", "content filter", "moderation", "flagged"]
        .iter()
        .any(|word| words.contains(word))
}

/// What to do about a server that cannot read calls of tools out of an answer.
fn parserless(words: &str) -> Option<String> {
    let what = "start the server with a parser for the model's tool calls, or have it give the text: \
                extra = { tool_choice = \"none\" }";
    words.contains("tool-call-parser").then(|| what.to_owned())
}

/// What to do about a status.
fn hint(status: u16, spent: bool, headers: &HeaderMap) -> Option<String> {
    let fixed = match status {
        401 => "check that the key is right, and for this service",
        402 => "the account has no credit left",
        403 => "check that the key may use this model, and from here",
        404 => "check the model's name and the base URL",
        413 => "the request is larger than the service takes",
        400 | 429 if spent => "the account has no credit left",
        301..=308 => {
            let to = headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or("elsewhere");
            let to = to.split(['?', '#']).next().unwrap_or_default();
            return Some(format!("it points to {to}; no key is sent after a redirect: write that address as the base URL"));
        }
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// The failure that an exchange without a complete response is.
pub(super) fn of_transport(error: &reqwest::Error, host: &str) -> Failure {
    let class = if error.is_connect() { RetryClass::Unreached } else { RetryClass::Transient };
    if error.is_timeout() {
        let what = if error.is_connect() { "could not be reached in time" } else { "gave no complete answer in time" };
        let plain = if error.is_connect() && over_tls(error) { PLAIN } else { "" };
        return Failure::new(CauseKind::Timeout, class, format!("{host} {what}{plain}"));
    }
    let causes = causes(error);
    if let Some(fault) = certificate(error) {
        let what = format!(
            "the connection to {host} is not to be trusted: {fault} (where that is known and meant, the certificate of its issuer \
             belongs to those that this machine trusts, or into the file that SSL_CERT_FILE names)"
        );
        return Failure::new(CauseKind::Transport, RetryClass::Barred, what);
    }
    if error.is_body() || error.is_decode() {
        let what = format!("the response of {host} broke off: {causes}");
        return Failure::new(CauseKind::Transport, RetryClass::Transient, what);
    }
    let what = if error.is_connect() { "could not be reached" } else { "broke the connection off" };
    let plain = if over_tls(error) && causes.contains("corrupt message") { PLAIN } else { "" };
    Failure::new(CauseKind::Transport, class, format!("{host} {what}: {causes}{plain}"))
}

/// What to look at where a TLS connection does not come about.
const PLAIN: &str = " over https (does it speak plain http there?)";

/// Whether the address is one of TLS with a port of its own, as services have that one starts oneself.
fn over_tls(error: &reqwest::Error) -> bool {
    error.url().is_some_and(|url| url.scheme() == "https" && url.port().is_some())
}

/// What lies beneath an error, without the address that was asked.
fn causes(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut beneath = error.source();
    while let Some(cause) = beneath {
        let more = cause.to_string();
        if !parts.iter().any(|part| part.contains(&more)) {
            parts.push(more);
        }
        beneath = cause.source();
    }
    let last: Vec<String> = parts.into_iter().rev().take(2).collect();
    if last.is_empty() { "no more is known".to_owned() } else { last.into_iter().rev().collect::<Vec<_>>().join(": ") }
}

/// A fault of TLS that asking again does not mend.
fn certificate(error: &reqwest::Error) -> Option<String> {
    let mut beneath = error.source();
    while let Some(cause) = beneath {
        if let Some(rustls::Error::InvalidCertificate(fault)) = innermost(cause).downcast_ref() {
            return Some(untrusted(fault));
        }
        beneath = cause.source();
    }
    None
}

/// What an error of input and output was made of, however often it was wrapped: `source` passes that by.
fn innermost<'e>(mut cause: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        cause = inner;
    }
    cause
}

/// What is wrong with a certificate, in words.
fn untrusted(fault: &CertificateError) -> String {
    let debug = format!("{fault:?}");
    if debug.contains("CaUsedAsEndEntity") {
        return "its certificate is signed by itself".to_owned();
    }
    match fault {
        CertificateError::UnknownIssuer => "its certificate is signed by nobody that this machine trusts".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host".to_owned()
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

/// The failure of a body that is no JSON, of a response that is otherwise fine.
pub(super) fn not_json(body: &[u8], kind: Option<&str>, fault: &serde_json::Error) -> Failure {
    let text = String::from_utf8_lossy(body);
    let glimpse = shortened(text.trim(), GLIMPSE).replace(char::is_control, " ");
    let what = match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
        _ if glimpse.is_empty() => "its body is empty".to_owned(),
        Some(kind) if !kind.is_empty() && !kind.contains("json") => format!("it is {kind} and begins with: {glimpse}"),
        _ if fault.is_eof() => format!("its JSON is cut off after {} bytes: {glimpse}", body.len()),
        _ => format!("it is no JSON and begins with: {glimpse}"),
    };
    super::exchange::malformed(what)
}

/// The first characters of a text.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::Headroom;
    use super::*;

    fn failure(status: u16, lines: &[(&'static str, &str)], words: &str) -> Failure {
        let headers: HeaderMap =
            lines.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect();
        let told = super::super::headroom::read(&headers, std::time::SystemTime::UNIX_EPOCH);
        of_status(status, &headers, words, ("api.example", told))
    }

    #[test]
    fn statuses_have_the_classes_that_services_document() {
        use CauseKind::{Limited, Refused, Timeout, Transport};
        use RetryClass::{Barred, Busy, No, Transient};
        let expected = [
            (429, Limited, Busy),
            (529, Limited, Busy),
            (408, Timeout, Transient),
            (424, Transport, Transient),
            (425, Transport, Transient),
            (500, Transport, Transient),
            (502, Transport, Transient),
            (503, Transport, Transient),
            (504, Timeout, Transient),
            (520, Transport, Transient),
            (400, Refused, No),
            (401, Transport, Barred),
            (402, Transport, Barred),
            (403, Refused, Barred),
            (404, Transport, No),
            (409, Transport, No),
            (413, Refused, No),
            (422, Refused, No),
            (501, Transport, No),
            (307, Transport, Barred),
            (407, Transport, Barred),
        ];
        for (status, kind, class) in expected {
            let failure = failure(status, &[], "");
            assert_eq!((failure.kind, failure.retry), (kind, class), "{status}");
        }
    }

    // Errors of Converse with their statuses: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
    #[test]
    fn amazons_own_name_of_a_passing_fault_counts_more_than_its_status() {
        use CauseKind::{Limited, Timeout, Transport};
        let named = |status, name| {
            let failure = failure(status, &[("x-amzn-errortype", name)], "");
            (failure.kind, failure.retry)
        };
        assert_eq!(named(424, "ModelErrorException"), (Transport, RetryClass::Transient));
        assert_eq!(named(503, "ServiceUnavailableException:http://internal.amazon.com/"), (Transport, RetryClass::Busy));
        assert_eq!(named(408, "ModelTimeoutException"), (Timeout, RetryClass::Transient));
        assert_eq!(named(429, "ModelNotReadyException"), (Limited, RetryClass::Busy));
        assert_eq!(named(403, "AccessDeniedException"), (Transport, RetryClass::Barred));
        assert_eq!(
            named(400, "ValidationException"),
            (CauseKind::Refused, RetryClass::No),
            "one that stays is told by its status"
        );
    }

    #[test]
    fn a_service_that_is_full_is_busy_and_one_without_credit_is_not() {
        assert_eq!(failure(503, &[("retry-after", "2")], "").retry, RetryClass::Busy);
        // Ollama's words when its queue is full (server/sched.go, ErrMaxQueue).
        assert_eq!(
            failure(503, &[], "server busy, please try again.  maximum pending requests exceeded").retry,
            RetryClass::Busy
        );
        let spent = failure(429, &[], "You exceeded your current quota, please check your plan and billing details.");
        assert_eq!((spent.kind, spent.retry), (CauseKind::Transport, RetryClass::Barred));
        // Anthropic tells it as a request that is not valid.
        let stranger = failure(400, &[], "No connected db.");
        assert_eq!((stranger.kind, stranger.retry), (CauseKind::Transport, RetryClass::Barred));
        assert!(stranger.message.contains("check that the key is right"), "{}", stranger.message);
        let spent = failure(400, &[], "Your credit balance is too low to access the Anthropic API.");
        assert_eq!((spent.kind, spent.retry), (CauseKind::Transport, RetryClass::Barred));
        assert!(spent.message.contains("no credit left"), "{}", spent.message);
    }

    #[test]
    fn the_services_word_on_retrying_wins() {
        assert_eq!(failure(429, &[("x-should-retry", "false")], "").retry, RetryClass::No);
        assert_eq!(failure(409, &[("x-should-retry", "true")], "").retry, RetryClass::Transient);
        assert_eq!(failure(429, &[("x-should-retry", "true")], "").retry, RetryClass::Busy);
    }

    #[test]
    fn a_failure_carries_wait_headroom_words_and_a_hint() {
        let lines = [("retry-after-ms", "750"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")];
        let busy = failure(429, &lines, "Requests rate limit exceeded");
        assert_eq!(busy.wait, Some(Duration::from_millis(750)));
        assert_eq!(busy.headroom, Headroom { requests: Some((0.0, Duration::from_secs(9))), tokens: None });
        assert_eq!(busy.message, "api.example answered with HTTP 429: Requests rate limit exceeded");
        let reset = failure(429, &lines[1..], "");
        assert_eq!(reset.wait, Some(Duration::from_secs(9)), "a spent limit says when it is there again");
        let refused = failure(401, &[], "Unauthorized").message;
        assert_eq!(
            refused,
            "api.example answered with HTTP 401: Unauthorized (check that the key is right, and for this service)"
        );
        let moved = failure(308, &[("location", "https://new.example/v1?x=1")], "").message;
        assert!(moved.contains("https://new.example/v1;") && !moved.contains("x=1"), "{moved}");
    }
}
