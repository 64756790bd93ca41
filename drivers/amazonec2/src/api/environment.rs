//! Environment variables of AWS's tools that configure the route to the service, not a machine.
//!
//! Only this module, the SDK's provider chain and [`crate::config::cli_region`] read the environment: proxies and
//! certificates belong to the network, and every AWS tool reads them from there.

use aws_credential_types::Credentials;
use machine_net::http::{Route, authority};

/// The link-local metadata services of EC2 and of containers, which are never reached through a proxy.
const LINK_LOCAL: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
];

/// Environment settings for the route to AWS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// Proxies and certificates.
    pub route: Route,
    /// The endpoint of the instance metadata service, if it is not at the usual address.
    pub metadata_endpoint: Option<String>,
    /// Whether to use the service's IPv6 address.
    pub metadata_ipv6: bool,
    /// Whether to skip the service, or to use it only with a session token.
    pub metadata_disabled: bool,
    pub metadata_v1_disabled: bool,
    /// The profile from `AWS_PROFILE`, if the environment has no keys, which take precedence.
    pub profile: Option<String>,
    /// The path of a container's credentials.
    pub container_path: Option<String>,
    /// The endpoint of STS, if it is neither AWS's own nor derived from EC2's.
    pub sts_endpoint: Option<String>,
    /// Whether to use the endpoints with FIPS 140 cryptography.
    pub use_fips: bool,
    /// Whether to use the dual-stack endpoints, which also answer over IPv6.
    pub use_dual_stack: bool,
}

/// Reads keys from the older names that AWS's previous SDKs, and so the Go binary, accept for `AWS_ACCESS_KEY_ID` and
/// `AWS_SECRET_ACCESS_KEY` (AWS SDK for Go v1, `EnvProvider`).
pub(crate) fn older_variables() -> Option<Credentials> {
    let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if text("AWS_ACCESS_KEY_ID").is_some() {
        return None;
    }
    let key = text("AWS_ACCESS_KEY")?;
    let secret = text("AWS_SECRET_ACCESS_KEY").or_else(|| text("AWS_SECRET_KEY"))?;
    let token = text("AWS_SESSION_TOKEN");
    Some(Credentials::new(key, secret, token, None, "environment"))
}

impl Environment {
    /// Returns the settings that determine the route of a call, including proxy passwords.
    pub(crate) fn route(&self) -> [&str; 6] {
        let proxies = [&self.route.http_proxy, &self.route.https_proxy];
        let [http, https] = proxies.map(|proxy| proxy.as_ref().map_or("", |proxy| &proxy.url));
        [
            http,
            https,
            &self.route.no_proxy,
            self.route.ca_bundle.as_deref().unwrap_or_default(),
            if self.use_fips { "fips" } else { "" },
            if self.use_dual_stack { "dual" } else { "" },
        ]
    }

    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` (also in lower case; not `ALL_PROXY`, as in Go's programs),
    /// `AWS_CA_BUNDLE`, `SSL_CERT_FILE`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` and related variables, `AWS_PROFILE`,
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, `AWS_ENDPOINT_URL_STS`,
    /// `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`.
    pub(crate) fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let yes = |name| text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let mut route = Route::read(text);
        route.ca_bundle = text("AWS_CA_BUNDLE").or(route.ca_bundle);
        route.direct = LINK_LOCAL.map(str::to_owned).into();
        for service in [
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ] {
            let url = text(service);
            route
                .direct
                .extend(url.map(|url| authority(&url).to_owned()));
        }
        Self {
            route,
            metadata_endpoint: text("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            metadata_ipv6: text("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
                .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")),
            metadata_disabled: yes("AWS_EC2_METADATA_DISABLED"),
            metadata_v1_disabled: yes("AWS_EC2_METADATA_V1_DISABLED"),
            profile: text("AWS_PROFILE").filter(|_| text("AWS_ACCESS_KEY_ID").is_none()),
            container_path: text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            sts_endpoint: text("AWS_ENDPOINT_URL_STS"),
            use_fips: yes("AWS_USE_FIPS_ENDPOINT"),
            use_dual_stack: yes("AWS_USE_DUALSTACK_ENDPOINT"),
        }
    }
}
