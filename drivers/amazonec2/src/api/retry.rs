//! What the SDK must not retry by itself.

use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};

use crate::api::codes;

/// Makes an operation go out once only: of the SDK's own attempts the last answer alone is told, and a refusal
/// of the second says nothing about what the first has launched. Whoever sends it repeats it himself.
pub(crate) fn one_attempt() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

/// Forbids retries of a want of capacity, which EC2 reports as a server's error: the next
/// candidate is the answer to it. Throttling is retried by the caller, who has more patience.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoRetry;

impl ClassifyRetry for NoRetry {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let body = context
            .response()
            .and_then(|response| response.body().bytes());
        let text = body.map(String::from_utf8_lossy).unwrap_or_default();
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        match code {
            Some((code, _)) if codes::is_capacity(code) || codes::is_throttling(code) => {
                RetryAction::RetryForbidden
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "capacity and throttling"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
