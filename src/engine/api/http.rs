//! One exchange over HTTP: sent once, received whole or piece by piece, and every fault told with its class.

mod files;
#[cfg(test)]
mod tests;

use std::sync::Once;
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use super::super::{Failure, Headroom, RetryClass};
use super::key::Key;
use super::{exchange, fault, headroom};
use crate::domain::CauseKind;

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
}

/// A response with a status of 2xx, its body still to be read.
pub(super) struct Response<'a> {
    /// The status.
    pub(super) status: u16,
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
        let idle = (target.timeout / 2).clamp(Duration::from_secs(5), Duration::from_secs(120)).min(target.timeout);
        Ok(Self { client, base, host, key: target.key, headers, idle })
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
        let request = self.request(Method::POST, path, headers)?;
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        self.send(request).await
    }

    /// Asks for a path behind the base URL. A status other than 2xx is a failure.
    pub(super) async fn get(&self, path: &str) -> Result<Response<'_>, Failure> {
        let request = self.request(Method::GET, path, &[])?;
        self.send(request).await
    }

    /// Asks for a path of the host itself, outside the base URL's own path.
    pub(super) async fn get_root(&self, path: &str) -> Result<Response<'_>, Failure> {
        let root = Url::parse(&self.base).ok().and_then(|base| base.join(path).ok());
        let request = self.client.get(root.ok_or_else(|| unsendable(path))?).headers(self.headers.clone());
        self.send(request).await
    }

    fn request(&self, method: Method, path: &str, more: &[(&'static str, String)]) -> Result<RequestBuilder, Failure> {
        let url = Url::parse(&format!("{}{path}", self.base)).map_err(|_| unsendable(path))?;
        let mut headers = self.headers.clone();
        for (name, value) in more {
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| unsendable(name))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        Ok(self.client.request(method, url).headers(headers))
    }

    /// Sends a request once.
    async fn send(&self, request: RequestBuilder) -> Result<Response<'_>, Failure> {
        let mut inner = request.send().await.map_err(|error| self.broken(&error))?;
        let headers = std::mem::take(inner.headers_mut());
        let told = headroom::read(&headers, SystemTime::now());
        let status = inner.status();
        let mut response = Response { status: status.as_u16(), headers, headroom: told.headroom, http: self, inner };
        if status.is_success() && status != StatusCode::NO_CONTENT {
            return Ok(response);
        }
        // What cannot be read of an error's body only makes its message shorter.
        let body = response.read(MOST_WORDS).await.unwrap_or_default();
        let words = self.scrub(&fault::words(&body));
        let failure = fault::of_status(status.as_u16(), &response.headers, &words, (&self.host, told));
        Err(self.clean(failure))
    }

    /// A failure in place of an error of the client's.
    fn broken(&self, error: &reqwest::Error) -> Failure {
        self.clean(fault::of_transport(error, &self.host))
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

    /// The address that answered: a proxy's, where there is one in between.
    pub(super) fn address(&self) -> Option<std::net::SocketAddr> {
        self.inner.remote_addr()
    }

    /// The certificate of who answered, in DER; none without TLS.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.inner.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate()
    }

    /// The whole body as JSON.
    pub(super) async fn json(mut self) -> Result<Value, Failure> {
        let body = self.read(MOST).await?;
        if body.len() >= MOST {
            return Err(exchange::malformed(format!("it has more than {} MiB", MOST >> 20)));
        }
        let body = self.http.cleanse(body);
        let kind = self.header(CONTENT_TYPE.as_str());
        serde_json::from_slice(&body).map_err(|fault| self.http.clean(fault::not_json(&body, kind.as_deref(), &fault)))
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
pub(super) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
