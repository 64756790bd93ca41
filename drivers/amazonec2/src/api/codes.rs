//! EC2's error codes, by what they mean for us (EC2 API Reference, "Error codes").

/// Too many calls, for now.
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

/// Something that a launch names is not there: subnet, group, image, VPC, key pair or template.
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

/// No capacity of this kind in this place, or none left of a quota: another candidate may do.
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
                // Of a spot instance that ended (EC2 API Reference, StateReason).
                | "SpotInstanceTermination"
                | "SpotInstanceShutdown"
                | "capacity-not-available"
        )
}

/// A quota of the account in the region: no zone and no subnet helps, but another instance type may. "The limit depends
/// on the instance type": families share one, and a smaller type may fit into what is left of it.
pub(crate) fn is_quota(code: &str) -> bool {
    matches!(
        code,
        "InstanceLimitExceeded"
            | "VcpuLimitExceeded"
            | "MaxSpotInstanceCountExceeded"
            | "MaxSpotFleetRequestCountExceeded"
    )
}

/// The price that the user set is too low for this instance type in this zone.
pub(crate) fn is_price(code: &str) -> bool {
    matches!(code, "SpotMaxPriceTooLow")
}

/// The launch was refused, and the spot request behind it may stay open: `SpotMaxPriceTooLow` says so ("your request
/// remains open"), `UnfulfillableCapacity` advises to wait for capacity "for your request".
pub(crate) fn may_stay_open(code: &str) -> bool {
    is_price(code) || code == "UnfulfillableCapacity"
}

/// The client token's instance has ended: the launch was made, and a replay is answered no more.
pub(crate) fn is_ended(code: &str) -> bool {
    code == "IdempotentInstanceTerminated"
}

/// The credentials are wrong, or may not do this.
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

/// The credentials themselves are refused, whatever they ask for.
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

/// A server's error behind which the act may have been done all the same.
pub(crate) fn is_ambiguous(code: &str, status: u16) -> bool {
    status >= 500 && !is_capacity(code) && !is_throttling(code)
}

/// The KMS key of an encrypted volume cannot be used. Of an instance that ended, EC2 may say just that the client is to
/// blame (EC2 API Reference, StateReason).
pub(crate) fn is_of_kms_key(code: &str) -> bool {
    code == "Client.InternalError"
        || code.contains("InvalidKMSKey")
        || code.contains("InvalidKmsKey")
}
