//! One EC2 call: traces it, waits out throttling, and converts its error.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use machine_ops::{
    Cx, Event, Look, Span, SpanKind, SpanOutcome, WaitError, WaitPolicy, wait_until_ready,
};
use machine_types::{printable, printable_within};

use crate::api::answer::Unbounded;
use crate::api::client::Api;
use crate::api::codes;
use crate::api::dns::Unresolved;
use crate::api::environment::authority;
use crate::api::retry::is_not_yet_known;

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
    /// The response exceeds a bound and was not parsed. The call may have taken effect.
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
            Self::NoAnswer { .. } | Self::Unbounded { .. } => true,
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
            && !is_not_yet_known(self)
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
}

/// Counts the attempts of a call and records its host; the SDK reports neither.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    attempts: Arc<AtomicU32>,
    /// Total size of the responses.
    bytes: Arc<AtomicU64>,
    host: Arc<OnceLock<String>>,
}

impl Intercept for Probe {
    fn name(&self) -> &'static str {
        "attempts and host"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri();
        let scheme = uri.split_once("://").map_or("https", |(scheme, _)| scheme);
        // Every attempt goes to the same host.
        let _ = self.host.set(format!("{scheme}://{}", authority(uri)));
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Api {
    /// Makes a query like [`Api::call`], but stops at once when the operation is cancelled.
    pub(crate) async fn ask<O, E, F, Fut>(
        &self,
        cx: &Cx,
        action: &'static str,
        send: F,
    ) -> Result<O, CallError>
    where
        O: RequestId,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        F: Fn(Probe) -> Fut,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        let answer = cx.cancel.or(self.call(cx, action, send)).await;
        answer.unwrap_or_else(|reason| Err(CallError::Cancelled { action, reason }))
    }

    /// Makes a call, and retries it while EC2 throttles it.
    ///
    /// `send` builds the call with the probe as its interceptor. Once sent, waits for the response even after a
    /// cancellation: it says what was created.
    pub(crate) async fn call<O, E, F, Fut>(
        &self,
        cx: &Cx,
        action: &'static str,
        send: F,
    ) -> Result<O, CallError>
    where
        O: RequestId,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        F: Fn(Probe) -> Fut,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        let begun = cx.ambient.monotonic();
        let left = || {
            let waited = cx.ambient.monotonic().saturating_sub(begun);
            self.throttle_patience.saturating_sub(waited)
        };
        let ticket = match self.throttle_patience.is_zero() {
            true => None,
            false => self.rate_limiter.ticket(cx, action),
        };
        let mut refused = None;
        let mut refusals = 0;
        let mut queued = Duration::ZERO;
        loop {
            // Other processes may have queued any number of calls. A read-only command does not wait for all of them.
            let within = cx
                .queues
                .map_or(left(), |longest| left().min(longest.saturating_sub(queued)));
            let sent = match ticket.filter(|_| !within.is_zero()) {
                None => None,
                Some(ticket) => {
                    let entered = cx.ambient.monotonic();
                    let acquired = self.rate_limiter.acquire(cx, ticket, within).await;
                    queued += cx.ambient.monotonic().saturating_sub(entered);
                    match acquired {
                        Ok(acquired) => acquired,
                        Err(reason) => {
                            return Err(refused.unwrap_or(CallError::Cancelled { action, reason }));
                        }
                    }
                }
            };
            let error = match self.once(cx, action, &send).await {
                Err(error) if codes::is_throttling(error.code()) => error,
                answer => {
                    if let (Some(ticket), Some(sent)) = (ticket, sent) {
                        self.rate_limiter.served(cx, ticket, sent).await;
                    }
                    return answer;
                }
            };
            if left().is_zero() {
                return Err(error);
            }
            if let (Some(ticket), Some(sent)) = (ticket, sent) {
                self.rate_limiter.refused(cx, ticket, sent).await;
            } else if pause(cx, action, backoff(cx, refusals)).await.is_err() {
                return Err(error);
            }
            refused = Some(error);
            refusals += 1;
        }
    }

    async fn once<O, E, F, Fut>(
        &self,
        cx: &Cx,
        action: &'static str,
        send: &F,
    ) -> Result<O, CallError>
    where
        O: RequestId,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        F: Fn(Probe) -> Fut,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        // A slow metadata service must not use up the call's own time.
        if let Err(error) = self.keys.load(cx).await {
            return Err(CallError::NoCredentials {
                action,
                region: self.region.clone(),
                source: error.into(),
            });
        }
        let probe = Probe::default();
        let (started, begun) = (cx.ambient.now(), cx.ambient.monotonic());
        // Boxed: the SDK's futures have tens of kilobytes, and a create has dozens of them.
        let answer = Box::pin(send(probe.clone())).await;
        let request_id = match &answer {
            Ok(output) => output.request_id(),
            Err(error) => error.request_id(),
        };
        let request_id = request_id.map(|id| printable(id.as_bytes()));
        self.count_received(probe.bytes.load(Ordering::Relaxed));
        let host = probe.host.get().cloned().unwrap_or_default();
        let result =
            answer.map_err(|error| self.explain(cx, action, host, error, request_id.clone()));
        let mut fields = std::collections::BTreeMap::new();
        fields.insert(
            "attempts",
            probe.attempts.load(Ordering::Relaxed).to_string(),
        );
        fields.insert("region", self.region.clone());
        if let Some(id) = request_id {
            fields.insert("request_id", id);
        }
        cx.events.emit(Event::Ended(Span {
            kind: SpanKind::Api,
            name: action.to_owned(),
            started,
            took: cx.ambient.monotonic().saturating_sub(begun),
            outcome: match &result {
                Ok(_) => SpanOutcome::Ok,
                Err(error) if error.code().is_empty() => SpanOutcome::Failed("no-answer".into()),
                Err(error) => SpanOutcome::Failed(error.code().to_owned()),
            },
            fields,
        }));
        result
    }

    fn explain<E>(
        &self,
        cx: &Cx,
        action: &'static str,
        host: String,
        error: SdkError<E, HttpResponse>,
        request_id: Option<String>,
    ) -> CallError
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let region = self.region.clone();
        if let SdkError::ServiceError(answer) = &error
            && let Some(code) = answer.err().code()
        {
            let message = answer.err().message().unwrap_or("no reason given");
            let shown = readable(message);
            if shown != message {
                // The complete message, for `aws sts decode-authorization-message`.
                cx.debug(format!("{action} was refused: {message}"));
            }
            return CallError::Refused {
                action,
                region,
                code: printable(code.as_bytes()),
                message: shown,
                request_id,
                status: answer.raw().status().as_u16(),
            };
        }
        // Without a code the response is not from EC2, but from a host in between.
        if cause::<CredentialsError>(&error).is_some() {
            let source = error.into_source().unwrap_or_else(Into::into);
            return CallError::NoCredentials {
                action,
                region,
                source,
            };
        }
        if let Some(why) = cause::<Unbounded>(&error) {
            return CallError::Unbounded {
                action,
                region,
                endpoint: host,
                why: why.clone(),
            };
        }
        let source = error.into_source().unwrap_or_else(Into::into);
        CallError::NoAnswer {
            action,
            region,
            endpoint: host,
            source: Cut::of(&*source).into(),
        }
    }
}

