//! Bodies that are no JSON, and headers of what is only read: what jobs need beside answers.

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::super::super::Failure;
use super::{Http, Response, unsendable};

impl Http {
    /// Sends a body of another type than JSON to a path behind the base URL. A status other than 2xx is a failure.
    pub(in crate::engine::api) async fn post_as(&self, kind: &str, path: &str, body: Vec<u8>) -> Result<Response<'_>, Failure> {
        let kind = HeaderValue::try_from(kind).map_err(|_| unsendable(kind))?;
        let request = self.client.post(self.behind_base(path)?).headers(self.headers.clone());
        self.send(request.header(CONTENT_TYPE, kind).body(body)).await
    }

    /// Asks for a path behind the base URL, with more headers. A status other than 2xx is a failure.
    pub(in crate::engine::api) async fn get_with(
        &self,
        path: &str,
        more: &[(&'static str, String)],
    ) -> Result<Response<'_>, Failure> {
        let mut headers = self.headers.clone();
        for (name, value) in more {
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| unsendable(name))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.send(self.client.get(self.behind_base(path)?).headers(headers)).await
    }

    fn behind_base(&self, path: &str) -> Result<Url, Failure> {
        Url::parse(&format!("{}{path}", self.base)).map_err(|_| unsendable(path))
    }
}
