//! Every way in which an exchange can end, against a server whose bytes are written out.

use secrecy::SecretString;

use super::super::loopback::{Act, Close, Loopback, Script};
use super::super::preset::KeyPlace;
use super::*;

const KEY: &str = "sk-recognisable-0123456789";

fn target(base_url: String, key: Option<Key>, timeout: Duration) -> Target {
    let (headers, dialect) = (HeaderMap::new(), Dialect::OpenaiChat);
    Target { base_url, key, headers, concurrency: 4, timeout, dialect, region: None }
}

fn http(base_url: String, timeout: Duration) -> Http {
    let key = Key::new(&SecretString::from(KEY), KeyPlace::Bearer).expect("it can be sent");
    Http::new(target(base_url, Some(key), timeout)).expect("a client can be made")
}

fn patient(server: &Loopback) -> Http {
    http(format!("{}/v1", server.url()), Duration::from_secs(30))
}

/// What a request to a server with one answer comes to.
async fn outcome(script: Script) -> Result<Value, Failure> {
    let server = Loopback::start(move |_| script.clone());
    let http = patient(&server);
    http.post("/chat", &[], b"{}".to_vec()).await?.json().await
}

async fn failure(script: Script) -> Failure {
    outcome(script).await.expect_err("it fails")
}

#[tokio::test]
async fn a_request_has_its_headers_and_body_and_connections_are_kept() {
    let server = Loopback::start(|_| Script::json(200, r#"{"ok":true}"#));
    let key = Key::new(&SecretString::from(KEY), KeyPlace::XApiKey).expect("it can be sent");
    let timeout = Duration::from_secs(30);
    let mut target = target(format!("{}/v1/", server.url()), Some(key), timeout);
    target.headers.insert("x-team", HeaderValue::from_static("a"));
    let http = Http::new(target).expect("a client can be made");
    for _ in 0..3 {
        let more = [("anthropic-version", "2023-06-01".to_owned())];
        let response = http.post("/messages?beta=1", &more, br#"{"a":1}"#.to_vec()).await.expect("an answer");
        assert_eq!(response.json().await.expect("JSON"), serde_json::json!({"ok": true}));
    }
    let log = server.log();
    assert_eq!(log.iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0, 0]);
    let request = &log[2];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/messages?beta=1"));
    assert_eq!(request.body, br#"{"a":1}"#);
    let expected = [
        ("x-api-key", KEY),
        ("x-team", "a"),
        ("anthropic-version", "2023-06-01"),
        ("content-type", "application/json"),
        ("accept-encoding", "gzip"),
    ];
    for (name, value) in expected {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn blank_lines_before_an_answer_are_no_fault() {
    // DeepSeek keeps a connection alive with empty lines while a request waits.
    let script = Script::stream("application/json", ["\n", "\n\n", "{\"a\":", "1}"]);
    assert_eq!(outcome(script).await, Ok(serde_json::json!({"a": 1})));
}

#[tokio::test]
async fn what_is_no_json_is_malformed_with_a_glimpse_of_it() {
    let page = format!("<html><body>Sign in to the network{}</body></html>", " please".repeat(40));
    let proxied = failure(Script::whole(200, &[("content-type", "text/html; charset=utf-8")], page)).await;
    assert_eq!((proxied.kind, proxied.retry), (CauseKind::Malformed, RetryClass::Transient));
    assert!(proxied.message.contains("it is text/html and begins with: <html><body>Sign in"), "{}", proxied.message);
    assert!(proxied.message.chars().count() < 200, "{}", proxied.message);
    let cut = failure(Script::json(200, r#"{"choices":[{"#)).await;
    assert_eq!(cut.kind, CauseKind::Malformed);
    assert!(cut.message.contains("cut off after 13 bytes"), "{}", cut.message);
    let empty = failure(Script::json(200, "")).await;
    assert!(empty.kind == CauseKind::Malformed && empty.message.contains("empty"), "{}", empty.message);
}

#[tokio::test]
async fn broken_connections_are_passing_faults() {
    let whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"a\":".to_vec();
    let scripts = [
        Script::silence(Close::Reset),
        Script::silence(Close::End),
        Script { acts: vec![Act::Send(whole.clone())], close: Close::End },
        Script { acts: vec![Act::Send(whole)], close: Close::Reset },
        Script { acts: vec![Act::Send(b"HTTP/1.1 200 OK\r\nconte".to_vec())], close: Close::End },
        Script { acts: vec![Act::Send(b"\x16\x03\x01 what is this\r\n\r\n".to_vec())], close: Close::End },
        Script::torn("application/json", ["{\"a\":", "1"], Close::End),
    ];
    for script in scripts {
        let failure = failure(script.clone()).await;
        assert_eq!((failure.kind, failure.retry), (CauseKind::Transport, RetryClass::Transient), "{script:?}: {failure}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_passing_fault() {
    let address = Loopback::start(|_| Script::silence(Close::End)).url();
    let failure = http(address, Duration::from_secs(30)).post("/models", &[], Vec::new()).await.err().expect("nobody is there");
    assert_eq!((failure.kind, failure.retry), (CauseKind::Transport, RetryClass::Unreached));
    assert!(failure.message.contains("could not be reached"), "{failure}");
}

#[tokio::test]
async fn silence_before_and_within_a_response_is_a_timeout() {
    let short = Duration::from_millis(40);
    let start = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    for script in
        [Script::silence(Close::Keep).then(Act::Hold), Script::silence(Close::Keep).then(Act::Send(start)).then(Act::Hold)]
    {
        let server = Loopback::start(move |_| script.clone());
        let http = http(server.url(), short);
        let outcome = match http.post("/", &[], Vec::new()).await {
            Ok(response) => response.json().await.map(drop),
            Err(failure) => Err(failure),
        };
        let failure = outcome.expect_err("it takes too long");
        assert_eq!((failure.kind, failure.retry), (CauseKind::Timeout, RetryClass::Transient), "{failure}");
    }
}

#[tokio::test]
async fn a_stalled_stream_ends_by_itself_before_the_whole_time_is_over() {
    let server = Loopback::start(|_| Script::torn("text/event-stream", ["data: 1\n\n"], Close::Keep).then(Act::Hold));
    let mut http = http(server.url(), Duration::from_mins(10));
    assert_eq!(http.idle, Duration::from_mins(2));
    http.idle = Duration::from_millis(20);
    let mut response = http.post("/", &[], Vec::new()).await.expect("it begins");
    assert_eq!(response.chunk().await, Ok(Some(b"data: 1\n\n".to_vec())));
    let failure = response.chunk().await.expect_err("it stalls");
    assert_eq!((failure.kind, failure.retry), (CauseKind::Timeout, RetryClass::Transient));
}

#[tokio::test]
async fn gzip_is_read_and_errors_carry_wait_and_headroom() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(br#"{"packed":1}"#).expect("memory takes it");
    let packed = encoder.finish().expect("memory takes it");
    let script = Script::json_with(200, &[("content-encoding", "gzip")], packed);
    assert_eq!(outcome(script).await, Ok(serde_json::json!({"packed": 1})));
    let headers = [("retry-after", "1.5"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "2s")];
    let failure = failure(Script::json_with(429, &headers, r#"{"message":"Requests rate limit exceeded"}"#)).await;
    assert_eq!((failure.kind, failure.retry), (CauseKind::Limited, RetryClass::Busy));
    assert_eq!(failure.wait, Some(Duration::from_millis(1500)));
    assert_eq!(failure.headroom.requests, Some((0.0, Duration::from_secs(2))));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Loopback::start(|_| Script::json(200, "{}"));
    let to = elsewhere.url();
    for status in [301, 302, 303, 307, 308] {
        let script = Script::whole(status, &[("location", to.as_str())], "");
        let failure = failure(script).await;
        assert_eq!(failure.retry, RetryClass::Barred);
        assert!(failure.message.contains(&to), "{failure}");
    }
    assert!(elsewhere.log().is_empty(), "the key went elsewhere");
}

#[tokio::test]
async fn the_key_is_in_no_failure_however_the_server_quotes_it() {
    let error = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}. Bearer {KEY}"}}}}"#);
    let page = format!("<html>{KEY} is not known</html>");
    let location = format!("https://other.example/{KEY}");
    let mut scripts: Vec<Script> =
        [400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504, 529].map(|status| Script::json(status, &error)).into();
    scripts.push(Script::whole(200, &[("content-type", "text/html")], page.clone()));
    scripts.push(Script::whole(500, &[("content-type", "text/html")], page));
    scripts.push(Script::json(200, format!("{{\"echo\":\"{KEY}")));
    scripts.push(Script::whole(401, &[], KEY));
    scripts.push(Script::whole(401, &[], &KEY[..20]));
    scripts.push(Script::whole(307, &[("location", location.as_str())], ""));
    scripts.push(Script::silence(Close::Reset));
    for script in scripts {
        let failure = failure(script.clone()).await;
        let shown = format!("{failure} {failure:?}");
        assert!(!shown.contains("recognisable") && !shown.contains("0123456789"), "{shown}");
    }
    let echoed = outcome(Script::json(200, format!(r#"{{"echo":"{KEY}"}}"#))).await;
    assert_eq!(echoed, Ok(serde_json::json!({"echo": "[key]"})));
}

#[test]
fn addresses_that_are_none_are_refused_and_keys_in_them_not_shown() {
    let of =
        |base_url: &str| Http::new(target(base_url.to_owned(), None, Duration::from_secs(1))).err().expect(base_url).to_string();
    for address in ["", "api.mistral.ai", "ftp://x", "http://", "https://x/v1?key=1"] {
        of(address);
    }
    let fault = of("https://user:sk-recognisable@x/v1");
    assert!(!fault.contains("recognisable"), "{fault}");
}
