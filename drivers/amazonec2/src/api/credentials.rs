//! Whose keys a call is signed with: the machine's own, or what the SDK's provider chain finds.
//!
//! The chain (environment, profiles, SSO, web identity, container, instance role) is built when its
//! first credentials are asked for. What it finds is kept in this process and never written down, so
//! every process asks for itself: the metadata service is asked with patience.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_ec2::config::{Region, SharedHttpClient};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, SharedRetryClassifier,
};
use tokio::sync::OnceCell;

use crate::api::environment;
use crate::config::saved::Saved;

/// How long before their end credentials are replaced: a call that was sent with them is through by then.
const MARGIN: Duration = Duration::from_secs(60);

/// A link-local service drops packets of those who ask too often (EC2 User Guide, "Query throttling"):
/// time enough for the two repetitions of a lost SYN.
const METADATA_CONNECT: Duration = Duration::from_secs(4);

/// A service that two hundred processes ask at once answers late.
const METADATA_READ: Duration = Duration::from_secs(15);

/// How long one question is asked again, and how often: the SDK doubles the pause up to 20 s.
const METADATA_PATIENCE: Duration = Duration::from_secs(90);
const METADATA_ATTEMPTS: u32 = 30;

/// After so many attempts in a row without any answer there is no metadata service here.
const SILENT_ATTEMPTS: u32 = 2;

/// A source of credentials. Clones share what it has found.
#[derive(Debug, Clone)]
pub(crate) struct Keys(Arc<Source>);

#[derive(Debug)]
enum Source {
    Given(Credentials),
    Chain(Chain),
}

impl Keys {
    /// Returns the machine's own, or the provider chain where it has none.
    pub(crate) fn of(saved: &Saved, region: &str, http: &SharedHttpClient) -> Self {
        if saved.access_key.is_empty() {
            return Self::chain(region, http);
        }
        let token = &saved.session_token;
        Self(Arc::new(Source::Given(Credentials::new(
            saved.access_key.clone(),
            saved.secret_key.expose(),
            (!token.is_empty()).then(|| token.expose().to_owned()),
            None,
            "amazonec2 flags",
        ))))
    }

    /// Returns the provider chain.
    pub(crate) fn chain(region: &str, http: &SharedHttpClient) -> Self {
        Self(Arc::new(Source::Chain(Chain {
            region: Region::new(region.to_owned()),
            http: http.clone(),
            made: OnceCell::new(),
            found: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })))
    }

    /// Returns the access key ID, where it is known without asking anybody.
    pub(crate) fn access_key(&self) -> Option<String> {
        let known = match &*self.0 {
            Source::Given(given) => Some(given.clone()),
            Source::Chain(chain) => chain.found(),
        };
        known.map(|credentials| credentials.access_key_id().to_owned())
    }

    /// Makes sure that there are credentials, before the time limit of a call begins to count.
    pub(crate) async fn load(&self, now: SystemTime) -> Result<(), CredentialsError> {
        let Source::Chain(chain) = &*self.0 else {
            return Ok(());
        };
        let lasts = |found: Credentials| found.expiry().is_none_or(|end| end > now + MARGIN);
        // Calls that are made at once ask once.
        let _turn = chain.turn.lock().await;
        if !chain.found().is_some_and(lasts) {
            chain.ask().await?;
        }
        Ok(())
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match &*self.0 {
            Source::Given(given) => future::ProvideCredentials::ready(Ok(given.clone())),
            Source::Chain(chain) => match chain.found() {
                Some(found) => future::ProvideCredentials::ready(Ok(found)),
                None => future::ProvideCredentials::new(chain.ask()),
            },
        }
    }
}

#[derive(Debug)]
struct Chain {
    region: Region,
    http: SharedHttpClient,
    made: OnceCell<DefaultCredentialsChain>,
    found: Mutex<Option<Credentials>>,
    turn: tokio::sync::Mutex<()>,
}

impl Chain {
    fn found(&self) -> Option<Credentials> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        if let Some(found) = environment::older_variables() {
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
            return Ok(found);
        }
        let chain = self.made.get_or_init(|| async {
            let config = ProviderConfig::default().with_http_client(self.http.clone());
            DefaultCredentialsChain::builder()
                .region(self.region.clone())
                .imds_client(metadata_service(&config))
                .configure(config)
                .build()
                .await
        });
        let found = chain.await.provide_credentials().await?;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }
}

fn metadata_service(config: &ProviderConfig) -> imds::Client {
    imds::Client::builder()
        .configure(config)
        .connect_timeout(METADATA_CONNECT)
        .read_timeout(METADATA_READ)
        .operation_attempt_timeout(METADATA_CONNECT + METADATA_READ)
        .operation_timeout(METADATA_PATIENCE)
        .max_attempts(METADATA_ATTEMPTS)
        .retry_classifier(SharedRetryClassifier::new(Patience::default()))
        .build()
}

/// Asks a metadata service that has answered again and again, and gives up soon where none answers.
#[derive(Debug, Default)]
struct Patience {
    silent: AtomicU32,
}

impl ClassifyRetry for Patience {
    fn name(&self) -> &'static str {
        "a metadata service that many ask"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(response) = context.response() else {
            let silent = self.silent.fetch_add(1, Ordering::Relaxed) + 1;
            return match silent < SILENT_ATTEMPTS {
                true => RetryAction::transient_error(),
                false => RetryAction::RetryForbidden,
            };
        };
        self.silent.store(0, Ordering::Relaxed);
        match response.status().as_u16() {
            // 401: the token has expired.
            401 | 429 | 500.. => RetryAction::server_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }
}
