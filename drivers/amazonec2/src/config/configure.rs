//! Converts flags to a machine configuration. Reads the files that flags name; makes no network call.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use machine_driver::{Base, Options, SavedBase};
use machine_types::Secret;

use crate::config::cli_region::{AWS_REGION, CliRegion};
use crate::config::create_options::{CreateOptions, RegionSource, SpotFallback};
use crate::config::error::{ConfigureError, invalid};
use crate::config::flag_values::{
    Flags, duration, is_cidr, is_login_name, last_first, port_and_protocol, swarm_port,
};
use crate::config::region::{is_mistyped, looks_like_a_region};
use crate::config::root_volume;
use crate::config::saved::Saved;
use crate::config::tags;
use crate::config::user_data;

/// Converts flags to the saved configuration and the options of the create. `cli_region` is used if no flag gives a
/// region.
pub(crate) fn configure(
    base: &Base,
    options: &Options,
    cli_region: Option<CliRegion>,
) -> Result<(Saved, CreateOptions), ConfigureError> {
    let flags = Flags(options);
    let mut saved = save_flags(base, &flags)?;
    let region_source = choose_region(&mut saved, &flags, cli_region);
    check_access(&saved, &region_source)?;
    check_launch(&saved)?;
    root_volume::check(&saved)?;
    saved.zone = short_zone(&saved);
    if saved.base.swarm_master && swarm_port(&saved).is_none() {
        return Err(ConfigureError::SwarmHost(saved.base.swarm_host));
    }
    for port in saved.open_ports.iter().flatten() {
        port_and_protocol(port)
            .ok_or_else(|| invalid("open-port", port, "a port such as 80 or 53/udp"))?;
    }
    if saved.use_fleet {
        check_fleet(&saved)?;
    }
    check_key(&saved)?;
    let user_data = user_data(&saved)?;
    let instance_types = last_first(flags.all("instance-type"));
    let create_options = CreateOptions {
        instance_types: match saved.use_fleet {
            // The launch template contains an instance type.
            true if !flags.given("instance-type") => Vec::new(),
            _ => instance_types,
        },
        subnets: last_first(flags.all("subnet-id")),
        user_data,
        cidrs: flags.list("security-group-cidr"),
        spot_fallback: match flags.text("spot-fallback").as_str() {
            "" => SpotFallback::Never,
            "capacity" | "true" => SpotFallback::Capacity,
            "any" => SpotFallback::Any,
            "false" => SpotFallback::Never,
            other => return Err(invalid("spot-fallback", other, "nothing, or any")),
        },
        key_type: flags.one_of("ssh-key-type", &["ed25519", "rsa"], "ed25519 or rsa")?,
        lease: !saved.max_lifetime.is_empty(),
        device_given: flags.given("device-name"),
        size_given: flags.given("root-size"),
        user_given: flags.given("ssh-user"),
        zone_given: flags.given("zone"),
        region_source,
    };
    for cidr in &create_options.cidrs {
        is_cidr(cidr)
            .then_some(())
            .ok_or_else(|| invalid("security-group-cidr", cidr, "a network such as 10.0.0.0/8"))?;
    }
    Ok((saved, create_options))
}

