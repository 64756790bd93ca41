//! What an engine says of itself.

use std::time::Duration;

use machine_flow::Cx;
use serde_json::Value;

use crate::dial::{Endpoint, bounded, connect_tls, connect_unix};
use crate::dial_error::DialError;
use crate::http::{Answer, get};

/// An engine's version, of the Engine API's `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    /// `28.2.2`.
    pub version: String,
    /// `1.50`.
    pub api_version: String,
}

/// Asks an engine for its version. The path is unversioned, so that any engine answers: Docker 29
/// refuses API versions that older clients name.
///
/// # Errors
/// As [`check`](crate::check), and [`DialError::NotAnEngine`].
pub async fn version(
    endpoint: &Endpoint,
    within: Duration,
    cx: &Cx,
) -> Result<EngineVersion, DialError> {
    let address = match endpoint {
        Endpoint::Tls { url, .. } => url.authority(),
        Endpoint::Unix(path) => path.display().to_string(),
    };
    let asked = async {
        let answer = match endpoint {
            Endpoint::Tls { url, client } => {
                get(connect_tls(url, client).await?, &address, "/version").await
            }
            Endpoint::Unix(path) => get(connect_unix(path).await?, "docker", "/version").await,
        };
        answer.map_err(|reason| match reason {
            Ok(reason) => not_an_engine(&address, reason),
            Err(error) => DialError::handshake(&address, error),
        })
    };
    read(&address, &bounded(&address, within, cx, asked).await?)
}

fn read(address: &str, answer: &Answer) -> Result<EngineVersion, DialError> {
    if answer.status != 200 {
        return Err(not_an_engine(
            address,
            format!("HTTP status {}", answer.status),
        ));
    }
    let said: Value = serde_json::from_slice(&answer.body)
        .map_err(|_| not_an_engine(address, "no JSON".to_owned()))?;
    let text = |field: &str| {
        said.get(field)
            .and_then(Value::as_str)
            .map(|text| machine_types::printable(text.as_bytes()))
    };
    match text("Version") {
        Some(version) if !version.is_empty() => Ok(EngineVersion {
            version,
            api_version: text("ApiVersion").unwrap_or_default(),
        }),
        _ => Err(not_an_engine(address, "no version".to_owned())),
    }
}

fn not_an_engine(address: &str, reason: String) -> DialError {
    DialError::NotAnEngine {
        address: address.to_owned(),
        reason,
    }
}
