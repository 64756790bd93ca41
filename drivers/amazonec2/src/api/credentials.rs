//! Credentials of a call: the machine's own, or those from AWS's provider chain.
//!
//! The chain (environment, profiles, SSO, web identity, container, instance role) is built when its first credentials
//! are requested. Its result is kept in this process and never written to disk, so every process loads its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileFileLoadError, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_ec2::config::{Region, SharedHttpClient};
use aws_types::os_shim_internal::{Env, Fs};
use machine_ops::Cx;
use machine_types::one_line;
use tokio::sync::OnceCell;

use crate::api::environment::{self, Environment};
use crate::api::metadata::{Metadata, MetadataError};
use crate::config::saved::Saved;

/// Credentials are replaced this long before they expire, so that a call completes before the expiry.
const MARGIN: Duration = Duration::from_secs(60);

/// A failed lookup is not repeated for this long, since it may have taken seconds.
const FAILED: Duration = Duration::from_secs(60);

/// Why the provider chain has no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    #[error("cannot use the AWS configuration files")]
    Files(#[from] ProfileFileLoadError),
    #[error(
        "cannot find the AWS profile {0:?}, which AWS_PROFILE names, in the AWS configuration files"
    )]
    NoProfile(String),
    #[error(
        "invalid AWS_CONTAINER_CREDENTIALS_RELATIVE_URI {0:?}: expected a path that begins with /"
    )]
    ContainerPath(String),
    #[error("cannot use the login session of the AWS profile {profile:?}")]
    LoginSession {
        profile: String,
        #[source]
        source: CredentialsError,
    },
    #[error(
        "cannot get AWS credentials from the environment, a profile, a web identity or a container"
    )]
    Source(#[source] CredentialsError),
    #[error("neither environment, profile, web identity nor container has AWS credentials")]
    None(#[source] MetadataError),
}

impl SourcesError {
    /// Returns a hint, if there is one besides using other credentials.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::None(error) => error.hint().map(str::to_owned),
            Self::LoginSession { profile, .. } => {
                Some(format!("log in again: aws login --profile {profile}"))
            }
            _ => None,
        }
    }
}

/// A source of credentials. Clones share its result.
#[derive(Debug, Clone)]
pub(crate) struct Keys(Arc<Source>);

#[derive(Debug)]
enum Source {
    Given(Credentials),
    Chain(Box<Chain>),
}

impl Keys {
    /// Returns the machine's own credentials, or the provider chain if it has none.
    pub(crate) fn of(
        saved: &Saved,
        region: &str,
        http: &SharedHttpClient,
        environment: &Environment,
    ) -> Self {
        if saved.access_key.is_empty() {
            return Self::chain(region, http, environment);
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
    pub(crate) fn chain(region: &str, http: &SharedHttpClient, environment: &Environment) -> Self {
        Self(Arc::new(Source::Chain(Box::new(Chain {
            region: Region::new(region.to_owned()),
            http: http.clone(),
            environment: environment.clone(),
            made: OnceCell::new(),
            found: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))))
    }

    /// Returns the access key ID, if it is known without a query.
    pub(crate) fn access_key(&self) -> Option<String> {
        let known = match &*self.0 {
            Source::Given(given) => Some(given.clone()),
            Source::Chain(chain) => chain.found(),
        };
        known.map(|credentials| credentials.access_key_id().to_owned())
    }

    /// Loads the credentials before the timeout of a call starts.
    pub(crate) async fn load(&self, cx: &Cx) -> Result<(), Arc<SourcesError>> {
        let Source::Chain(chain) = &*self.0 else {
            return Ok(());
        };
        let now = cx.ambient.now();
        let lasts = |found: Credentials| found.expiry().is_none_or(|end| end > now + MARGIN);
        // Parallel calls share one lookup.
        let mut turn = chain.turn.lock().await;
        if chain.found().is_some_and(lasts) {
            return Ok(());
        }
        let since = |at: &Duration| cx.ambient.monotonic().saturating_sub(*at);
        if let Some((at, failed)) = &*turn
            && since(at) < FAILED
        {
            return Err(failed.clone());
        }
        chain.ask(cx).await.map_err(|error| {
            let error = Arc::new(error);
            *turn = Some((cx.ambient.monotonic(), error.clone()));
            error
        })
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
                None => {
                    let none = CredentialsError::not_loaded("the provider chain was not asked");
                    future::ProvideCredentials::ready(Err(none))
                }
            },
        }
    }
}

#[derive(Debug)]
struct Chain {
    region: Region,
    http: SharedHttpClient,
    environment: Environment,
    made: OnceCell<Sources>,
    found: Mutex<Option<Credentials>>,
    /// Held during a lookup; contains the time and the error of the last failed one.
    turn: tokio::sync::Mutex<Option<(Duration, Arc<SourcesError>)>>,
}

/// Sources of credentials, in their order.
#[derive(Debug)]
struct Sources {
    chain: CredentialsProviderChain,
    metadata: Metadata,
    /// The first profile in the chain with a `login_session`.
    login_session: Option<String>,
}

impl Chain {
    fn found(&self) -> Option<Credentials> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    async fn ask(&self, cx: &Cx) -> Result<(), SourcesError> {
        let found = match environment::older_variables() {
            Some(found) => found,
            None => self.first(cx).await?,
        };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(())
    }

