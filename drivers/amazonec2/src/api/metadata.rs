//! Credentials of the instance's role, from the instance metadata service (IMDS).
//!
//! The SDK's client panics on a role name that is not valid in a path, never falls back to IMDSv1, and retries requests
//! whose answer does not change. This client requests a session token, the role's name, and its credentials.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::http::{
    HttpConnector as _, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use http_body_util::BodyExt as _;
use machine_net::http::Http;
use machine_ops::{Cx, Look, WaitError, WaitPolicy, report_pending, wait_until_ready};
use serde::Deserialize;

use crate::api::answer::BoundedConnector;
use crate::api::environment::Environment;

const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// Timeout of a connection: a lost SYN is repeated after 1 and 3 s (tcp(7), `tcp_syn_retries`).
const CONNECT: Duration = Duration::from_secs(5);

/// Timeout of a session token before IMDSv1 is tried as well.
const HEAD_START: Duration = Duration::from_secs(2);

/// Retry period for a service that returns a server error (500, 502, …).
const BROKEN: Duration = Duration::from_secs(3);

/// Retry period for a slow or overloaded service (429, 503): two hundred processes may query it at once, and EC2
/// throttles it (EC2 User Guide, "Query throttling").
const BUSY: Duration = Duration::from_secs(10);
const BUSY_ON_EC2: Duration = Duration::from_secs(90);

/// Time for which the last credentials of the service are used after their expiry (AWS SDKs and Tools Reference Guide,
/// "IMDS credential provider", static stability).
const EXTENDED: Duration = Duration::from_secs(10 * 60);

/// Why there are no credentials of an instance role.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("the instance metadata service is switched off: AWS_EC2_METADATA_DISABLED is set")]
    Disabled,
    #[error("invalid endpoint of the instance metadata service {0:?}: expected http://HOST:PORT")]
    Endpoint(String),
    #[error("cannot connect to the instance metadata service at {endpoint}: {cause}")]
    Unreachable { endpoint: String, cause: String },
    #[error(
        "the instance metadata service at {endpoint} accepts connections and does not answer a request for {what} \
         within {} s", within.as_secs()
    )]
    Silent {
        endpoint: String,
        what: &'static str,
        within: Duration,
    },
    #[error("the instance metadata service at {endpoint} has no answer for {what} within {} s: {last}", within.as_secs())]
    Busy {
        endpoint: String,
        what: &'static str,
        within: Duration,
        last: String,
    },
    #[error("the instance metadata service at {endpoint} refuses {what}: HTTP status {status}")]
    Refused {
        endpoint: String,
        what: &'static str,
        status: u16,
    },
    #[error("the instance has no role: the instance metadata service at {0} knows none")]
    NoRole(String),
    #[error(
        "what answers at {endpoint} is no instance metadata service: it gives something else for {what}"
    )]
    Nonsense {
        endpoint: String,
        what: &'static str,
    },
    #[error(
        "the instance metadata service has no credentials of the role {role}: {message} ({code})"
    )]
    OfRole {
        role: String,
        code: String,
        message: String,
    },
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}

impl MetadataError {
    /// Returns a hint, if there is one besides using other credentials.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Silent { what: TOKEN, .. } => Some(
                "in a container, session tokens (IMDSv2) need a hop limit of 2: aws ec2 modify-instance-metadata-options \
                 --instance-id ID --http-put-response-hop-limit 2",
            ),
            Self::NoRole(_) => Some("attach an IAM role to the instance"),
            _ => None,
        }
    }
}

const TOKEN: &str = "a session token";
const ROLE: &str = "the role's name";
const CREDENTIALS: &str = "the role's credentials";

/// A request to the service.
#[derive(Debug)]
struct Question<'a> {
    what: &'static str,
    method: &'static str,
    path: String,
    header: Option<(&'static str, &'a str)>,
}

impl<'a> Question<'a> {
    fn get(what: &'static str, path: String, session: &'a Session) -> Self {
        let header = match session {
            Session::V2(token) => Some((TOKEN_HEADER, token.as_str())),
            Session::V1 => None,
        };
        Self {
            what,
            method: "GET",
            path,
            header,
        }
    }
}

/// The protocol version of the session.
#[derive(Clone)]
enum Session {
    /// IMDSv2 with this session token.
    V2(String),
    V1,
}

/// A request without a response.
enum Lost {
    /// The connection failed.
    Unreachable(String),
    /// The connection was made, but no response came.
    Silent,
}

/// The service, with the context of the operation.
#[derive(Clone)]
pub(crate) struct Metadata {
    cx: Cx,
    http: SharedHttpConnector,
    endpoint: String,
    is_disabled: bool,
    allows_v1: bool,
    /// Retry period for a service that exists.
    busy: Duration,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Metadata").field(&self.endpoint).finish()
    }
}

