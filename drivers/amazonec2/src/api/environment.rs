//! The environment variables of AWS's tools that concern the way to the service, not a machine.
//!
//! The one place beside the SDK's own provider chain that looks at the environment: proxies and
//! certificates are the network's, and every AWS tool takes them from here.

use std::path::PathBuf;

use aws_credential_types::Credentials;

/// A proxy that a variable names. Its URL may hold a password, and so it has no other Debug.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// The variable, for messages.
    pub variable: &'static str,
    /// A URL; where the variable has a host alone, `http` is meant.
    pub url: String,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.variable)
    }
}

/// What the environment says about the way to AWS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// The certificates to trust instead of the system's.
    pub ca_bundle: Option<String>,
    /// The proxy for plain URLs.
    pub http_proxy: Option<Proxy>,
    /// The proxy for https URLs.
    pub https_proxy: Option<Proxy>,
    /// For whom there is no proxy.
    pub no_proxy: String,
    /// The services that hand out credentials, `HOST:PORT` or `HOST`, where they are not at the usual
    /// addresses of the link.
    pub credential_services: Vec<String>,
    /// The endpoint of the instance metadata service, where it is not at the usual address.
    pub metadata_endpoint: Option<String>,
    /// Whether that service is asked at its IPv6 address.
    pub metadata_ipv6: bool,
    /// Whether it is not asked at all, or not without a session token.
    pub metadata_disabled: bool,
    pub metadata_v1_disabled: bool,
    /// The profile that `AWS_PROFILE` names, where the environment has no keys, which come first.
    pub profile: Option<String>,
    /// The path of a container's credentials.
    pub container_path: Option<String>,
    /// The endpoint of STS, where it is neither AWS's own nor beside EC2.
    pub sts_endpoint: Option<String>,
    /// Whether to use the endpoints with FIPS 140 cryptography.
    pub use_fips: bool,
    /// Whether to use the endpoints that answer over IPv6, too.
    pub use_dual_stack: bool,
}

/// Reads keys from the names that AWS's older SDKs, and so the Go binary, take for
/// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (AWS SDK for Go v1, `EnvProvider`).
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

/// Returns the region that the AWS CLI would use, and what names it: `AWS_REGION`, else the profile in
/// `~/.aws/config`. The Go binary reads neither.
pub(crate) fn region_of_the_cli() -> Option<(String, String)> {
    let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(region) = text("AWS_REGION") {
        return Some(("$AWS_REGION".to_owned(), region));
    }
    let profile = text("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let in_home = || Some(PathBuf::from(text("HOME")?).join(".aws/config"));
    let path = text("AWS_CONFIG_FILE")
        .map(PathBuf::from)
        .or_else(in_home)?;
    // A pipe would be waited for.
    let is_file = std::fs::metadata(&path).is_ok_and(|file| file.is_file());
    let file = is_file.then(|| std::fs::read_to_string(&path).ok())??;
    let region = profile_region(&file, &profile)?.to_owned();
    Some((format!("the profile {profile}"), region))
}

/// Finds a profile's region in a file of the AWS CLI (AWS CLI User Guide, "Configuration and credential file
/// settings").
fn profile_region<'a>(file: &'a str, profile: &str) -> Option<&'a str> {
    let mut is_ours = false;
    for line in file.lines() {
        let bare = line.trim();
        if let Some(section) = bare.strip_prefix('[').and_then(|s| s.split(']').next()) {
            let name = section.strip_prefix("profile ").unwrap_or(section).trim();
            is_ours = name == profile;
        } else if is_ours
            // What is indented belongs to the setting above.
            && !line.starts_with([' ', '\t'])
            && let Some((name, value)) = bare.split_once('=')
            && name.trim() == "region"
        {
            return Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    None
}

impl Environment {
    /// Returns what decides on the way that a call takes, proxies' passwords included.
    pub(crate) fn route(&self) -> [&str; 6] {
        let proxies = [&self.http_proxy, &self.https_proxy];
        let [http, https] = proxies.map(|proxy| proxy.as_ref().map_or("", |proxy| &proxy.url));
        [
            http,
            https,
            &self.no_proxy,
            self.ca_bundle.as_deref().unwrap_or_default(),
            if self.use_fips { "fips" } else { "" },
            if self.use_dual_stack { "dual" } else { "" },
        ]
    }

    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` (or in lower case; `ALL_PROXY` does not count, as for
    /// Go's programs), `AWS_CA_BUNDLE`, `SSL_CERT_FILE`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` and its likes,
    /// `AWS_PROFILE`, `AWS_CONTAINER_CREDENTIALS_FULL_URI`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, `AWS_ENDPOINT_URL_STS`, `AWS_USE_FIPS_ENDPOINT` and
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub(crate) fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let yes = |name| text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let proxy = |names: [&'static str; 2]| {
            let named = |variable| Some((variable, text(variable)?));
            let (variable, given) = names.into_iter().find_map(named)?;
            let url = match given.contains("://") {
                true => given,
                false => format!("http://{given}"),
            };
            Some(Proxy { variable, url })
        };
        let service = |name| Some(authority(&text(name)?).to_owned());
        Self {
            http_proxy: proxy(["HTTP_PROXY", "http_proxy"]),
            https_proxy: proxy(["HTTPS_PROXY", "https_proxy"]),
            no_proxy: text("NO_PROXY")
                .or_else(|| text("no_proxy"))
                .unwrap_or_default(),
            credential_services: [
                "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            ]
            .into_iter()
            .filter_map(service)
            .collect(),
            metadata_endpoint: text("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            metadata_ipv6: text("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
                .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")),
            metadata_disabled: yes("AWS_EC2_METADATA_DISABLED"),
            metadata_v1_disabled: yes("AWS_EC2_METADATA_V1_DISABLED"),
            profile: text("AWS_PROFILE").filter(|_| text("AWS_ACCESS_KEY_ID").is_none()),
            container_path: text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            sts_endpoint: text("AWS_ENDPOINT_URL_STS"),
            ca_bundle: text("AWS_CA_BUNDLE").or_else(|| text("SSL_CERT_FILE")),
            use_fips: yes("AWS_USE_FIPS_ENDPOINT"),
            use_dual_stack: yes("AWS_USE_DUALSTACK_ENDPOINT"),
        }
    }
}

/// Returns `HOST:PORT` of a URL, as it is written there.
pub(crate) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profiles_region_is_found() {
        let file = "[default]\nregion = eu-west-1\n\n[profile ci]\noutput=json\ns3 =\n  region = x\nregion=ap-south-1 \n[profile empty]\n";
        assert_eq!(profile_region(file, "default"), Some("eu-west-1"));
        assert_eq!(profile_region(file, "ci"), Some("ap-south-1"));
        assert_eq!(profile_region(file, "empty"), None);
        assert_eq!(profile_region(file, "none"), None);
    }
}
