//! The error of a call.

use std::error::Error as StdError;

use aws_smithy_runtime_api::box_error::BoxError;
use machine_net::http::Unresolved;
use machine_types::printable_within;

use crate::api::answer::Unbounded;
use crate::api::codes;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The service returned an error.
    #[error(
        "{action} in region {region} was refused: {message} ({code}{})",
        request(request_id)
    )]
    Refused {
        action: &'static str,
        region: String,
        code: String,
        message: String,
        request_id: Option<String>,
        status: u16,
    },
    /// There was no valid response. The call may have taken effect.
    #[error("{action} in region {region} got no answer{}", at(endpoint))]
    NoAnswer {
        action: &'static str,
        region: String,
        endpoint: String,
        #[source]
        source: BoxError,
    },
    /// Something answered, but not with what the service sends. The call may have taken effect.
    #[error(
        "cannot read the answer to {action} in region {region}{}: it has HTTP status {status} and {found}, and {} sends XML",
        at(endpoint),
        service_of(action)
    )]
    Foreign {
        action: &'static str,
        region: String,
        endpoint: String,
        status: u16,
        found: Found,
    },
    /// The response breaks off or exceeds a bound, and was not parsed. The call may have taken effect.
    #[error(
        "cannot read the answer to {action} in region {region}{}: {why}",
        at(endpoint)
    )]
    Unbounded {
        action: &'static str,
        region: String,
        endpoint: String,
        why: Unbounded,
    },
    /// The call was not sent, since the host has just left another call of this process unanswered.
    #[error("{action} in region {region} was not sent: {host} did not answer a moment ago")]
    Silent {
        action: &'static str,
        region: String,
        host: String,
    },
    /// A listing exceeds its bounds.
    #[error("{action} in region {region} does not come to an end: {why}")]
    Endless {
        action: &'static str,
        region: String,
        why: String,
    },
    /// There are no credentials to sign the call.
    #[error("there are no AWS credentials for {action} in region {region}")]
    NoCredentials {
        action: &'static str,
        region: String,
        #[source]
        source: BoxError,
    },
    /// The response contains something that was not requested, and cannot be trusted.
    #[error(
        "cannot rely on {action} in region {region}: the answer{} contains {item}, which does not match the filter {filter}",
        at(endpoint)
    )]
    Unfiltered {
        action: &'static str,
        region: String,
        endpoint: String,
        item: String,
        filter: String,
    },
    /// The operation was cancelled while the call waited for the rate limiter.
    #[error("{action} was cancelled by {reason}")]
    Cancelled {
        action: &'static str,
        reason: &'static str,
    },
}

/// Returns the service of an action. All other actions are EC2's.
pub(super) fn service_of(action: &str) -> &'static str {
    match action {
        "GetCallerIdentity" | "GetAccessKeyInfo" => "STS",
        _ => "EC2",
    }
}

/// Content of a response that the service did not send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Found {
    #[error("an empty body")]
    Nothing,
    #[error("an HTML page{}", titled(.0))]
    Html(Option<String>),
    #[error("a JSON body")]
    Json,
    #[error("XML of another service, or cut short")]
    Xml,
    #[error("a body of another kind")]
    Other,
}

impl Found {
    /// Tells the kind of a body by its first characters.
    pub(super) fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&body[..body.len().min(PEEKED)]);
        let text = text.trim_start_matches('\u{feff}').trim();
        // ASCII alone changes, so that positions stay the same.
        let lower = text.to_ascii_lowercase();
        if text.is_empty() {
            Self::Nothing
        } else if lower.contains("<html") || lower.starts_with("<!doctype html") {
            Self::Html(title(text, &lower))
        } else if text.starts_with('<') {
            Self::Xml
        } else if text.starts_with(['{', '[']) {
            Self::Json
        } else {
            Self::Other
        }
    }
}

/// Number of bytes of a body that are searched for its kind.
const PEEKED: usize = 4 << 10;

/// Maximum number of characters of a page's title in an error.
const LONGEST_TITLE: usize = 60;

fn title(text: &str, lower: &str) -> Option<String> {
    let from = lower.find("<title>")? + "<title>".len();
    let to = from + lower.get(from..)?.find("</title>")?;
    let title = text.get(from..to)?.trim();
    (!title.is_empty()).then(|| printable_within(title.as_bytes(), LONGEST_TITLE))
}

fn titled(title: &Option<String>) -> String {
    let titled = |title| format!(" ({title:?})");
    title.as_ref().map(titled).unwrap_or_default()
}

fn request(id: &Option<String>) -> String {
    id.as_ref()
        .map(|id| format!(", request {id}"))
        .unwrap_or_default()
}

fn at(endpoint: &str) -> String {
    if endpoint.is_empty() {
        String::new()
    } else {
        format!(" from {endpoint}")
    }
}

