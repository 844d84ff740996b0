//! One question to a subject behind an API: written, sent, read whole or as it comes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::super::{BoxFuture, Failure, Headroom, Reply, RetryClass};
use super::body::adjust;
use super::exchange::{Ask, Draft, Flow, Framing, Wire, inexpressible, malformed, prompt_digest};
use super::frames::{Frames, OwnedFrame};
use super::http::{Http, Response};
use super::native::Post;
use super::preset::Scoring;
use super::{ApiEngine, Managed, dialect, echo, forced, ollama, preset};
use crate::domain::{ApiSpec, CauseKind, Dialect, Digest, Pace, Preset, Request, Served};

/// Most bytes of a stream.
const MOST: usize = 64 << 20;
/// How long to wait for the end of a body whose answer is complete, so that its connection can be used again.
const TAIL: Duration = Duration::from_millis(200);

impl ApiEngine {
    /// Asks once.
    pub(super) async fn ask(&self, request: &Request) -> Result<Reply, Failure> {
        let asked = match request {
            Request::Choice { .. } | Request::Perplexity { .. } => self.score(request).await,
            Request::Generate { .. } | Request::Chat { .. } => self.text(request).await,
        };
        asked.map_err(|failure| self.explained(failure))
    }

    /// A failure without the key, and with the last words of a server that has ended.
    fn explained(&self, failure: Failure) -> Failure {
        let failure = self.http.clean(failure);
        match self.server.as_ref().and_then(Managed::fallen) {
            Some(fallen) if failure.kind == CauseKind::Transport => {
                Failure { message: format!("{}; {fallen}", failure.message), retry: RetryClass::Barred, ..failure }
            }
            _ => failure,
        }
    }

    /// Generated text.
    async fn text(&self, request: &Request) -> Result<Reply, Failure> {
        let (wire, digest, length) = if let Some(native) = &self.native {
            let prompt = forced::prompt(native, &*post(&self.http, &self.spec), request).await?;
            let digest = match request {
                Request::Chat { .. } => text_digest(&prompt.text),
                other => prompt_digest(other),
            };
            (prompt.wire(self.spec.stream), digest, Some(prompt.tokens.len() as u64))
        } else {
            let ask = Ask { spec: &self.spec, request };
            (dialect::encode(&ask)?, ask.prompt(), None)
        };
        let (mut draft, headroom) = self.exchange(wire).await?;
        if let Request::Generate { generation, .. } | Request::Chat { generation, .. } = request {
            draft.cut(&generation.stop);
        }
        draft.served.prompt = Some(digest);
        if let (Some(sent), Some(usage)) = (length, draft.served.usage) {
            draft.served.truncated |= usage.prompt < sent;
        }
        Ok(Reply { headroom, ..draft.finish()? })
    }

    /// Log-likelihoods.
    async fn score(&self, request: &Request) -> Result<Reply, Failure> {
        let beside = Mutex::default();
        let post = noting(&self.http, &self.spec, &beside);
        let reply = match (preset::scoring(&self.spec), &self.native, request) {
            (Scoring::Forced, Some(native), Request::Choice { context, options }) => {
                forced::choice(native, &*post, context, options).await?
            }
            (Scoring::Forced, Some(native), Request::Perplexity { text }) => forced::rolling(native, &*post, text).await?,
            (Scoring::Echo, _, Request::Choice { context, options }) => {
                echo::choice(&self.spec, &*post, context, options).await?
            }
            (Scoring::Echo, _, Request::Perplexity { text }) => echo::rolling(&self.spec, &*post, text).await?,
            _ => return Err(inexpressible("this service gives no log-likelihoods of given text")),
        };
        drop(post);
        let (headroom, behind) = beside.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut served = reply.served.unwrap_or_default();
        behind.note(&mut served);
        served.prompt.get_or_insert_with(|| prompt_digest(request));
        Ok(Reply { served: Some(served), headroom, ..reply })
    }

    /// Sends a request for text and reads what comes.
    async fn exchange(&self, mut wire: Wire) -> Result<(Draft, Headroom), Failure> {
        adjust(&self.spec, &mut wire.body);
        if self.spec.preset == Preset::LlamaServer && wire.framing != Framing::Whole {
            // It hangs up after each stream though it says that it stays: a second request there would fall between.
            wire.headers.push(("connection", "close".to_owned()));
        }
        let body = written(&wire.body)?;
        let began = Instant::now();
        let response = self.http.post(&wire.path, &wire.headers, body).await?;
        let headroom = response.headroom;
        let behind = Behind::of(&response);
        let mut draft = Draft::default();
        if wire.framing == Framing::Whole || is_whole(response.kind()) {
            // A service that was asked to stream and did not, or that has an error to tell.
            let body = response.json().await?;
            dialect::whole(self.spec.dialect, &body, &mut draft)?;
        } else {
            self.stream(response, wire.framing, (&mut draft, began)).await?;
        }
        if self.spec.dialect == Dialect::Ollama {
            ollama::note_cut(&self.spec, &mut draft.served);
        }
        behind.note(&mut draft.served);
        Ok((draft, headroom))
    }

