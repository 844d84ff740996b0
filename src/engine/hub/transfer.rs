//! Asking the Hub: listings of repositories, and files that may lie with another host.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::mpsc::Sender;
use std::time::Duration;

use reqwest::header::{ETAG, HeaderMap, LOCATION, RANGE};
use reqwest::{Response, StatusCode, Url, redirect};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::HubError;
use super::cache::{Part, Shelf};
use super::name::{Name, is_commit};
use super::snapshot;
use crate::engine::HubAccess;
use crate::engine::api::is_this_machine;

const CONNECT: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_mins(1);
const MOST_REDIRECTS: usize = 8;

/// A repository at a revision.
pub(super) struct Listing {
    /// The commit that the revision is.
    pub(super) commit: String,
    /// Its files.
    pub(super) files: BTreeSet<String>,
}

/// Who asks.
pub(super) struct Client<'a> {
    http: reqwest::Client,
    endpoint: Url,
    access: &'a HubAccess,
}

/// What the Hub's own answers tell of a file, which those of other hosts don't.
#[derive(Default)]
struct Told {
    etag: Option<String>,
    size: Option<u64>,
}

impl Told {
    fn note(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let etag = text("x-linked-etag").or_else(|| text(ETAG.as_str()));
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned());
        self.etag = etag.or(self.etag.take());
        self.size = text("x-linked-size").and_then(|size| size.parse().ok()).or(self.size);
    }
}