impl CallError {
    /// Returns the service's error code; empty if there was no response.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "",
        }
    }

    /// Returns the service's error message; empty if there was no response.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Refused { message, .. } => message,
            _ => "",
        }
    }

    /// Returns whether the call may have taken effect despite the error.
    pub(crate) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Refused { code, status, .. } => codes::is_ambiguous(code, *status),
            Self::NoAnswer { .. } | Self::Foreign { .. } | Self::Unbounded { .. } => true,
            Self::Unfiltered { .. }
            | Self::NoCredentials { .. }
            | Self::Silent { .. }
            | Self::Endless { .. }
            | Self::Cancelled { .. } => false,
        }
    }

    /// Returns whether the service rejected the request itself, and not the credentials or the call rate.
    pub(crate) fn is_verdict(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if !codes::is_throttling(code))
            && !self.is_ambiguous()
            && !self.is_denied()
            // A component of EC2 that lags behind reports this before EC2 looks for the client token.
            && !self.is_not_yet_known()
    }

    /// Returns whether the queried resource does not exist. An ID that EC2 cannot parse (`.Malformed`) says nothing
    /// about the resource.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code().ends_with(".NotFound")
    }

    /// Returns whether the service denied the call for missing permissions or invalid credentials.
    pub(crate) fn is_denied(&self) -> bool {
        codes::is_denied(self.code()) || matches!(self, Self::NoCredentials { .. })
    }

    /// Returns whether EC2 does not know a resource yet that this create has just made or found.
    pub(crate) fn is_not_yet_known(&self) -> bool {
        matches!(
            self.code(),
            "InvalidGroup.NotFound" | "InvalidGroupId.NotFound" | "InvalidKeyPair.NotFound"
        )
    }
}

/// Maximum number of characters of EC2's message. The longest messages name a user, an action and a resource by ARNs,
/// each of up to 2,048 characters (IAM User Guide, quotas); 350 characters are typical.
const LONGEST_MESSAGE: usize = 1000;

/// Text before the encoded part of a denial, which only AWS can read.
const ENCODED: &str = " Encoded authorization failure message";

/// Returns EC2's message for display. Leaves out the encoded part of a denial, a kilobyte of base64 that only AWS can
/// read.
pub(crate) fn readable(message: &str) -> String {
    let plain = message.split(ENCODED).next().unwrap_or(message);
    printable_within(plain.as_bytes(), LONGEST_MESSAGE)
}

/// An SDK error and its sources, each truncated: one may quote a complete response.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Cut {
    text: String,
    /// The host name, if the error is about one without an address.
    unresolved: Option<String>,
    source: Option<Box<Cut>>,
}

impl Cut {
    /// Returns the host name that could not be resolved, if the error is about one.
    pub(super) fn unresolved(&self) -> Option<&str> {
        let below = || self.source.as_ref()?.unresolved();
        self.unresolved.as_deref().or_else(below)
    }

    /// Returns whether the peer did not answer with TLS (the error of rustls for the first bytes of another protocol).
    pub(super) fn is_not_tls(&self) -> bool {
        self.text.contains("InvalidContentType")
            || self.source.as_ref().is_some_and(|below| below.is_not_tls())
    }

    /// Keeps of an error about a host name only that: what called the resolver tells nothing.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        match cause::<Unresolved>(error) {
            Some(unresolved) => Self::chain(unresolved),
            None => Self::chain(error),
        }
    }

    fn chain(error: &(dyn StdError + 'static)) -> Self {
        let unresolved = error.downcast_ref::<Unresolved>();
        Self {
            text: readable(&error.to_string()),
            unresolved: unresolved.map(|error| error.host.clone()),
            source: error.source().map(|source| Box::new(Self::chain(source))),
        }
    }
}

/// Returns the error of this type in a chain of sources, if there is one.
pub(super) fn cause<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    match error.downcast_ref() {
        None => cause(error.source()?),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_foreign_body_is_told() {
        for (body, expected) in [
            ("", "an empty body"),
            (" \r\n", "an empty body"),
            (
                "<!DOCTYPE html><html><head><TITLE>\n502 Bad Gateway </title>",
                "an HTML page (\"502 Bad Gateway\")",
            ),
            ("\u{feff}<HTML>", "an HTML page"),
            ("<title>\u{130}<html>", "an HTML page"),
            ("{\"message\": 1}", "a JSON body"),
            (
                "<?xml version='1.0'?><Foo/>",
                "XML of another service, or cut short",
            ),
            ("no such host", "a body of another kind"),
        ] {
            assert_eq!(Found::of(body.as_bytes()).to_string(), expected, "{body}");
        }
        assert_eq!(Found::of(b"\xff\xfe"), Found::Other);
        let endless = format!("<html><title>\x1b{}</title>", "x".repeat(3000));
        assert!(Found::of(endless.as_bytes()).to_string().len() < 100);
    }
}
