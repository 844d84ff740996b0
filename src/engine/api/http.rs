//! One exchange over HTTP: sent once, received whole or piece by piece, and every fault told with its class.

mod files;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use super::super::{Failure, Headroom, RetryClass};
use super::key::Key;
use super::{dialect, exchange, fault, headroom, sigv4};
use crate::domain::{CauseKind, Dialect};

/// Most bytes of a response that is read whole.
const MOST: usize = 64 << 20;
/// Most bytes of an error's body that are looked at.
const MOST_WORDS: usize = 64 << 10;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Servers close connections that were idle for five seconds (uvicorn, cpp-httplib, Node.js): a request must not meet that.
const IDLE_PLAIN: Duration = Duration::from_secs(4);
/// Behind TLS a new connection costs more, and services keep theirs longer.
const IDLE_TLS: Duration = Duration::from_secs(50);

/// What a client is made for.
pub(super) struct Target {
    /// Scheme, host, port and path before the dialect's own.
    pub(super) base_url: String,
    /// The key; none where the service wants none.
    pub(super) key: Option<Key>,
    /// The plan's headers for every request.
    pub(super) headers: HeaderMap,
    /// Requests under way.
    pub(super) concurrency: usize,
    /// How long an exchange may take in all.
    pub(super) timeout: Duration,
    /// What its errors are written in.
    pub(super) dialect: Dialect,
    /// The region that signatures hold for.
    pub(super) region: Option<String>,
}

/// A service that cannot be spoken to at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Its address is none.
    #[error("`{address}` is no address of a service: {why}")]
    Address {
        /// As the plan writes it.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// There is no TLS on this machine.
    #[error("no client for HTTP can be made: {0}")]
    Client(String),
}

/// A client for one service. Nothing is asked twice and no redirect is followed, so that the key goes nowhere else.
pub(super) struct Http {
    client: Client,
    base: String,
    host: String,
    key: Option<Key>,
    headers: HeaderMap,
    idle: Duration,
    dialect: Dialect,
    region: String,
}

/// What is at a path, whatever the status.
pub(super) struct Seen {
    /// The status.
    pub(super) status: u16,
    /// The body, where it is JSON.
    pub(super) body: Option<Value>,
    /// The service's own words, where the status is none of success.
    pub(super) words: String,
    /// The response's headers by name, without the key.
    pub(super) headers: HeaderMap,
    /// The address that answered: a proxy's, where there is one in between.
    pub(super) address: Option<SocketAddr>,
    /// Who issued the certificate; none without TLS.
    pub(super) issuer: Option<String>,
}

/// A response with a status of 2xx, its body still to be read.
pub(super) struct Response<'a> {
    /// The headers.
    pub(super) headers: HeaderMap,
    /// What the service says is left of its limits.
    pub(super) headroom: Headroom,
    http: &'a Http,
    inner: reqwest::Response,
}

impl Http {
    /// Makes a client; nothing is sent. Proxies are those of the environment, and none for this machine itself.
    pub(super) fn new(target: Target) -> Result<Self, HttpError> {
        let base = target.base_url.trim_end_matches('/').to_owned();
        let no_address = |why: &str| HttpError::Address { address: base.clone(), why: why.to_owned() };
        let url = Url::parse(&base).map_err(|fault| no_address(&fault.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no_address("it begins with neither http:// nor https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpError::Address { address: "…".to_owned(), why: "a key has no place in it".to_owned() });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(no_address("it ends before the `?`"));
        }
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(no_address("it has no host")),
        };
        let client = client(&url, &target).map_err(|fault| HttpError::Client(fault.without_url().to_string()))?;
        let mut headers = target.headers;
        if let Some((name, value)) = target.key.as_ref().and_then(Key::header) {
            headers.insert(name, value.clone());
        }
        let idle = (target.timeout / 2).clamp(Duration::from_secs(5), Duration::from_mins(2)).min(target.timeout);
        let (dialect, region) = (target.dialect, target.region.unwrap_or_default());
        Ok(Self { client, base, host, key: target.key, headers, idle, dialect, region })
    }

    /// Host and port.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends a body of JSON to a path behind the base URL. A status other than 2xx is a failure.
    pub(super) async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Response<'_>, Failure> {
        let (url, mut all) = (self.url(path)?, self.headers(headers)?);
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.sign((&Method::POST, &url), &mut all, &body)?;
        self.send(self.client.post(url).headers(all).body(body)).await
    }

