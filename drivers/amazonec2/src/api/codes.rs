//! EC2's error codes, grouped by their meaning for this driver (EC2 API Reference, "Error codes").

/// Returns whether the code means throttling.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "EC2ThrottledException"
            | "SlowDown"
            | "BandwidthLimitExceeded"
    )
}

/// Returns whether an input of a launch is missing: subnet, group, image, VPC, key pair or template.
pub(crate) fn is_missing_input(code: &str) -> bool {
    let named = [
        "InvalidSubnet",
        "InvalidGroup",
        "InvalidSecurityGroup",
        "InvalidAMIID",
        "InvalidVpc",
        "InvalidKeyPair",
        "InvalidLaunchTemplate",
    ];
    named.iter().any(|start| code.starts_with(start)) && !code.ends_with(".Duplicate")
}

/// Returns whether capacity or a quota is exhausted; another candidate may succeed.
pub(crate) fn is_capacity(code: &str) -> bool {
    is_quota(code)
        || is_price(code)
        || matches!(
            code,
            "InsufficientInstanceCapacity"
                | "InsufficientHostCapacity"
                | "InsufficientReservedInstanceCapacity"
                | "ReservationCapacityExceeded"
                | "InsufficientAddressCapacity"
                | "InsufficientCapacity"
                | "InsufficientFreeAddressesInSubnet"
                | "Unsupported"
                | "UnsupportedHostConfiguration"
                | "InsufficientVolumeCapacity"
                | "VolumeTypeNotAvailableInZone"
                | "InsufficientCapacityOnHost"
                | "UnfulfillableCapacity"
                // State reason of a terminated spot instance (EC2 API Reference, StateReason).
                | "SpotInstanceTermination"
                | "SpotInstanceShutdown"
                | "capacity-not-available"
        )
}

/// Returns whether a quota of the account in the region is exhausted. Another zone or subnet does not help, but another
/// instance type may. "The limit depends on the instance type": families share one, and a smaller type may fit into the
/// rest of it.
pub(crate) fn is_quota(code: &str) -> bool {
    matches!(
        code,
        "InstanceLimitExceeded"
            | "VcpuLimitExceeded"
            | "MaxSpotInstanceCountExceeded"
            | "MaxSpotFleetRequestCountExceeded"
    )
}

/// Returns whether the user's price is too low for this instance type in this zone.
pub(crate) fn is_price(code: &str) -> bool {
    matches!(code, "SpotMaxPriceTooLow")
}

/// Returns whether the spot request of a refused launch may stay open. `SpotMaxPriceTooLow` says so ("your request
/// remains open"); `UnfulfillableCapacity` advises to wait for capacity "for your request".
pub(crate) fn may_stay_open(code: &str) -> bool {
    is_price(code) || code == "UnfulfillableCapacity"
}

/// Returns whether the instance of the client token has terminated: the launch succeeded, and a replay gets no answer.
pub(crate) fn is_ended(code: &str) -> bool {
    code == "IdempotentInstanceTerminated"
}

/// Returns whether the credentials are invalid or lack the permission.
pub(crate) fn is_denied(code: &str) -> bool {
    is_bad_credentials(code)
        || matches!(
            code,
            "UnauthorizedOperation"
                | "AccessDenied"
                | "AccessDeniedException"
                | "OptInRequired"
                | "Blocked"
                | "PendingVerification"
        )
}

/// Returns whether the credentials themselves are rejected for every call.
pub(crate) fn is_bad_credentials(code: &str) -> bool {
    matches!(
        code,
        "AuthFailure"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "SignatureDoesNotMatch"
            | "InvalidAccessKeyId"
            | "MissingAuthenticationToken"
    )
}

/// Returns whether a server error leaves it open if the call took effect.
pub(crate) fn is_ambiguous(code: &str, status: u16) -> bool {
    status >= 500 && !is_capacity(code) && !is_throttling(code)
}

/// Returns whether the KMS key of an encrypted volume cannot be used. For a terminated instance, EC2 may report only a
/// client error (EC2 API Reference, StateReason).
pub(crate) fn is_of_kms_key(code: &str) -> bool {
    code == "Client.InternalError"
        || code.contains("InvalidKMSKey")
        || code.contains("InvalidKmsKey")
}