    /// Returns the credentials of the first source that has any.
    async fn first(&self, cx: &Cx) -> Result<Credentials, SourcesError> {
        let sources = self.made.get_or_try_init(|| self.sources(cx)).await?;
        match sources.chain.provide_credentials().await {
            Ok(found) => return Ok(found),
            Err(none @ CredentialsError::CredentialsNotLoaded(_)) => cx.debug(one_line(none)),
            Err(source) => {
                return Err(match sources.login_session.clone() {
                    Some(profile) => SourcesError::LoginSession { profile, source },
                    None => SourcesError::Source(source),
                });
            }
        }
        sources
            .metadata
            .credentials()
            .await
            .map_err(SourcesError::None)
    }

    async fn sources(&self, cx: &Cx) -> Result<Sources, SourcesError> {
        let environment = &self.environment;
        let files = EnvConfigFiles::default();
        let profiles = profile::load(&Fs::real(), &Env::real(), &files, None).await?;
        // The SDK's chain skips a profile that does not exist.
        if let Some(name) = &environment.profile
            && profiles.get_profile(name).is_none()
        {
            return Err(SourcesError::NoProfile(name.clone()));
        }
        // The SDK panics on an invalid path.
        if let Some(path) = &environment.container_path
            && !path.starts_with('/')
        {
            return Err(SourcesError::ContainerPath(path.clone()));
        }
        let metadata = Metadata::new(
            cx,
            environment,
            profiles.get("ec2_metadata_service_endpoint"),
        );
        let config = ProviderConfig::default()
            .with_http_client(self.http.clone())
            .with_region(Some(self.region.clone()));
        let profile = ProfileFileCredentialsProvider::builder()
            .with_custom_provider("Ec2InstanceMetadata", metadata.clone())
            .configure(&config)
            .build();
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(&config);
        let container = EcsCredentialsProvider::builder().configure(&config);
        let environment = EnvironmentVariableCredentialsProvider::new();
        let chain = CredentialsProviderChain::first_try("Environment", environment)
            .or_else("Profile", profile)
            .or_else("WebIdentityToken", web_identity.build())
            .or_else("EcsContainer", container.build());
        Ok(Sources {
            chain,
            metadata,
            login_session: login_session(&profiles),
        })
    }
}

/// Returns the profile with the login session of `aws login`, if the chosen profile leads to one.
fn login_session(profiles: &ProfileSet) -> Option<String> {
    let mut name = profiles.selected_profile();
    // Profiles may reference each other in a cycle.
    for _ in 0..profiles.profiles().count() {
        let profile = profiles.get_profile(name)?;
        if profile.get("login_session").is_some() {
            return Some(name.to_owned());
        }
        name = profile.get("source_profile")?;
    }
    None
}
