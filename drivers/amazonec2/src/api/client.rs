//! The EC2 client of one machine, built at the first call from only the required parts.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{
    BehaviorVersion, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use machine_net::http::Http;
use machine_ops::Scope;

use crate::api::answer::BoundedHttp;
use crate::api::call_error::CallError;
use crate::api::codes;
use crate::api::credentials::Keys;
use crate::api::environment::Environment;
use crate::api::known_accounts;
use crate::api::rate_limit::RateLimiter;
use crate::api::scope;
use crate::config::saved::Saved;

/// Timeout of a connection. EC2's endpoints are usually in the same region.
const CONNECT: Duration = Duration::from_secs(3);

/// Timeout of one attempt. RunInstances normally answers within seconds.
const ATTEMPT: Duration = Duration::from_secs(12);

/// Timeout of a CreateFleet of type `instant`, which is synchronous and tries one override after another.
pub(crate) const FLEET_ATTEMPT: Duration = Duration::from_secs(120);

/// Maximum wait for EC2's rate limit: 1200 launches through EC2's bucket of 5 and 2/s.
pub(crate) const THROTTLED: Duration = Duration::from_secs(600);

/// The domains of AWS's endpoints, by partition (botocore's `partitions.json`, `dnsSuffix` and `dualStackDnsSuffix`).
const AWS: [&str; 14] = [
    ".amazonaws.com",
    ".api.aws",
    ".amazonaws.com.cn",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".api.amazonwebservices.eu",
    ".c2s.ic.gov",
    ".api.aws.ic.gov",
    ".sc2s.sgov.gov",
    ".api.aws.scloud",
    ".cloud.adc-e.uk",
    ".api.cloud-aws.adc-e.uk",
    ".csp.hci.ic.gov",
    ".api.aws.hci.ic.gov",
];

/// A connection to EC2, with the data that error messages and journals need.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub ec2: aws_sdk_ec2::Client,
    pub region: String,
    /// The endpoint; empty for AWS's own.
    pub endpoint: String,
    /// The account of the credentials, set by the first response that contains it.
    account: Arc<OnceLock<String>>,
    /// Total size of all responses.
    received: Arc<AtomicU64>,
    /// Maximum wait for EC2's rate limit.
    pub throttle_patience: Duration,
    /// Maximum time until a call is answered, or has failed, without the SDK's pauses between its attempts.
    pub answer_patience: Duration,
    /// The token buckets that all processes of the store share.
    pub rate_limiter: RateLimiter,
    http: SharedHttpClient,
    environment: Arc<Environment>,
    /// The credentials that sign the calls.
    pub keys: Keys,
}

impl Api {
    /// Creates a client with the machine's own keys, or with the provider chain if it has none.
    pub(crate) fn new(saved: &Saved, store: &Path) -> Self {
        let environment = Environment::read();
        let http = SharedHttpClient::new(BoundedHttp(Http::new(environment.route.clone())));
        let keys = Keys::of(saved, &region(saved), &http, &environment);
        let rate_limiter = RateLimiter::new(
            store,
            &saved.access_key,
            &region(saved),
            &saved.endpoint_in_use(),
        );
        Self::with(saved, keys, http, environment, rate_limiter)
    }

    /// Creates a client for the same place with the provider chain's credentials.
    pub(crate) fn of_the_environment(&self, saved: &Saved) -> Self {
        Self::with(
            saved,
            Keys::chain(&self.region, &self.http, &self.environment),
            self.http.clone(),
            (*self.environment).clone(),
            self.rate_limiter.of_the_environment(),
        )
    }