fn save_flags(base: &Base, flags: &Flags<'_>) -> Result<Saved, ConfigureError> {
    let port = flags.int("ssh-port");
    let ssh_user = flags.text("ssh-user");
    if !is_login_name(&ssh_user) {
        return Err(invalid("ssh-user", ssh_user, "a login name without blanks"));
    }
    let ssh_port = u16::try_from(port).ok().filter(|port| *port > 0);
    Ok(Saved {
        base: SavedBase {
            ssh_user,
            ssh_port: ssh_port
                .ok_or_else(|| invalid("ssh-port", port, "a number from 1 to 65535"))?,
            ssh_key_path: base.directory.join("id_rsa").display().to_string(),
            swarm_master: base.swarm_master,
            swarm_host: base.swarm_host.clone(),
            swarm_discovery: base.swarm_discovery.clone(),
            ..SavedBase::new(base)
        },
        access_key: flags.text("access-key"),
        secret_key: Secret::new(flags.text("secret-key")),
        session_token: Secret::new(flags.text("session-token")),
        region: flags.text("region"),
        ami: flags.text("ami"),
        // The launch template's key pair belongs to the user, too.
        existing_key: !flags.text("keypair-name").is_empty() || flags.bool("use-fleet"),
        key_name: flags.text("keypair-name"),
        instance_type: flags.text("instance-type"),
        security_group_names: Some(flags.list("security-group")),
        security_group_read_only: flags.bool("security-group-readonly"),
        open_ports: Some(flags.list("open-port")).filter(|ports| !ports.is_empty()),
        tags: flags.text("tags"),
        device_name: flags.text("device-name"),
        root_size: flags.positive("root-size")?,
        volume_type: flags.text("volume-type"),
        volume_iops: flags.within("volume-iops", 0..=i64::from(i32::MAX), "a number of IOPS")?,
        volume_throughput: flags.within(
            "volume-throughput",
            0..=i64::from(i32::MAX),
            "a number of MiB/s",
        )?,
        // An encryption key implies encryption; EC2 rejects the key without it.
        volume_encrypted: flags.bool("volume-encrypted")
            || flags.bool("encrypt-ebs-volume")
            || !flags.either("volume-kms-key", "kms-key").is_empty(),
        volume_kms_key_id: flags.either("volume-kms-key", "kms-key"),
        iam_instance_profile: flags.text("iam-instance-profile"),
        vpc_id: flags.text("vpc-id"),
        subnet_id: flags.text("subnet-id"),
        zone: flags.text("zone"),
        request_spot_instance: flags.bool("request-spot-instance"),
        spot_price: flags.text("spot-price"),
        block_duration_minutes: flags.block_duration()?,
        private_ip_only: flags.bool("private-address-only"),
        use_private_ip: flags.bool("use-private-address"),
        use_ebs_optimized_instance: flags.bool("use-ebs-optimized-instance"),
        monitoring: flags.bool("monitoring"),
        ssh_private_key_path: flags.text("ssh-keypath"),
        retry_count: flags.int("retries"),
        endpoint: flags.text("endpoint"),
        disable_ssl: flags.bool("insecure-transport"),
        user_data_file: flags.text("userdata"),
        metadata_token_setting: match flags.text("http-tokens").as_str() {
            "" => flags.one_of(
                "metadata-token",
                &["", "optional", "required"],
                "optional or required",
            )?,
            _ => flags.one_of(
                "http-tokens",
                &["optional", "required"],
                "optional or required",
            )?,
        },
        metadata_token_response_hop_limit: flags.hop_limit()?,
        http_endpoint: flags.one_of(
            "http-endpoint",
            &["", "enabled", "disabled"],
            "enabled or disabled",
        )?,
        http_protocol_ipv6: flags.one_of(
            "http-protocol-ipv6",
            &["", "enabled", "disabled"],
            "enabled or disabled",
        )?,
        ipv6_address_count: flags.within(
            "ipv6-address-count",
            0..=256,
            "a number from 0 to 256",
        )?,
        enable_primary_ipv6: flags.bool("enable-primary-ipv6"),
        ipv6_address_only: flags.bool("ipv6-address-only"),
        use_fleet: flags.bool("use-fleet"),
        launch_template: flags.text("launch-template"),
        max_lifetime: flags.text("max-lifetime"),
        owner_tag_prefix: Some(flags.text("owner-tag-prefix"))
            .filter(|prefix| prefix != tags::DEFAULT_PREFIX)
            .unwrap_or_default(),
        no_owner_tags: flags.bool("no-owner-tags"),
        no_engine_port: !base.exposes_engine,
        ..Saved::default()
    })
}

/// Sets the region that the AWS CLI would use, unless the flag or its variable gives one. Returns its source.
fn choose_region(saved: &mut Saved, flags: &Flags<'_>, cli: Option<CliRegion>) -> RegionSource {
    match (cli, flags.variable("region")) {
        (Some(cli), _) if cli.region == saved.region => RegionSource::Flag,
        (Some(cli), _) if !flags.given("region") => {
            saved.region = cli.region;
            RegionSource::Cli(cli.named_by)
        }
        // A profile ranks below the variable, for the AWS CLI too.
        (Some(cli), Some(variable)) if cli.named_by == AWS_REGION => RegionSource::Variable {
            variable,
            aws_region: cli.region,
        },
        _ => RegionSource::Flag,
    }
}

fn check_access(saved: &Saved, source: &RegionSource) -> Result<(), ConfigureError> {
    if saved.endpoint.is_empty() {
        if saved.disable_ssl {
            return Err(ConfigureError::InsecureWithoutEndpoint);
        }
        // A third-party EC2 has its own region names.
        if !looks_like_a_region(&saved.region) || is_mistyped(&saved.region) {
            return Err(ConfigureError::Region {
                region: saved.region.clone(),
                named_by: match source {
                    RegionSource::Cli(name) => Some(name.clone()),
                    _ => None,
                },
            });
        }
    } else if saved.endpoint_url().is_none() {
        return Err(ConfigureError::Endpoint(saved.endpoint.clone()));
    }
    if saved.access_key.is_empty() != saved.secret_key.is_empty() {
        return Err(ConfigureError::HalfAKey);
    }
    Ok(())
}