impl Metadata {
    /// Creates a client of the service. `configured` is the endpoint from the AWS configuration file.
    pub(crate) fn new(cx: &Cx, environment: &Environment, configured: Option<&str>) -> Self {
        let given = environment.metadata_endpoint.as_deref().or(configured);
        let usual = match environment.metadata_ipv6 {
            true => IPV6,
            false => IPV4,
        };
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT);
        Self {
            cx: cx.clone(),
            http: SharedHttpConnector::new(BoundedConnector(
                Http::new(environment.route.clone()).connector(&settings.build()),
            )),
            endpoint: given.unwrap_or(usual).trim_end_matches('/').to_owned(),
            is_disabled: environment.metadata_disabled,
            allows_v1: !environment.metadata_v1_disabled,
            // An explicit endpoint means that there is a service.
            busy: match given.is_some() || is_on_ec2() {
                true => BUSY_ON_EC2,
                false => BUSY,
            },
        }
    }

    /// Returns the credentials of the instance's role.
    pub(crate) async fn credentials(&self) -> Result<Credentials, MetadataError> {
        if self.is_disabled {
            return Err(MetadataError::Disabled);
        }
        if !self.endpoint.starts_with("http://") && !self.endpoint.starts_with("https://") {
            return Err(MetadataError::Endpoint(self.endpoint.clone()));
        }
        let (session, role) = self.session().await?;
        let role = match role {
            Some(role) => role,
            None => {
                let question = Question::get(ROLE, ROLES.to_owned(), &session);
                self.role_in(self.ask(&question).await)?
            }
        };
        let question = Question::get(CREDENTIALS, format!("{ROLES}{role}"), &session);
        let text = self.ask(&question).await?;
        self.read(&role, &text)
    }

    /// Opens a session with a token. Uses IMDSv1 if the service has no tokens or none arrives (a hop limit of 1 keeps
    /// it from a container); the role's name is then known already.
    async fn session(&self) -> Result<(Session, Option<String>), MetadataError> {
        let question = Question {
            what: TOKEN,
            method: "PUT",
            path: "/latest/api/token".to_owned(),
            header: Some(("x-aws-ec2-metadata-token-ttl-seconds", "300")),
        };
        let mut asked = std::pin::pin!(self.ask(&question));
        let answer = match tokio::time::timeout(HEAD_START, &mut asked).await {
            Ok(answer) => answer,
            Err(_) => {
                let what = format!("instance metadata service {}", self.endpoint);
                self.cx.phase(what.clone());
                // EC2's own service is asked again, another one is not.
                let within = if is_on_ec2() { self.busy } else { BUSY };
                let answer = async {
                    tokio::select! {
                        answer = &mut asked => Ok(answer),
                        Some(role) = self.role_without_session() => Err(role),
                    }
                };
                let left = within.saturating_sub(HEAD_START);
                match report_pending(&self.cx, (&what, "no answer yet"), left, answer).await {
                    Ok(answer) => answer,
                    Err(role) => return Ok((Session::V1, Some(role))),
                }
            }
        };
        match answer {
            // A header can hold only visible characters.
            Ok(token)
                if is_word(&token, 1024, |b| b.is_ascii_graphic()) && !token.contains('<') =>
            {
                Ok((Session::V2(token), None))
            }
            Ok(_) => Err(self.nonsense(TOKEN)),
            Err(
                refused @ MetadataError::Refused {
                    status: 403..=405, ..
                },
            ) => {
                let role = self.role_without_session().await;
                role.map(|role| (Session::V1, Some(role))).ok_or(refused)
            }
            Err(error) => Err(error),
        }
    }

    async fn role_without_session(&self) -> Option<String> {
        if !self.allows_v1 {
            return None;
        }
        let question = Question::get(ROLE, ROLES.to_owned(), &Session::V1);
        let answer = self.once(&question, BUSY).await.ok()?;
        let role = match answer {
            (200, text) => self.role_in(Ok(text)).ok()?,
            _ => return None,
        };
        self.cx.debug(format!(
            "the instance metadata service at {} answers without a session token (IMDSv1)",
            self.endpoint
        ));
        Some(role)
    }

    /// Parses the role's name: IAM permits letters, digits and `+=,.@_-` in it (IAM User Guide, "IAM and AWS STS
    /// quotas"), and EC2 gives one role to an instance.
    fn role_in(&self, answer: Result<String, MetadataError>) -> Result<String, MetadataError> {
        let text = match answer {
            Err(MetadataError::Refused { status: 404, .. }) => {
                return Err(MetadataError::NoRole(self.endpoint.clone()));
            }
            answer => answer?,
        };
        let role = text.lines().next().unwrap_or_default();
        let permitted = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
        match is_word(role, 128, permitted) {
            true => Ok(role.to_owned()),
            false => Err(self.nonsense(ROLE)),
        }
    }

    fn read(&self, role: &str, text: &str) -> Result<Credentials, MetadataError> {
        let answer: Answer = serde_json::from_str(text).map_err(|_| self.nonsense(CREDENTIALS))?;
        if let Some(code) = answer.code.filter(|code| code != "Success") {
            return Err(MetadataError::OfRole {
                role: role.to_owned(),
                code,
                message: answer.message.unwrap_or_else(|| "no reason given".into()),
            });
        }
        let graphic = |text: &String| is_word(text, 64 << 10, |b| b.is_ascii_graphic());
        let (key, secret) = (answer.access_key_id, answer.secret_access_key);
        let pair = key.filter(graphic).zip(secret.filter(graphic));
        let (key, secret) = pair.ok_or_else(|| self.nonsense(CREDENTIALS))?;
        let now = self.cx.ambient.now();
        let expiry = answer.expiration.and_then(|text| moment(&text));
        let expiry = expiry.map(|end| match end > now {
            true => end,
            false => now.checked_add(EXTENDED).unwrap_or(end),
        });
        let token = answer.token.filter(graphic);
        Ok(Credentials::new(
            key,
            secret,
            token,
            expiry,
            "instance role",
        ))
    }

    /// Sends a request until there is a response, or no retry can succeed.
    async fn ask(&self, question: &Question<'_>) -> Result<String, MetadataError> {
        let cx = &self.cx;
        let begun = cx.ambient.monotonic();
        let refused = |status| MetadataError::Refused {
            endpoint: self.endpoint.clone(),
            what: question.what,
            status,
        };
        let policy =
            WaitPolicy::backing_off(Duration::from_secs(1), Duration::from_secs(10), self.busy);
        let what = format!("{} of the instance metadata service", question.what);
        let answer = wait_until_ready(cx, &what, policy, || async {
            let waited = || cx.ambient.monotonic().saturating_sub(begun);
            let before = waited();
            match self.once(question, BUSY).await {
                Ok((200, text)) => Ok(Look::Ready(text)),
                Ok((status @ (429 | 503), _)) => Ok(Look::Pending(format!("HTTP status {status}"))),
                Ok((status @ 500.., _)) if before < BROKEN => {
                    Ok(Look::Pending(format!("HTTP status {status}")))
                }
                Ok((status, _)) => Err(refused(status)),
                // Other services have had their timeout; EC2's own is retried.
                Err(Lost::Silent) if is_on_ec2() => Ok(Look::Pending("no answer".to_owned())),
                Err(Lost::Silent) => Err(self.silent(question.what, BUSY)),
                // EC2's own service drops packets under load.
                Err(Lost::Unreachable(cause))
                    if is_on_ec2() && before < CONNECT && waited() >= CONNECT =>
                {
                    Ok(Look::Pending(cause))
                }
                Err(Lost::Unreachable(cause)) => Err(MetadataError::Unreachable {
                    endpoint: self.endpoint.clone(),
                    cause,
                }),
            }
        });
        answer.await.map_err(|error| match error {
            WaitError::Failed(error) => error,
            WaitError::Cancelled(reason) => MetadataError::Cancelled(reason),
            WaitError::TimedOut { last, .. } => MetadataError::Busy {
                endpoint: self.endpoint.clone(),
                what: question.what,
                within: self.busy,
                last,
            },
        })
    }

    async fn once(&self, question: &Question<'_>, within: Duration) -> Result<(u16, String), Lost> {
        let request = self
            .request(question)
            .ok_or_else(|| Lost::Unreachable("invalid endpoint".to_owned()))?;
        let answer = async {
            let answer = self.http.call(request).await;
            let answer = answer.map_err(|error| {
                let source = error.into_source();
                Lost::Unreachable(machine_types::one_line(&*source))
            })?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let answer = tokio::time::timeout(within, answer).await;
        answer.unwrap_or(Err(Lost::Silent))
    }

    fn request(&self, question: &Question<'_>) -> Option<HttpRequest> {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_method(question.method).ok()?;
        request
            .set_uri(format!("{}{}", self.endpoint, question.path))
            .ok()?;
        if let Some((name, value)) = question.header {
            request
                .headers_mut()
                .try_insert(name, value.to_owned())
                .ok()?;
        }
        Some(request)
    }

    fn silent(&self, what: &'static str, within: Duration) -> MetadataError {
        MetadataError::Silent {
            endpoint: self.endpoint.clone(),
            what,
            within,
        }
    }

    fn nonsense(&self, what: &'static str) -> MetadataError {
        MetadataError::Nonsense {
            endpoint: self.endpoint.clone(),
            what,
        }
    }
}

/// Provides credentials for profiles with `credential_source = Ec2InstanceMetadata`.
impl ProvideCredentials for Metadata {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.credentials().await;
            found.map_err(CredentialsError::provider_error)
        })
    }
}

/// The service's response to a request for credentials (EC2 User Guide, "Retrieve security credentials from instance
/// metadata").
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

fn moment(text: &str) -> Option<SystemTime> {
    let moment = DateTime::from_str(text, Format::DateTime).ok()?;
    SystemTime::try_from(moment).ok()
}

fn is_word(text: &str, longest: usize, is: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(is)
}

/// Returns whether the firmware identifies this computer as an EC2 instance (EC2 User Guide, "Determine whether a Linux
/// computer is an EC2 instance").
fn is_on_ec2() -> bool {
    let read = |name: &str| std::fs::read_to_string(format!("/sys/class/dmi/id/{name}"));
    let says = |name, is: fn(&str) -> bool| read(name).is_ok_and(|text| is(text.trim()));
    says("sys_vendor", |vendor| vendor == "Amazon EC2")
        || says("board_asset_tag", |tag| tag.starts_with("i-"))
}