    fn with(
        saved: &Saved,
        keys: Keys,
        http: SharedHttpClient,
        environment: Environment,
        rate_limiter: RateLimiter,
    ) -> Self {
        let region = region(saved);
        let retries = saved.retry_count;
        let attempts = u32::try_from(retries.clamp(0, 100)).unwrap_or(0) + 1;
        let mut config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .credentials_provider(keys.clone())
            .http_client(http.clone())
            .timeout_config(timeouts(ATTEMPT))
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(attempts)
                    .with_initial_backoff(Duration::from_millis(300))
                    .with_max_backoff(Duration::from_secs(10)),
            )
            .retry_classifier(NoRetry)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let endpoint = saved.endpoint_in_use();
        config = match endpoint.is_empty() {
            true => config
                .use_fips(environment.use_fips)
                .use_dual_stack(environment.use_dual_stack),
            // An explicit endpoint takes precedence: the SDK rejects the two options together with one.
            false => config.endpoint_url(&endpoint),
        };
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(config.build()),
            region,
            endpoint,
            account: Arc::default(),
            received: Arc::default(),
            answer_patience: ATTEMPT * attempts,
            throttle_patience: if retries < 0 {
                Duration::ZERO
            } else {
                THROTTLED
            },
            rate_limiter,
            http,
            environment: Arc::new(environment),
            keys,
        }
    }

    /// Records the owner of a resource that is certainly the caller's own. Makes no call.
    pub(crate) fn learn_account(&self, owner: Option<&str>) {
        if let Some(owner) = owner.filter(|owner| !owner.is_empty()) {
            // Keeps the first value; all responses contain the same account.
            let _ = self.account.set(owner.to_owned());
            if let Some(key) = self.keys.access_key() {
                known_accounts::remember(&self.endpoint, &key, owner);
            }
        }
    }

    /// Returns the account of the credentials, if a response to this process contained it. Makes no call.
    pub(crate) fn account(&self) -> Option<String> {
        let learned = self.account.get().cloned();
        learned.or_else(|| known_accounts::remembered(&self.endpoint, &self.keys.access_key()?))
    }

    /// Returns the number of response bytes that this client and its clones have read.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn count_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the place of the resources that this client creates, in the form of the journal.
    pub(crate) fn scope(&self) -> Scope {
        let mut scope = scope::place(&self.region, &self.endpoint);
        scope.learn(&scope::of_account(self.account()));
        scope
    }

    /// Returns a client for the place of a resource, if it differs from this client's: the configuration may have
    /// changed since.
    pub(crate) fn of_place(&self, place: &Scope, saved: &Saved) -> Option<Self> {
        let (region, endpoint) = (scope::region(place), scope::endpoint(place));
        let here = region == self.region && endpoint == self.endpoint;
        if here || region.is_empty() {
            return None;
        }
        let elsewhere = Saved {
            region: region.to_owned(),
            endpoint: endpoint.to_owned(),
            ..saved.clone()
        };
        let (keys, http) = (self.keys.clone(), self.http.clone());
        let environment = (*self.environment).clone();
        let endpoint = elsewhere.endpoint_in_use();
        let rate_limiter = self.rate_limiter.elsewhere(region, &endpoint);
        Some(Self::with(
            &elsewhere,
            keys,
            http,
            environment,
            rate_limiter,
        ))
    }

    /// Returns the error for a response without information: the call may have taken effect.
    pub(crate) fn no_answer(&self, action: &'static str, why: &'static str) -> CallError {
        CallError::NoAnswer {
            action,
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            source: why.into(),
        }
    }

    /// Returns the settings that determine the route to EC2. Not for logs and files: they may hold a proxy's password.
    pub(crate) fn route(&self) -> [&str; 6] {
        self.environment.route()
    }

    /// Creates an STS client for the identity of the credentials. Rarely needed, and therefore not kept.
    pub(crate) fn sts(&self) -> aws_sdk_sts::Client {
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.keys.clone())
            .http_client(self.http.clone())
            .timeout_config(timeouts(ATTEMPT))
            .retry_config(RetryConfig::standard().with_max_attempts(2));
        config = match self.sts_endpoint() {
            Some(endpoint) => config.endpoint_url(endpoint),
            None => config
                .use_fips(self.environment.use_fips)
                .use_dual_stack(self.environment.use_dual_stack),
        };
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// Returns the endpoint of STS; `None` for AWS's own endpoint of the region.
    pub(crate) fn sts_endpoint(&self) -> Option<&str> {
        let own = Some(self.endpoint.as_str()).filter(|endpoint| serves_sts(endpoint));
        self.environment.sts_endpoint.as_deref().or(own)
    }
}

/// Returns the timeouts of a call for a given attempt timeout.
pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(attempt)
        .build()
}

/// Returns the signing region. The Go binary saves none if there is an endpoint.
fn region(saved: &Saved) -> String {
    if saved.region.is_empty() {
        "us-east-1".to_owned()
    } else {
        saved.region.clone()
    }
}

/// Returns whether an EC2 endpoint also serves STS. A third-party endpoint does; AWS's own, such as the private
/// endpoints of a VPC, serve EC2 alone.
fn serves_sts(endpoint: &str) -> bool {
    let rest = endpoint.split("://").nth(1).unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    !host.is_empty() && !AWS.iter().any(|domain| host.ends_with(domain))
}

/// Returns the place of a machine's resources, in the form of the journal.
pub(crate) fn scope(saved: &Saved) -> Scope {
    scope::place(&region(saved), &saved.endpoint_in_use())
}

/// Disables retries of a capacity shortage, which EC2 reports as a server error: the caller tries the next candidate
/// instead. The caller also retries throttled calls, for longer than the SDK.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_endpoint_of_aws_serves_ec2_alone() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:5001", true),
            ("https://ec2.cloud.example:8773/services", true),
            ("https://vpce-0a-1b.ec2.eu-west-1.vpce.amazonaws.com", false),
            ("https://ec2.cn-north-1.amazonaws.com.cn:443", false),
            (
                "https://vpce-0a-1b.ec2.us-iso-east-1.vpce.c2s.ic.gov",
                false,
            ),
            ("https://ec2.us-isob-east-1.sc2s.sgov.gov", false),
            ("https://ec2.eu-isoe-west-1.cloud.adc-e.uk", false),
            ("https://ec2.us-isof-south-1.csp.hci.ic.gov", false),
            ("", false),
        ] {
            assert_eq!(serves_sts(endpoint), expected, "{endpoint}");
        }
    }

    /// Checks hosts against botocore's `partitions.json`. Behind a private EC2 endpoint, STS is still called at these.
    #[tokio::test]
    async fn sts_has_a_host_in_every_partition() {
        use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
        for (region, host) in [
            ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu"),
            ("us-iso-east-1", "sts.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "sts.us-isob-east-1.sc2s.sgov.gov"),
            ("eu-isoe-west-1", "sts.eu-isoe-west-1.cloud.adc-e.uk"),
            ("us-isof-south-1", "sts.us-isof-south-1.csp.hci.ic.gov"),
        ] {
            let params = Params::builder().region(region).build().unwrap();
            let endpoint = DefaultResolver::new().resolve_endpoint(&params).await;
            let url = format!("https://{host}");
            assert_eq!(endpoint.unwrap().url(), url);
            assert!(!serves_sts(&url), "{url}");
        }
    }
}
