//! EC2's errors: code, message and HTTP status.
//!
//! Codes and statuses are those of the EC2 API reference, "Error codes".

use std::fmt::Display;

/// An error in EC2's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The code, such as `InvalidInstanceID.NotFound`.
    pub code: String,
    /// The message.
    pub message: String,
}

impl ApiError {
    /// Makes an error with EC2's status for this code.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let code = code.into();
        Self {
            status: status_of(&code),
            code,
            message: message.into(),
        }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            "MissingParameter",
            format!("The request must contain the parameter {parameter}"),
        )
    }

    pub(crate) fn invalid(parameter: &str, value: impl Display) -> Self {
        Self::new(
            "InvalidParameterValue",
            format!("Value ({value}) for parameter {parameter} is invalid."),
        )
    }

    pub(crate) fn combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }
}

/// Returns the HTTP status of an error code: 400 for the caller's errors, 5xx for EC2's own.
fn status_of(code: &str) -> u16 {
    match code {
        "AuthFailure" => 401,
        "UnauthorizedOperation"
        | "OptInRequired"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "Blocked" => 403,
        "DryRunOperation" => 412,
        "InternalError"
        | "InternalFailure"
        | "InsufficientAddressCapacity"
        | "InsufficientCapacity"
        | "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientVolumeCapacity" => 500,
        "RequestLimitExceeded" | "ServiceUnavailable" | "Unavailable" => 503,
        _ => 400,
    }
}