    /// Reads an answer as it comes, with the times of its pieces.
    async fn stream(
        &self,
        mut response: Response<'_>,
        framing: Framing,
        (draft, began): (&mut Draft, Instant),
    ) -> Result<(), Failure> {
        let mut frames = Frames::new(framing);
        let (mut first, mut last, mut bytes) = (None, began, 0);
        let mut flow = Flow::More;
        while flow == Flow::More {
            let chunk = response.chunk().await?;
            match &chunk {
                Some(chunk) => frames.push(chunk)?,
                None => frames.finish()?,
            }
            bytes += chunk.as_ref().map_or(0, Vec::len);
            if bytes > MOST {
                return Err(malformed(format!("the stream has more than {} MiB", MOST >> 20)));
            }
            while let (Flow::More, Some(frame)) = (flow, frames.next()) {
                let frame = OwnedFrame { data: self.http.cleanse(frame.data), ..frame };
                let before = draft.pieces;
                flow = dialect::piece(self.spec.dialect, &frame.as_frame(), draft)?;
                if draft.pieces > before {
                    last = Instant::now();
                    first.get_or_insert(last);
                }
            }
            if chunk.is_none() {
                break;
            }
        }
        draft.served.pace = first.map(|first| Pace {
            first_us: micros(first - began),
            rest_us: micros(last - first),
            tokens: draft.served.usage.map_or(draft.pieces, |usage| usage.completion),
        });
        if flow == Flow::Done {
            // The answer is complete: what is wrong with the rest costs a connection and nothing else.
            let _ = tokio::time::timeout(TAIL, async { while let Ok(Some(_)) = response.chunk().await {} }).await;
        }
        Ok(())
    }
}

/// The way to send one of several requests that make one answer.
pub(super) fn post<'a>(http: &'a Http, spec: &'a ApiSpec) -> Box<Post<'a>> {
    Box::new(move |wire: Wire| -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move { Ok(sent(http, spec, wire).await?.0) })
    })
}

/// The same, with what the last response's headers told, and the most fallbacks of all.
fn noting<'a>(http: &'a Http, spec: &'a ApiSpec, beside: &'a Mutex<(Headroom, Behind)>) -> Box<Post<'a>> {
    Box::new(move |wire: Wire| -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let (body, headroom, behind) = sent(http, spec, wire).await?;
            let mut beside = beside.lock().unwrap_or_else(PoisonError::into_inner);
            let fallbacks = behind.fallbacks.max(beside.1.fallbacks);
            *beside = (headroom, Behind { fallbacks, ..behind });
            Ok(body)
        })
    })
}

/// Sends a request and reads its response, which is one document.
async fn sent(http: &Http, spec: &ApiSpec, mut wire: Wire) -> Result<(Value, Headroom, Behind), Failure> {
    // What the plan adds concerns what is generated, not how texts are cut into tokens.
    if wire.path.contains("/completion") {
        adjust(spec, &mut wire.body);
    }
    let response = http.post(&wire.path, &wire.headers, written(&wire.body)?).await?;
    let (headroom, behind) = (response.headroom, Behind::of(&response));
    Ok((response.json().await?, headroom, behind))
}

/// What a gateway tells in its headers of who answered.
#[derive(Default)]
struct Behind {
    deployment: Option<String>,
    fallbacks: u32,
}

impl Behind {
    /// `LiteLLM`'s headers.
    fn of(response: &Response<'_>) -> Self {
        let fallbacks = response.header("x-litellm-attempted-fallbacks").and_then(|count| count.parse().ok());
        Self { deployment: response.header("x-litellm-model-id"), fallbacks: fallbacks.unwrap_or(0) }
    }

    /// Adds them to what the answer's body told.
    fn note(self, served: &mut Served) {
        served.fallbacks = served.fallbacks.max(self.fallbacks);
        if let Some(deployment) = self.deployment {
            let model = served.model.take().unwrap_or_default();
            served.model = Some(format!("{model} ({deployment})").trim_start().to_owned());
        }
    }
}

/// Whether a response that was to be streamed is one document, or a page that will not do.
fn is_whole(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind == "application/json" || kind == "text/html")
}

/// A body's bytes.
fn written(body: &Map<String, Value>) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|fault| inexpressible(format!("the request cannot be written: {fault}")))
}

/// The digest of a prompt that was rendered here.
fn text_digest(text: &str) -> Digest {
    prompt_digest(&Request::Perplexity { text: text.to_owned() })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_deployment_stands_behind_the_models_name() {
        let mut served = Served { model: Some("gpt".into()), ..Served::default() };
        Behind { deployment: Some("1f2e".into()), fallbacks: 1 }.note(&mut served);
        assert_eq!((served.model.as_deref(), served.fallbacks), (Some("gpt (1f2e)"), 1));
    }
}