impl<'a> Client<'a> {
    /// Prepares to ask.
    pub(super) fn new(access: &'a HubAccess) -> Result<Self, HubError> {
        let unusable = || HubError::Endpoint { endpoint: access.endpoint.clone() };
        let endpoint = Url::parse(&access.endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let endpoint = endpoint.ok_or_else(unusable)?;
        // Where the process has one already, that one serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("quantgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // A file's size, its ranges and its digest are those of the bytes that are stored.
            .no_gzip()
            .connect_timeout(CONNECT)
            .read_timeout(READ);
        if is_this_machine(&endpoint) {
            builder = builder.no_proxy();
        }
        Ok(Self { http: builder.build().map_err(|_| unusable())?, endpoint, access })
    }

    /// What a repository holds at the name's revision.
    pub(super) async fn listing(&self, name: &Name) -> Result<Listing, HubError> {
        let place = format!("{}@{}", name.repository, name.revision);
        let answer = |problem: &str| HubError::Answer { place: place.clone(), problem: problem.to_owned() };
        let mut url = self.address(&["api", "models"], name, &["revision", &name.revision]);
        // A repository that was renamed is told of by its new address.
        for _ in 0..=MOST_REDIRECTS {
            let response = self.get(&url, 0, &place).await?;
            if let Some(next) = next(&url, &response) {
                url = next;
                continue;
            }
            let response = Self::checked(response, name, &place)?;
            let body = response.bytes().await.map_err(|fault| unreachable(&place, cause(fault)))?;
            let body: Value = serde_json::from_slice(&body).map_err(|_| answer("it is not JSON"))?;
            let commit = body.get("sha").and_then(Value::as_str).filter(|commit| is_commit(commit));
            let commit = commit.ok_or_else(|| answer("it names no commit"))?.to_owned();
            return Ok(Listing { commit, files: snapshot::files(body.get("siblings").unwrap_or(&Value::Null)) });
        }
        Err(answer("it sends from one address to the next"))
    }

    /// A file's content in the cache, fetched where it isn't there. The commit stands in the name's revision's place.
    pub(super) async fn file(
        &self,
        (name, commit): (&Name, &str),
        shelf: &Shelf,
        tell: &Sender<(u64, u64)>,
    ) -> Result<std::path::PathBuf, HubError> {
        let place = name.at(commit);
        let answer = |problem: &str| HubError::Answer { place: place.clone(), problem: problem.to_owned() };
        let path: Vec<&str> = ["resolve", commit].into_iter().chain(name.file.iter().flat_map(|file| file.split('/'))).collect();
        let mut url = self.address(&[], name, &path);
        let (mut told, mut part) = (Told::default(), None::<Part>);
        for _ in 0..=MOST_REDIRECTS {
            let from = part.as_ref().map_or(0, |part| part.length);
            let response = self.get(&url, from, &place).await?;
            if self.is_own(&url) {
                told.note(response.headers());
            }
            let next = next(&url, &response);
            if part.is_none() && next.as_ref().is_none_or(|next| !self.is_own(next)) && !is_refusal(&response) {
                let etag = told.etag.as_deref().filter(|etag| is_etag(etag)).ok_or_else(|| answer("it has no usable ETag"))?;
                let blob = shelf.blob(etag);
                match Part::open(&blob)? {
                    Some(begun) => part = Some(begun),
                    None => return Ok(blob),
                }
            }
            match (next, part.as_mut()) {
                (Some(next), _) => url = next,
                (None, Some(begun)) if response.status() == StatusCode::RANGE_NOT_SATISFIABLE => begun.clear()?,
                (None, _) => {
                    let response = Self::checked(response, name, &place)?;
                    let part = part.ok_or_else(|| answer("it is no file"))?;
                    return receive(response, part, (&told, &place), tell).await;
                }
            }
        }
        Err(answer("it sends from one address to the next"))
    }

    /// An address of the Hub: what comes before the repository, and behind it.
    fn address(&self, before: &[&str], name: &Name, behind: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        let mut path = url.path_segments_mut().expect("an address with a host has a path");
        path.pop_if_empty().extend(before).extend(name.repository.split('/')).extend(behind);
        drop(path);
        url
    }

    /// Whether an address is the Hub's own. Others get no token, and aren't asked for facts.
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    /// One request, from a place in the file on.
    async fn get(&self, url: &Url, from: u64, place: &str) -> Result<Response, HubError> {
        if self.access.offline {
            return Err(unreachable(place, "may not be asked (HF_HUB_OFFLINE)".to_owned()));
        }
        let mut request = self.http.get(url.clone());
        if let Some(token) = self.access.token.as_ref().filter(|_| self.is_own(url)) {
            request = request.bearer_auth(token.expose_secret());
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.send().await.map_err(|fault| unreachable(place, cause(fault)))
    }

    /// A response that has what was asked for.
    fn checked(response: Response, name: &Name, place: &str) -> Result<Response, HubError> {
        let status = response.status();
        let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let repository = name.repository.clone();
        Err(match status.as_u16() {
            _ if status.is_success() => return Ok(response),
            // Without a token, the Hub says 401 to what isn't there as well, so as not to tell.
            status @ (401 | 403) => HubError::Denied { repository, status },
            404 if code == "RevisionNotFound" => HubError::NoRevision { repository, revision: name.revision.clone() },
            404 if name.file.is_some() && code == "EntryNotFound" => {
                HubError::NoFile { place: place.to_owned(), problem: "is not there".to_owned(), others: Vec::new() }
            }
            404 => HubError::NoRepository { repository },
            status @ (408 | 429 | 500..) => unreachable(place, format!("answers with status {status}")),
            status => HubError::Answer { place: place.to_owned(), problem: format!("its status is {status}") },
        })
    }
}

/// Where a response sends, if it does.
fn next(url: &Url, response: &Response) -> Option<Url> {
    let to = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    // Nobody is sent from a ciphered way to a plain one.
    let next = url.join(to.to_str().ok()?).ok()?;
    matches!((url.scheme(), next.scheme()), (_, "https") | ("http", "http")).then_some(next)
}

fn is_refusal(response: &Response) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

/// Whether an `ETag` can be a file's name.
fn is_etag(etag: &str) -> bool {
    !etag.is_empty() && etag.len() <= 128 && etag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Takes a file's content in.
async fn receive(
    mut response: Response,
    mut part: Part,
    (told, place): (&Told, &str),
    tell: &Sender<(u64, u64)>,
) -> Result<std::path::PathBuf, HubError> {
    let start = format!("bytes {}-", part.length);
    let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
    if response.status() != StatusCode::PARTIAL_CONTENT || !range.is_some_and(|range| range.starts_with(&start)) {
        part.clear()?;
    }
    let size = told.size.or_else(|| response.content_length().map(|rest| part.length + rest));
    while let Some(chunk) = response.chunk().await.map_err(|fault| unreachable(place, cause(fault)))? {
        part.add(&chunk)?;
        // Whoever listens may have gone away; the file is wanted all the same.
        let _ = tell.send((part.length, size.unwrap_or(part.length)));
    }
    part.finish(size, place)
}

fn unreachable(place: &str, cause: String) -> HubError {
    HubError::Unreachable { place: place.to_owned(), cause }
}

/// Why a request came to nothing, without its address: that of a stored file is signed.
fn cause(fault: reqwest::Error) -> String {
    let what = if fault.is_connect() {
        "cannot be reached"
    } else if fault.is_timeout() {
        "took too long"
    } else {
        "broke off"
    };
    let fault = fault.without_url();
    let mut deepest: &dyn Error = &fault;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    format!("{what} ({deepest})")
}
