//! The flags of `create --driver amazonec2`, including the names of all forks that users migrate from.
//!
//! `configure` interprets their values.

use machine_driver::FlagSpec;

use crate::config::region::KNOWN_REGIONS;

/// Login name for an image without a known one.
pub(crate) const SSH_USER: &str = "ubuntu";

/// The groups of the flags in the help, as in docs/amazonec2.md, and the flag names without the prefix.
const GROUPS: [(&str, &[&str]); 6] = [
    (
        "Access",
        &[
            "access-key",
            "secret-key",
            "session-token",
            "region",
            "endpoint",
            "insecure-transport",
            "retries",
        ],
    ),
    (
        "The instance",
        &[
            "ami",
            "instance-type",
            "device-name",
            "root-size",
            "volume-type",
            "volume-iops",
            "volume-throughput",
            "volume-encrypted",
            "encrypt-ebs-volume",
            "volume-kms-key",
            "kms-key",
            "iam-instance-profile",
            "monitoring",
            "use-ebs-optimized-instance",
            "userdata",
            "max-lifetime",
            "tags",
            "owner-tag-prefix",
            "no-owner-tags",
        ],
    ),
    (
        "Keys and login",
        &[
            "ssh-user",
            "ssh-port",
            "ssh-key-type",
            "ssh-keypath",
            "keypair-name",
        ],
    ),
    (
        "Network",
        &[
            "vpc-id",
            "zone",
            "subnet-id",
            "security-group",
            "security-group-readonly",
            "security-group-cidr",
            "open-port",
            "private-address-only",
            "use-private-address",
            "ipv6-address-count",
            "enable-primary-ipv6",
            "ipv6-address-only",
        ],
    ),
    (
        "Metadata service",
        &[
            "metadata-token",
            "http-tokens",
            "metadata-token-response-hop-limit",
            "http-put-response-hop-limit",
            "http-endpoint",
            "http-protocol-ipv6",
        ],
    ),
    (
        "Spot and fleets",
        &[
            "request-spot-instance",
            "spot-price",
            "block-duration-minutes",
            "spot-fallback",
            "use-fleet",
            "launch-template",
        ],
    ),
];

/// Returns the position of a flag: its group, and the index in the group.
fn place(name: &str) -> Option<(usize, usize)> {
    let name = name.strip_prefix("amazonec2-")?;
    GROUPS.iter().enumerate().find_map(|(index, (_, names))| {
        let at = names.iter().position(|known| *known == name)?;
        Some((index, at))
    })
}

/// Returns all flags; names, defaults and variables are those of the Go forks.
pub(crate) fn flags() -> Vec<FlagSpec> {
    let mut all = access();
    all.extend(launch());
    all.extend(network());
    all.extend(metadata());
    all.extend(ours());
    all.sort_by_key(|flag| place(flag.name).unwrap_or((GROUPS.len(), 0)));
    let grouped = |flag: FlagSpec| match place(flag.name) {
        Some((group, _)) => flag.group(GROUPS[group].0),
        None => flag,
    };
    let ignoring = |flag: FlagSpec| match EMPTY_IS_DEFAULT.contains(&flag.name) {
        true => flag.ignoring_empty(),
        false => flag,
    };
    all.into_iter().map(grouped).map(ignoring).collect()
}

/// The flags whose empty value means the environment variable or the default, as sent by Terraform's templates.
const EMPTY_IS_DEFAULT: [&str; 8] = [
    "amazonec2-device-name",
    "amazonec2-instance-type",
    "amazonec2-region",
    "amazonec2-security-group",
    "amazonec2-ssh-key-type",
    "amazonec2-ssh-user",
    "amazonec2-volume-type",
    "amazonec2-zone",
];

const fn text(name: &'static str, env: &'static str, help: &'static str) -> FlagSpec {
    FlagSpec::string(name, help).env(env)
}

