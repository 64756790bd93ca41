//! Downloads an install script on this computer, for a host that has no Internet access or no download tool.

use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use http_body_util::{BodyExt as _, Limited};
use libmachine::{FetchScript, RemoteError};
use machine_net::http::{Http, Route, authority};
use machine_types::one_line;

use crate::environment::Environment;

/// Overall timeout, redirections included. The script of get.docker.com has 24 KB.
const WITHIN: Duration = Duration::from_secs(60);

/// Maximum size of a script, in bytes.
const LONGEST: usize = 4 << 20;

/// Maximum number of redirections; curl follows 50.
const REDIRECTIONS: usize = 10;

/// Downloads over HTTP and HTTPS.
#[derive(Debug)]
pub(crate) struct Fetch(Http);

/// Reason why a download failed.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("it is no http:// or https:// URL")]
    NoUrl,
    #[error("{0} answers {1}")]
    Status(String, u16),
    #[error("{0} redirects to nowhere")]
    Nowhere(String),
    #[error("{0} redirects away from TLS")]
    AwayFromTls(String),
    #[error("too many redirections")]
    Redirections,
    #[error("no answer from {0}: {error}", error = one_line(.1))]
    NoAnswer(String, ConnectorError),
    #[error("the answer of {0} breaks off or is longer than 4 MiB: {1}")]
    Body(String, RemoteError),
    #[error("it takes longer than a minute")]
    Slow,
}

impl Fetch {
    /// Reads the proxy settings.
    pub(crate) fn new(environment: &Environment) -> Self {
        let route = Route::read(|name| environment.get(name).map(str::to_owned));
        Self(Http::new(route))
    }

    async fn follow(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTIONS {
            let (place, answer) = (place(&url)?, self.get(&url).await?);
            if !(300..400).contains(&answer.status().as_u16()) {
                return body(place, answer).await;
            }
            let next = answer.headers().get("location").unwrap_or_default();
            let scheme = url.split("://").next().unwrap_or_default();
            let next = match next.strip_prefix('/') {
                Some(path) if !path.starts_with('/') => format!("{scheme}://{place}/{path}"),
                _ => next.to_owned(),
            };
            if !is_http(&next) {
                return Err(FetchError::Nowhere(place));
            }
            if url.starts_with("https:") && next.starts_with("http:") {
                return Err(FetchError::AwayFromTls(place));
            }
            url = next;
        }
        Err(FetchError::Redirections)
    }

    async fn get(&self, url: &str) -> Result<HttpResponse, FetchError> {
        let mut request = HttpRequest::get(url).map_err(|_| FetchError::NoUrl)?;
        request.headers_mut().insert("user-agent", "docker-machine");
        let settings = HttpConnectorSettings::builder().connect_timeout(WITHIN);
        let answer = self.0.connector(&settings.build()).call(request).await;
        answer.map_err(|error| FetchError::NoAnswer(place(url).unwrap_or_default(), error))
    }
}

#[async_trait]
impl FetchScript for Fetch {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        let fetched = tokio::time::timeout(WITHIN, self.follow(url)).await;
        Ok(fetched.map_err(|_| FetchError::Slow)??)
    }
}

fn is_http(url: &str) -> bool {
    (url.starts_with("http://") || url.starts_with("https://")) && !authority(url).is_empty()
}

/// Returns the server for errors, without the password that a URL may contain.
fn place(url: &str) -> Result<String, FetchError> {
    let place = authority(url).rsplit('@').next();
    let place = place.filter(|_| is_http(url)).ok_or(FetchError::NoUrl)?;
    Ok(place.to_owned())
}

async fn body(place: String, answer: HttpResponse) -> Result<Vec<u8>, FetchError> {
    if !answer.status().is_success() {
        return Err(FetchError::Status(place, answer.status().as_u16()));
    }
    let whole = Limited::new(answer.into_body(), LONGEST).collect().await;
    let whole = whole.map_err(|error| FetchError::Body(place, error))?;
    Ok(whole.to_bytes().to_vec())
}
