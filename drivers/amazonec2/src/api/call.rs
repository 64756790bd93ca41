//! One EC2 call: traces it, waits out throttling, converts its error, and repeats it if its response was lost or came
//! too early. Disables the SDK's own retries where they would hide a response.

use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::config::retry::RetryConfig;
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
use machine_net::http::authority;
use machine_ops::{
    Cancel, Cx, Event, Look, Span, SpanKind, SpanOutcome, WaitError, WaitPolicy, report_pending,
    wait_until_ready,
};
use machine_types::{one_line, printable};

use crate::api::answer::Unbounded;
use crate::api::call_error::{CallError, Cut, Found, cause, readable, service_of};
use crate::api::client::{Api, FLEET_ATTEMPT};
use crate::api::codes;

/// Retry period of a call whose response was lost.
const LOST: Duration = Duration::from_secs(60);

/// Retry period of a call that does not know a new resource of this create yet.
const NOT_YET_KNOWN: Duration = Duration::from_secs(30);

/// Number of bytes that the debug log shows of a response that is not the service's.
const LONGEST_FOREIGN: usize = 2 << 10;

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

    /// Makes a call, and repeats it while EC2 does not know a group or key pair of this create yet.
    ///
    /// # Errors
    /// Same as [`Api::call_until_accepted`].
    pub(crate) async fn call_until_known<O, E, F, Fut>(
        &self,
        cx: &Cx,
        action: &'static str,
        send: F,
    ) -> Result<O, CallError>
    where
        O: RequestId + Send,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        F: Fn(Probe) -> Fut + Sync,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>> + Send,
    {
        self.call_until_accepted(cx, action, CallError::is_not_yet_known, send)
            .await
    }

    /// Makes a call, and repeats it while it fails with an error that passes.
    ///
    /// # Errors
    /// Returns the first error that does not pass; if there is none within 30 s, the first error of all.
    pub(crate) async fn call_until_accepted<O, E, F, Fut>(
        &self,
        cx: &Cx,
        action: &'static str,
        passes: impl Fn(&CallError) -> bool + Sync,
        send: F,
    ) -> Result<O, CallError>
    where
        O: RequestId + Send,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        F: Fn(Probe) -> Fut + Sync,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>> + Send,
    {
        let first = self.call(cx, action, &send).await;
        let Err(refused) = first else { return first };
        if !passes(&refused) {
            return Err(refused);
        }
        let policy = WaitPolicy::backing_off(
            Duration::from_millis(500),
            Duration::from_secs(4),
            NOT_YET_KNOWN,
        );
        let what = format!("{action} to be accepted: {}", refused.code());
        let again = || self.call(cx, action, &send);
        let accepted = repeat(cx, &what, policy, passes, again).await;
        accepted.unwrap_or(Err(refused))
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
        let sent = Box::pin(send(probe.clone()));
        let what = format!("{}'s answer to {action}", service_of(action));
        let within = match action {
            "CreateFleet" => FLEET_ATTEMPT,
            _ => self.answer_patience,
        };
        let answer = report_pending(cx, (&what, "none yet"), within, sent).await;
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
        if let Some(raw) = error.raw_response() {
            let (status, body) = (raw.status().as_u16(), raw.body().bytes());
            let body = body.unwrap_or_default();
            let shown = &body[..body.len().min(LONGEST_FOREIGN)];
            cx.debug(format!(
                "{action}: HTTP status {status}, {}, body: {}",
                one_line(&error),
                printable(shown)
            ));
            return CallError::Foreign {
                action,
                region,
                endpoint: host,
                status,
                found: Found::of(body),
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

/// Returns a context without cancellation, to wait for the response of a sent call.
pub(crate) fn steady(cx: &Cx) -> Cx {
    cx.with_cancel(Cancel::new())
}

/// Retries a call until its result is certain, `cx` is cancelled, or a minute has passed. In the latter cases returns
/// `None` or the last result.
pub(crate) async fn until_certain<T, E, F, Fut>(
    cx: &Cx,
    what: &str,
    is_uncertain: impl Fn(&E) -> bool,
    ask: F,
) -> Option<Result<T, E>>
where
    E: Display,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let policy = WaitPolicy::backing_off(Duration::from_secs(1), Duration::from_secs(8), LOST);
    repeat(cx, what, policy, is_uncertain, ask).await
}

/// Repeats a call while it fails with an error that passes. Waits for the response of a sent call even if `cx` is
/// cancelled: dropping it would lose the created resource.
async fn repeat<T, E, F, Fut>(
    cx: &Cx,
    what: &str,
    policy: WaitPolicy,
    passes: impl Fn(&E) -> bool,
    ask: F,
) -> Option<Result<T, E>>
where
    E: Display,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let (steady, passes) = (steady(cx), &passes);
    let answered = wait_until_ready(&steady, what, policy, || {
        let asked = ask();
        async move {
            Ok::<_, std::convert::Infallible>(match asked.await {
                Err(error) if passes(&error) && cx.cancel.reason().is_none() => {
                    Look::Pending(error.to_string())
                }
                answer => Look::Ready(answer),
            })
        }
    });
    answered.await.ok()
}

/// Limits an operation to one attempt. The SDK returns only the last response of its own attempts, and a refusal of the
/// second does not show whether the first one launched. The caller retries.
pub(crate) fn one_attempt() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}
