//! Converts EC2's errors to the driver's errors: their kind and a hint.

use std::sync::Arc;

use machine_driver::{DriverError, DriverErrorKind};

use crate::api::call_error::{CallError, Cut, service_of};
use crate::api::codes;
use crate::api::credentials::SourcesError;
use crate::api::environment::Environment;
use crate::api::permissions::{KMS_GRANTS, policy_hint};

/// Why an existing image may not be found (EC2 User Guide, "Allowed AMIs": an image that does not match the criteria is
/// neither shown nor launched).
pub(crate) const WHERE_IMAGES_HIDE: &str = "check --amazonec2-ami and the region; an image may also be private, or kept out by the account's Allowed AMIs setting";

impl From<CallError> for DriverError {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::Cancelled { reason, .. } => return Self::cancelled(reason),
            CallError::NoAnswer { .. }
            | CallError::Foreign { .. }
            | CallError::Unbounded { .. }
            | CallError::Silent { .. }
            | CallError::Endless { .. } => DriverErrorKind::Unavailable,
            CallError::NoCredentials { .. } => DriverErrorKind::Denied,
            CallError::Unfiltered { .. } => DriverErrorKind::Other,
            CallError::Refused { code, status, .. } => kind_of(code, *status),
        };
        let hint = hint(&error);
        let error = Self::new(kind, error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Returns the setting of a service's endpoint.
fn setting(action: &str) -> &'static str {
    match service_of(action) {
        "STS" => "$AWS_ENDPOINT_URL_STS, --amazonec2-endpoint",
        _ => "--amazonec2-endpoint",
    }
}

/// Tells whether HTTPS goes through a proxy.
fn proxy() -> String {
    match Environment::read().route.https_proxy {
        Some(proxy) => format!("${} is set", proxy.variable),
        None => "$HTTPS_PROXY is not set".to_owned(),
    }
}

fn kind_of(code: &str, status: u16) -> DriverErrorKind {
    if codes::is_denied(code) {
        DriverErrorKind::Denied
    } else if codes::is_capacity(code) {
        DriverErrorKind::Capacity
    } else if codes::is_ended(code) {
        DriverErrorKind::Ended
    } else if codes::is_throttling(code) || status >= 500 {
        DriverErrorKind::Unavailable
    } else if code == "UnsupportedOperation" {
        DriverErrorKind::Unsupported
    } else if code.ends_with(".NotFound") {
        DriverErrorKind::NotFound
    } else {
        DriverErrorKind::Other
    }
}

fn hint(error: &CallError) -> Option<String> {
    match error {
        CallError::NoCredentials { source, .. } => {
            let general = "give --amazonec2-access-key and --amazonec2-secret-key, or set up AWS credentials: \
                           environment variables, a profile (AWS_PROFILE), or an instance role";
            let sources = source.downcast_ref::<Arc<SourcesError>>();
            Some(match sources.and_then(|error| error.hint()) {
                Some(hint) => format!("{hint}; or {general}"),
                None => general.to_owned(),
            })
        }
        CallError::NoAnswer {
            region,
            source,
            endpoint,
            ..
        } => {
            let source = source.downcast_ref::<Cut>()?;
            let proxy = proxy();
            Some(match source.unresolved() {
                None if source.is_not_tls() => format!(
                    "{endpoint} does not speak TLS: if it serves HTTP, give --amazonec2-endpoint with http://"
                ),
                None => format!("check the network and the firewalls on the way to {endpoint}; {proxy}"),
                Some(host) => format!(
                    "cannot resolve {host}: check that {region} is a region of AWS, the network, and the name servers in /etc/resolv.conf; {proxy}"
                ),
            })
        }
        CallError::Foreign {
            action,
            endpoint,
            status,
            ..
        } => {
            let (service, proxy) = (service_of(action), proxy());
            let way_out = format!("check {} and proxies on the way; {proxy}", setting(action));
            Some(match status {
                500.. => format!(
                    "{service} or a proxy in front of it is unavailable: try again later; if it lasts, {way_out}"
                ),
                _ => format!(
                    "what answers at {endpoint} is not {service}, but perhaps a proxy, a login portal or another server: {way_out}"
                ),
            })
        }
        CallError::Unfiltered { .. } => {
            Some("use an EC2 endpoint that applies filters; nothing was removed there".into())
        }
        CallError::Refused {
            action,
            code,
            message,
            ..
        } if code == "UnauthorizedOperation" => Some(policy_hint(action, message)),
        CallError::Refused { code, message, .. }
            if code == "AuthFailure" && message.contains("Not authorized for images") =>
        {
            Some("the image is another account's: have it shared with this account, or give another --amazonec2-ami".into())
        }
        // The first spot launch of an account creates the role (EC2 User Guide, "Service-linked role for Spot Instance
        // requests"; github.com/determined-ai/determined/issues/1830).
        CallError::Refused { code, .. }
            if code == "AuthFailure.ServiceLinkedRoleCreationNotPermitted" =>
        {
            Some("create the role once, as an administrator: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com".into())
        }
        // EC2 returns the same code in a Region that is not enabled for the account (EC2 User Guide, "Regions and
        // Zones").
        CallError::Refused { code, region, .. } if codes::is_bad_credentials(code) => Some(format!(
            "check the AWS credentials, their expiry, this computer's clock, and that {region} is enabled for the account"
        )),
        CallError::Refused { code, .. } if code.starts_with("InvalidAMIID") => {
            Some(WHERE_IMAGES_HIDE.into())
        }
        CallError::Refused { code, .. } if codes::is_of_kms_key(code) => Some(KMS_GRANTS.into()),
        CallError::Refused { code, .. } if codes::is_throttling(code) => {
            Some("too many EC2 calls at once in this account and region; try again later".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_an_explicit_denial_no_permission_is_advised() {
        let refused = CallError::Refused {
            action: "RunInstances",
            region: "us-east-1".into(),
            code: "UnauthorizedOperation".into(),
            message: "User: arn:aws:iam::1:user/u is not authorized to perform: ec2:RunInstances on resource: \
                      arn:aws:ec2:us-east-1:1:instance/* with an explicit deny in a service control policy"
                .into(),
            request_id: None,
            status: 403,
        };
        let hint = hint(&refused).unwrap();
        assert!(hint.contains("no permission helps"), "{hint}");
        assert!(!hint.contains("allow it with"), "{hint}");
    }
}