fn access() -> Vec<FlagSpec> {
    vec![
        text(
            "amazonec2-access-key",
            "AWS_ACCESS_KEY_ID",
            "AWS access key",
        ),
        text(
            "amazonec2-secret-key",
            "AWS_SECRET_ACCESS_KEY",
            "AWS secret key",
        ),
        text(
            "amazonec2-session-token",
            "AWS_SESSION_TOKEN",
            "AWS session token",
        ),
        text("amazonec2-region", "AWS_DEFAULT_REGION", "AWS region")
            .default_text("us-east-1")
            .values(&KNOWN_REGIONS),
        text(
            "amazonec2-endpoint",
            "AWS_ENDPOINT",
            "Endpoint of an EC2 that is not AWS's own: a URL, or a host name",
        ),
        FlagSpec::bool(
            "amazonec2-insecure-transport",
            "Talk to the endpoint without TLS",
        )
        .env("AWS_INSECURE_TRANSPORT"),
        FlagSpec::int(
            "amazonec2-retries",
            5,
            "Retries of a call that failed for now; -1 disables them",
        ),
    ]
}

fn launch() -> Vec<FlagSpec> {
    vec![
        text(
            "amazonec2-ami",
            "AWS_AMI",
            "Machine image (default: the newest Ubuntu LTS)",
        ),
        text(
            "amazonec2-instance-type",
            "AWS_INSTANCE_TYPE",
            "Instance type; repeated: the others serve where EC2 has no capacity for the last one",
        )
        .default_text("t2.micro"),
        text(
            "amazonec2-device-name",
            "AWS_DEVICE_NAME",
            "Root device; the default yields to the image's own",
        )
        .default_text("/dev/sda1"),
        FlagSpec::int("amazonec2-root-size", 16, "Size of the root volume in GB")
            .env("AWS_ROOT_SIZE"),
        text(
            "amazonec2-volume-type",
            "AWS_VOLUME_TYPE",
            "Type of the root volume",
        )
        .default_text("gp2")
        .values(&["gp3", "gp2", "io1", "io2", "standard"]),
        FlagSpec::int(
            "amazonec2-volume-iops",
            0,
            "IOPS of the root volume: gp3, io1, io2",
        )
        .env("AWS_VOLUME_IOPS"),
        FlagSpec::int(
            "amazonec2-volume-throughput",
            0,
            "Throughput of the root volume in MiB/s: gp3",
        )
        .env("AWS_VOLUME_THROUGHPUT"),
        FlagSpec::bool("amazonec2-volume-encrypted", "Encrypt the root volume"),
        FlagSpec::bool(
            "amazonec2-encrypt-ebs-volume",
            "Same as --amazonec2-volume-encrypted",
        )
        .env("AWS_ENCRYPT_EBS_VOLUME"),
        text(
            "amazonec2-volume-kms-key",
            "AWS_VOLUME_KMS_KEY",
            "KMS key that encrypts the root volume",
        ),
        text(
            "amazonec2-kms-key",
            "AWS_KMS_KEY",
            "Same as --amazonec2-volume-kms-key",
        ),
        text(
            "amazonec2-iam-instance-profile",
            "AWS_INSTANCE_PROFILE",
            "IAM instance profile",
        ),
        text(
            "amazonec2-ssh-user",
            "AWS_SSH_USER",
            "Login name; the default yields to the image's own",
        )
        .default_text(SSH_USER),
        FlagSpec::int("amazonec2-ssh-port", 22, "Port of sshd").env("AWS_SSH_PORT"),
        text(
            "amazonec2-ssh-keypath",
            "AWS_SSH_KEYPATH",
            "Private key to log in with, instead of a new one",
        ),
        text(
            "amazonec2-keypair-name",
            "AWS_KEYPAIR_NAME",
            "Existing key pair; needs --amazonec2-ssh-keypath",
        ),
        FlagSpec::bool("amazonec2-request-spot-instance", "Launch a spot instance"),
        FlagSpec::string(
            "amazonec2-spot-price",
            "Highest spot price in dollars per hour; empty: the on-demand price",
        )
        .default_text("0.50"),
        FlagSpec::int(
            "amazonec2-block-duration-minutes",
            0,
            "Ended by AWS in 2022: spot block duration of 60 to 360 minutes",
        ),
        FlagSpec::bool(
            "amazonec2-monitoring",
            "Enable detailed CloudWatch monitoring",
        ),
        FlagSpec::bool(
            "amazonec2-use-ebs-optimized-instance",
            "Launch an EBS-optimised instance",
        ),
        text(
            "amazonec2-tags",
            "AWS_TAGS",
            "Tags: key1,value1,key2,value2",
        ),
        text(
            "amazonec2-userdata",
            "AWS_USERDATA",
            "File with cloud-init user data",
        ),
        FlagSpec::bool(
            "amazonec2-use-fleet",
            "Launch with CreateFleet; needs --amazonec2-launch-template",
        ),
        FlagSpec::string(
            "amazonec2-launch-template",
            "Name of the launch template of the fleet",
        ),
    ]
}

