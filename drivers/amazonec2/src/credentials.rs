//! Whose keys a call is signed with: the machine's own, or what the SDK's provider chain finds.
//!
//! The chain (environment, profiles, SSO, web identity, container, instance role) is built when its
//! first credentials are asked for. What it finds is never written down.

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_ec2::config::{Region, SharedHttpClient};
use tokio::sync::OnceCell;

use crate::saved::Saved;

/// Returns the machine's credentials.
pub(crate) fn of(
    saved: &Saved,
    region: &str,
    http: &SharedHttpClient,
) -> SharedCredentialsProvider {
    if saved.access_key.is_empty() {
        return chain(region, http);
    }
    let token = &saved.session_token;
    SharedCredentialsProvider::new(Credentials::new(
        saved.access_key.clone(),
        saved.secret_key.expose(),
        (!token.is_empty()).then(|| token.expose().to_owned()),
        None,
        "amazonec2 flags",
    ))
}

/// Returns the provider chain.
pub(crate) fn chain(region: &str, http: &SharedHttpClient) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Chain {
        region: Region::new(region.to_owned()),
        http: http.clone(),
        made: OnceCell::new(),
    })
}

#[derive(Debug)]
struct Chain {
    region: Region,
    http: SharedHttpClient,
    made: OnceCell<DefaultCredentialsChain>,
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let chain = self.made.get_or_init(|| async {
                let config = ProviderConfig::default().with_http_client(self.http.clone());
                DefaultCredentialsChain::builder()
                    .region(self.region.clone())
                    .configure(config)
                    .build()
                    .await
            });
            chain.await.provide_credentials().await
        })
    }
}