/// Returns the delay before a throttled call is retried without a rate limiter record: from half a second up to 15 s,
/// half of it jitter, so that many processes spread out.
fn backoff(cx: &Cx, refusals: i32) -> Duration {
    let longest = (0.5 * 1.6f64.powi(refusals.min(20))).min(15.0);
    let chance = (cx.ambient.random() >> 11) as f64 / (1u64 << 53) as f64;
    Duration::from_secs_f64(longest * (1.0 - 0.5 * chance))
}

/// Waits before a throttled call is retried.
async fn pause(
    cx: &Cx,
    action: &str,
    wait: Duration,
) -> Result<(), WaitError<std::convert::Infallible>> {
    cx.phase(format!("{action}: EC2 throttles"));
    let what = format!("{action} to be no longer throttled");
    let mut waited = wait.is_zero();
    let paused = wait_until_ready(cx, &what, WaitPolicy::every(wait, wait * 2), || {
        let over = std::mem::replace(&mut waited, true);
        async move {
            Ok(if over {
                Look::Ready(())
            } else {
                Look::Pending("throttled".into())
            })
        }
    });
    match paused.await {
        // On an overloaded computer the wait was over before it began.
        Err(WaitError::TimedOut { .. }) => Ok(()),
        paused => paused,
    }
}

/// Returns the error of this type in a chain of sources, if there is one.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    match error.downcast_ref() {
        None => cause(error.source()?),
        found => found,
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

    fn of(error: &(dyn StdError + 'static)) -> Self {
        let unresolved = error.downcast_ref::<Unresolved>();
        Self {
            text: readable(&error.to_string()),
            unresolved: unresolved.map(|error| error.host.clone()),
            source: error.source().map(|source| Box::new(Self::of(source))),
        }
    }
}