/// Removes the region from a full zone name: the file keeps the letter, to which the Go binary adds the region again.
fn short_zone(saved: &Saved) -> String {
    match saved.zone.strip_prefix(&saved.region) {
        Some(letter) if saved.endpoint.is_empty() && !letter.is_empty() => letter.to_owned(),
        _ => saved.zone.clone(),
    }
}

/// Checks for values that EC2 would reject only at the launch, after everything else has been created.
fn check_launch(saved: &Saved) -> Result<(), ConfigureError> {
    if saved.ipv6_address_count == 0 && (saved.ipv6_address_only || saved.enable_primary_ipv6) {
        return Err(ConfigureError::NoIpv6Address);
    }
    let price = &saved.spot_price;
    if saved.request_spot_instance && !price.is_empty() && !is_price(price) {
        return Err(invalid(
            "spot-price",
            price,
            "dollars per hour, such as 0.05",
        ));
    }
    check_tags(saved)
}

/// Checks the tags of the flags for what EC2 refuses: without the owner tags, a launch goes on, and is not protected by
/// them.
///
/// # Errors
/// Names the flag and the tag.
fn check_tags(saved: &Saved) -> Result<(), ConfigureError> {
    for (key, value) in tags::pairs(&saved.tags).0 {
        let why = match () {
            () if key.is_empty() => return Err(ConfigureError::EmptyTagKey(saved.tags.clone())),
            () if tags::is_reserved(&key) => "begins with aws:, which AWS reserves",
            () if key.chars().count() > tags::LONGEST_KEY => {
                "has a key of more than 128 characters, which EC2 refuses"
            }
            () if value.chars().count() > tags::LONGEST_VALUE => {
                "has a value of more than 256 characters, which EC2 refuses"
            }
            () => continue,
        };
        return Err(ConfigureError::BadTag { key, why });
    }
    let key = tags::owner_key(saved, "store");
    if tags::is_reserved(&key) || key.chars().count() > tags::LONGEST_KEY {
        return Err(invalid(
            "owner-tag-prefix",
            &saved.owner_tag_prefix,
            "up to 122 characters, and neither aws nor aws:, which AWS reserves",
        ));
    }
    let count = tags::users_tags(saved).len();
    match count > tags::MOST {
        true => Err(ConfigureError::TooManyTags { tags: count }),
        false => Ok(()),
    }
}

fn is_price(text: &str) -> bool {
    text.parse::<f64>()
        .is_ok_and(|price| price.is_finite() && price > 0.0)
}

fn check_fleet(saved: &Saved) -> Result<(), ConfigureError> {
    if saved.launch_template.is_empty() {
        return Err(ConfigureError::FleetWithoutTemplate);
    }
    if saved.ssh_private_key_path.is_empty() {
        return Err(ConfigureError::FleetWithoutKey);
    }
    if !saved.max_lifetime.is_empty() {
        return Err(ConfigureError::FleetWithLifetime);
    }
    Ok(())
}

fn check_key(saved: &Saved) -> Result<(), ConfigureError> {
    let private = &saved.ssh_private_key_path;
    if private.is_empty() {
        return if saved.existing_key {
            Err(ConfigureError::KeyPairWithoutKey)
        } else {
            Ok(())
        };
    }
    read("ssh-keypath", private).map(drop)
}

fn user_data(saved: &Saved) -> Result<Option<Vec<u8>>, ConfigureError> {
    let users = match saved.user_data_file.as_str() {
        "" => None,
        path => Some(read("userdata", path)?),
    };
    let data = if saved.max_lifetime.is_empty() {
        users
    } else {
        let lifetime = duration(&saved.max_lifetime).ok_or_else(|| {
            invalid(
                "max-lifetime",
                &saved.max_lifetime,
                "a time such as 6h or 90m",
            )
        })?;
        Some(user_data::with_lease(users.as_deref(), lifetime))
    };
    match &data {
        Some(data) if data.len() > user_data::LARGEST => {
            Err(ConfigureError::UserDataTooLong { size: data.len() })
        }
        _ => Ok(data),
    }
}

/// Maximum size of a file that a flag names: user data have at most 16 KB, keys less.
const LARGEST_FILE: u64 = 1 << 20;

fn read(flag: &'static str, path: &str) -> Result<Vec<u8>, ConfigureError> {
    let mut contents = Vec::new();
    let read = File::open(Path::new(path))
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut contents));
    let checked = match read {
        Ok(_) if contents.len() as u64 > LARGEST_FILE => {
            Err(std::io::Error::other("it has more than 1 MiB"))
        }
        read => read.map(drop),
    };
    checked.map_err(|source| ConfigureError::File {
        flag,
        path: path.to_owned(),
        source,
    })?;
    Ok(contents)
}
