//! Launch errors: EC2's refusal; for a fleet one refusal for each instance type and subnet.

use aws_sdk_ec2::types::CreateFleetError;
use machine_driver::{DriverError, DriverErrorKind};

use crate::api::call_error::CallError;
use crate::api::codes;
use crate::api::permissions::policy_hint;

/// A launch failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error(transparent)]
    Call(Box<CallError>),
    #[error(
        "the fleet of the launch template {template} launched nothing in region {region}: {}",
        listed(refusals)
    )]
    Fleet {
        template: String,
        region: String,
        refusals: Vec<Refusal>,
    },
}

impl From<CallError> for LaunchError {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

/// EC2's error for one override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Such as `spot t3.small in subnet-1`.
    pub tried: String,
    /// Empty if the template determines it.
    pub instance_type: String,
    /// Empty if the template determines it.
    pub subnet: String,
    pub spot: bool,
    pub code: String,
    pub message: String,
}

fn listed(refusals: &[Refusal]) -> String {
    let one = |r: &Refusal| format!("{}: {} ({})", r.tried, r.message, r.code);
    refusals.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl LaunchError {
    /// Returns whether an instance may have been launched despite the error.
    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_ambiguous())
    }

    /// Returns whether the service rejected the request itself, and not the credentials or the call rate.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            Self::Call(error) => error.is_verdict(),
            Self::Fleet { .. } => true,
        }
    }

    /// Returns whether the refused request may have left an open spot request. Fleets of type `instant` leave none.
    pub(crate) fn may_stay_open(&self) -> bool {
        matches!(self, Self::Call(error) if codes::may_stay_open(error.code()))
    }

    /// Returns code and message of every refusal.
    pub(crate) fn refusals(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Call(error) => vec![(error.code(), error.message())],
            Self::Fleet { refusals, .. } => refusals
                .iter()
                .map(|r| (r.code.as_str(), r.message.as_str()))
                .collect(),
        }
    }

    /// Returns whether every refusal is of the given kind.
    fn all(&self, is: impl Fn(&str) -> bool) -> bool {
        self.refusals().iter().all(|(code, _)| is(code))
    }

    /// Returns the instance type and code of every refusal; uses `instance_type` if EC2 names none.
    pub(crate) fn by_type<'a>(&'a self, instance_type: &'a str) -> Vec<(&'a str, &'a str)> {
        match self {
            Self::Call(error) => vec![(instance_type, error.code())],
            Self::Fleet { refusals, .. } => refusals
                .iter()
                .map(|r| (r.instance_type.as_str(), r.code.as_str()))
                .collect(),
        }
    }

    /// Returns EC2's errors for the overrides of a fleet.
    pub(crate) fn of_overrides(&self) -> &[Refusal] {
        match self {
            Self::Call(_) => &[],
            Self::Fleet { refusals, .. } => refusals,
        }
    }
}

impl Refusal {
    /// Converts one of the errors of a fleet's response.
    pub(crate) fn read(error: &CreateFleetError) -> Self {
        let overrides = error
            .launch_template_and_overrides()
            .and_then(|both| both.overrides());
        let instance_type = overrides.and_then(|o| o.instance_type());
        let instance_type = instance_type.map_or("", |t| t.as_str());
        let what = match instance_type {
            "" => "the template's instance type",
            known => known,
        };
        let place = overrides
            .and_then(|o| o.subnet_id().or(o.availability_zone()))
            .map(|place| format!(" in {place}"))
            .unwrap_or_default();
        let subnet = overrides.and_then(|o| o.subnet_id()).unwrap_or_default();
        let spot = error.lifecycle().is_some_and(|of| of.as_str() == "spot");
        let market = if spot { "spot " } else { "" };
        Self {
            tried: format!("{market}{what}{place}"),
            instance_type: instance_type.to_owned(),
            subnet: subnet.to_owned(),
            spot,
            code: error.error_code().unwrap_or("no code").to_owned(),
            message: crate::api::call_error::readable(
                error.error_message().unwrap_or("no reason given"),
            ),
        }
    }
}

impl From<LaunchError> for DriverError {
    fn from(error: LaunchError) -> Self {
        let error = match error {
            LaunchError::Call(error) => return (*error).into(),
            other => other,
        };
        let denied = error
            .refusals()
            .into_iter()
            .find(|(code, _)| codes::is_denied(code));
        let hint = denied.map(|(_, message)| policy_hint("RunInstances", message));
        let kind = match hint {
            Some(_) => DriverErrorKind::Denied,
            None if error.all(codes::is_capacity) => DriverErrorKind::Capacity,
            None => DriverErrorKind::Other,
        };
        let error = Self::new(kind, error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