fn network() -> Vec<FlagSpec> {
    vec![
        text(
            "amazonec2-vpc-id",
            "AWS_VPC_ID",
            "VPC (default: the account's default VPC)",
        ),
        text(
            "amazonec2-zone",
            "AWS_ZONE",
            "Availability zone: a, or us-east-1a",
        )
        .default_text("a"),
        text(
            "amazonec2-subnet-id",
            "AWS_SUBNET_ID",
            "Subnet (default: one of the zone and VPC); repeated: the others serve where EC2 has no capacity in the last one",
        ),
        FlagSpec::list(
            "amazonec2-security-group",
            "Security group, by name or id; made where a name is missing",
        )
        .default_list(&["docker-machine"])
        .env("AWS_SECURITY_GROUP"),
        FlagSpec::bool(
            "amazonec2-security-group-readonly",
            "Leave the security groups' rules alone",
        )
        .env("AWS_SECURITY_GROUP_READONLY"),
        FlagSpec::list("amazonec2-open-port", "Another port to open: 80, or 53/udp"),
        FlagSpec::bool(
            "amazonec2-private-address-only",
            "Launch without a public address",
        ),
        FlagSpec::bool(
            "amazonec2-use-private-address",
            "Talk to the machine's private address",
        ),
        FlagSpec::int(
            "amazonec2-ipv6-address-count",
            0,
            "Number of IPv6 addresses",
        )
        .env("AWS_IPV6_ADDRESS_COUNT"),
        FlagSpec::bool(
            "amazonec2-enable-primary-ipv6",
            "Make the first IPv6 address the primary one",
        )
        .env("AWS_ENABLE_PRIMARY_IPV6"),
        FlagSpec::bool(
            "amazonec2-ipv6-address-only",
            "Talk to the machine's IPv6 address",
        )
        .env("AWS_IPV6_ADDRESS_ONLY"),
    ]
}

fn metadata() -> Vec<FlagSpec> {
    vec![
        FlagSpec::string(
            "amazonec2-metadata-token",
            "Whether the metadata service wants a token: optional, required",
        )
        .default_text("optional")
        .values(&["optional", "required"]),
        FlagSpec::int(
            "amazonec2-metadata-token-response-hop-limit",
            1,
            "Network hops that a metadata token may travel",
        ),
        FlagSpec::int(
            "amazonec2-http-put-response-hop-limit",
            0,
            "Same as --amazonec2-metadata-token-response-hop-limit",
        )
        .env("AWS_HTTP_PUT_RESPONSE_HOP_LIMIT"),
        text(
            "amazonec2-http-tokens",
            "AWS_HTTP_TOKENS",
            "Same as --amazonec2-metadata-token",
        )
        .values(&["optional", "required"]),
        text(
            "amazonec2-http-endpoint",
            "AWS_HTTP_ENDPOINT",
            "Metadata service: enabled, disabled",
        )
        .values(&["enabled", "disabled"]),
        text(
            "amazonec2-http-protocol-ipv6",
            "AWS_HTTP_PROTOCOL_IPV6",
            "Metadata service over IPv6: enabled, disabled",
        )
        .values(&["enabled", "disabled"]),
    ]
}

fn ours() -> Vec<FlagSpec> {
    vec![
        FlagSpec::string(
            "amazonec2-ssh-key-type",
            "Type of a new SSH key: ed25519, rsa",
        )
        .default_text("ed25519")
        .values(&["ed25519", "rsa"]),
        FlagSpec::switch(
            "amazonec2-spot-fallback",
            "capacity",
            "Launch on demand where there is no spot capacity; =any: where the price is too low, too",
        )
        .values(&["any"]),
        FlagSpec::list(
            "amazonec2-security-group-cidr",
            "Network that the opened ports are open to (default 0.0.0.0/0)",
        ),
        FlagSpec::string(
            "amazonec2-max-lifetime",
            "Let the instance terminate itself after this time: 6h, 90m",
        ),
        FlagSpec::string(
            "amazonec2-owner-tag-prefix",
            "Prefix of the tags that say which store owns a resource",
        )
        .default_text("docker-machine"),
        FlagSpec::bool("amazonec2-no-owner-tags", "Tag nothing with its owner"),
    ]
}