    /// Looks what is at a path behind the base URL; only an exchange that does not come about is a failure.
    pub(super) async fn look(&self, path: &str, headers: &[(&'static str, String)]) -> Result<Seen, Failure> {
        let request = self.reading(path, headers)?;
        let mut inner = request.send().await.map_err(|error| self.broken(&error))?;
        let headers = self.scrubbed(&std::mem::take(inner.headers_mut()));
        let (status, address) = (inner.status().as_u16(), inner.remote_addr());
        let issuer = inner.extensions().get::<reqwest::tls::TlsInfo>().and_then(|told| told.peer_certificate());
        let issuer = issuer.and_then(issuer_of);
        let (headroom, empty) = (Headroom::default(), HeaderMap::new());
        let body = Response { headers: empty, headroom, http: self, inner }.read(MOST).await?;
        let body = self.cleanse(body);
        let words = if status < 300 { String::new() } else { self.words(status, &body) };
        Ok(Seen { status, body: serde_json::from_slice(&body).ok(), words, headers, address, issuer })
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        Url::parse(&format!("{}{path}", self.base)).map_err(|_| unsendable(path))
    }

    /// The headers of every request, and more.
    fn headers(&self, more: &[(&'static str, String)]) -> Result<HeaderMap, Failure> {
        let mut headers = self.headers.clone();
        for (name, value) in more {
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| unsendable(name))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    /// A request without a body.
    fn reading(&self, path: &str, more: &[(&'static str, String)]) -> Result<RequestBuilder, Failure> {
        let (url, mut all) = (self.url(path)?, self.headers(more)?);
        self.sign((&Method::GET, &url), &mut all, &[])?;
        Ok(self.client.get(url).headers(all))
    }

    /// Adds a request's signature, where requests are signed.
    fn sign(&self, (method, url): (&Method, &Url), headers: &mut HeaderMap, body: &[u8]) -> Result<(), Failure> {
        let Some(credentials) = self.key.as_ref().and_then(Key::credentials) else { return Ok(()) };
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(|kind| ("content-type", kind));
        let signed: Vec<(&str, &str)> = kind.into_iter().collect();
        let unsigned = sigv4::Unsigned { method: method.as_str(), url: url.as_str(), headers: &signed, body };
        for (name, value) in sigv4::sign(credentials, &self.region, &unsigned, SystemTime::now())? {
            let mut value = HeaderValue::try_from(value).map_err(|_| unsendable(name))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }

    /// What a service says in the body of an error.
    fn words(&self, status: u16, body: &[u8]) -> String {
        self.scrub(&dialect::refusal(self.dialect, status, body))
    }

    /// Headers that do not quote the key.
    fn scrubbed(&self, headers: &HeaderMap) -> HeaderMap {
        let clean = |value: &HeaderValue| HeaderValue::try_from(self.scrub(value.to_str().ok()?)).ok();
        headers.iter().filter_map(|(name, value)| Some((name.clone(), clean(value)?))).collect()
    }

    /// Sends a request once.
    async fn send(&self, request: RequestBuilder) -> Result<Response<'_>, Failure> {
        let mut inner = request.send().await.map_err(|error| self.broken(&error))?;
        let headers = std::mem::take(inner.headers_mut());
        let told = headroom::read(&headers, SystemTime::now());
        let status = inner.status();
        let mut response = Response { headers, headroom: told.headroom, http: self, inner };
        if status.is_success() && status != StatusCode::NO_CONTENT {
            return Ok(response);
        }
        // What cannot be read of an error's body only makes its message shorter.
        let body = response.read(MOST_WORDS).await.unwrap_or_default();
        let words = self.words(status.as_u16(), &body);
        let failure = fault::of_status(status.as_u16(), &response.headers, &words, (&self.host, told));
        Err(self.clean(failure))
    }

    /// A failure in place of an error of the client's.
    fn broken(&self, error: &reqwest::Error) -> Failure {
        self.clean(fault::of_transport(error, &self.host))
    }

    /// Whether there is a key.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// A failure whose message does not quote the key.
    pub(super) fn clean(&self, failure: Failure) -> Failure {
        match &self.key {
            Some(key) => Failure { message: key.scrub(&failure.message).into_owned(), ..failure },
            None => failure,
        }
    }

    /// A text that does not quote the key.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.scrub(text).into_owned())
    }

    /// Bytes that do not quote the key.
    pub(super) fn cleanse(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.key {
            Some(key) => key.cleanse(bytes),
            None => bytes,
        }
    }
}

impl Response<'_> {
    /// A header as text, without the key.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(self.http.scrub(value))
    }

    /// The type of its body, without parameters.
    pub(super) fn kind(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next().map(str::trim)
    }

    /// The whole body as JSON.
    pub(super) async fn json(mut self) -> Result<Value, Failure> {
        let body = self.read(MOST).await?;
        if body.len() >= MOST {
            return Err(exchange::malformed(format!("it has more than {} MiB", MOST >> 20)));
        }
        let body = self.http.cleanse(body);
        serde_json::from_slice(&body).map_err(|fault| self.http.clean(fault::not_json(&body, self.kind(), &fault)))
    }

    /// The next bytes of the body as they come; none at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let Ok(chunk) = tokio::time::timeout(self.http.idle, self.inner.chunk()).await else {
            let what = format!("{} said nothing more for {} s", self.http.host, self.http.idle.as_secs());
            return Err(Failure::new(CauseKind::Timeout, RetryClass::Transient, what));
        };
        Ok(chunk.map_err(|error| self.http.broken(&error))?.map(Vec::from))
    }

    /// The body's first bytes, up to a number.
    async fn read(&mut self, most: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.inner.chunk().await.map_err(|error| self.http.broken(&error))? {
            let room = most - body.len();
            // A body that comes at once is taken over, not copied.
            if body.is_empty() && chunk.len() <= room {
                body = Vec::from(chunk);
            } else {
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            if body.len() >= most {
                break;
            }
        }
        Ok(body)
    }
}

/// What cannot be written as a request.
fn unsendable(what: &str) -> Failure {
    exchange::inexpressible(format!("`{what}` cannot be written into a request"))
}

/// Who issued a certificate in DER: organization and name, as the certificate has them.
fn issuer_of(der: &[u8]) -> Option<String> {
    use x509_cert::der::Decode;
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate.issuer.to_string()).filter(|issuer| !issuer.is_empty())
}

/// The client itself.
fn client(url: &Url, target: &Target) -> Result<Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    // Where the process has one already, that one serves as well.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let plain = url.scheme() == "http";
    let mut builder = Client::builder()
        .user_agent(concat!("quantgate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT.min(target.timeout))
        .timeout(target.timeout)
        .pool_max_idle_per_host(target.concurrency.max(1))
        .pool_idle_timeout(if plain { IDLE_PLAIN } else { IDLE_TLS })
        .tls_info(true);
    if is_this_machine(url) {
        builder = builder.no_proxy();
        if plain {
            // Nothing is encrypted on this way, so the machine's certificates need not be read.
            builder = builder.tls_certs_only([]);
        }
    }
    builder.build()
}

/// Whether an address is one of this machine's own.
pub(in crate::engine) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
