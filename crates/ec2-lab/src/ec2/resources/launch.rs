//! RunInstances: the parameters of a launch, their validation, and the created resources.

use std::net::Ipv6Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ec2::faults::capacity::{Market, Wanted};
use crate::ec2::faults::consistency::Kind;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::describe_instances;
use crate::ec2::resources::images;
use crate::ec2::resources::instances::{Instance, InstanceState, MetadataOptions, StateReason};
use crate::ec2::resources::interfaces::Interface;
use crate::ec2::resources::keys::KEY;
use crate::ec2::resources::placement::{Network, network, place};
use crate::ec2::resources::spot::{self, SpotRequest};
use crate::ec2::resources::state::{Cx, Tags};
use crate::ec2::resources::tags;
use crate::ec2::resources::templates;
use crate::ec2::resources::types;
use crate::ec2::resources::volumes;

/// EC2's limit of user data before encoding.
const MAX_USER_DATA: usize = 16 * 1024;

/// A launch that has passed every check except capacity.
struct Launch {
    image: images::Image,
    architecture: &'static str,
    instance_type: String,
    count: u32,
    network: Network,
    key_name: Option<String>,
    spot: Option<spot::Options>,
    volumes: Vec<volumes::Wanted>,
    user_data: Vec<u8>,
    profile: Option<String>,
    metadata: MetadataOptions,
    tags: [Tags; 4],
}

/// The types of resources that a launch creates and tags (API Reference, RunInstances), in the order of
/// [`Launch::tags`].
pub(crate) const TAGGED: [&str; 4] = [
    "instance",
    "volume",
    "network-interface",
    "spot-instances-request",
];

pub(crate) fn run(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let full = templates::with_template(cx, params)?;
    let zone = place(cx, &full)?.zone;
    let reservation = match cx.region.tokens.find(&zone, params)? {
        Some(known) => {
            tags::dry_run(params)?;
            still_there(cx, &known)?;
            known
        }
        None => {
            let made = start(cx, &full).inspect_err(|error| spot::stay_open(cx, &full, error))?;
            cx.region.tokens.remember(&zone, params, &made);
            made
        }
    };
    let all = cx.region.instances.values();
    let mut made: Vec<&Instance> = all.filter(|i| i.reservation == reservation).collect();
    made.sort_by_key(|i| i.index);
    let mut xml = Xml::new();
    describe_instances::reservation(cx, &mut xml, &reservation, &made);
    Ok(xml)
}

/// Refuses to repeat a launch whose instances have ended: "The request to launch an instance uses the same client
/// token as a previous request for which the instance has been terminated" (EC2 API Reference, "Error codes"). The
/// message is that of boto/boto3#4406.
fn still_there(cx: &Cx<'_>, reservation: &str) -> Result<(), ApiError> {
    let mut all = cx.region.instances.values();
    if all.any(|i| i.reservation == reservation && i.state != InstanceState::Terminated) {
        return Ok(());
    }
    Err(ApiError::new(
        "IdempotentInstanceTerminated",
        "The client token you have provided is associated with a terminated instance. Please use a different client token.",
    ))
}

/// Launches; returns the reservation's id.
pub(crate) fn start(cx: &mut Cx<'_>, params: &Params) -> Result<String, ApiError> {
    let launch = check(cx, params)?;
    tags::dry_run(params)?;
    let market = launch
        .spot
        .as_ref()
        .map_or(Market::OnDemand, |_| Market::Spot);
    if let Some(spot) = &launch.spot {
        spot.check_price(cx.shared.spot_price)?;
    }
    let fate = cx.shared.shortages.meet(&Wanted {
        instance_type: &launch.instance_type,
        zone: &launch.network.subnet.zone,
        subnet: &launch.network.subnet.id,
        market,
    })?;
    let free = cx.shared.addresses.free(launch.network.subnet.cidr);
    if free < launch.count {
        return Err(ApiError::new(
            "InsufficientFreeAddressesInSubnet",
            format!(
                "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
                launch.network.subnet.id
            ),
        ));
    }
    let reservation = cx.shared.ids.id("r-");
    for index in 0..launch.count {
        make(cx, &launch, params, &reservation, index, fate.as_deref())?;
    }
    Ok(reservation)
}

fn check(cx: &Cx<'_>, params: &Params) -> Result<Launch, ApiError> {
    let image = images::for_launch(cx, params.need("ImageId")?)?.clone();
    let instance_type = params.get("InstanceType").unwrap_or("m1.small").to_owned();
    let architecture = types::architecture(&instance_type).ok_or_else(|| {
        ApiError::new(
            "InvalidParameterValue",
            format!("Invalid value '{instance_type}' for InstanceType."),
        )
    })?;
    if architecture != image.architecture {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "The architecture '{architecture}' of the specified instance type does not match the architecture '{}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
                image.architecture
            ),
        ));
    }
    let (min, max) = (params.need("MinCount")?, params.need("MaxCount")?);
    let count = |name, text: &str| {
        text.parse::<u32>()
            .map_err(|_| ApiError::invalid(name, text))
    };
    let (min, max) = (count("minCount", min)?, count("maxCount", max)?);
    if min == 0 || max < min || max > 1000 {
        return Err(ApiError::invalid("minCount", min));
    }
    let key_name = params.text("KeyName");
    if let Some(name) = &key_name
        && !(cx.region.keys.contains_key(name) && cx.sees(Kind::KeyPair, name))
    {
        return Err(KEY.not_found(&[name]));
    }
    let profile = params
        .text("IamInstanceProfile.Name")
        .or_else(|| params.text("IamInstanceProfile.Arn"));
    if let Some(profile) = &profile {
        check_profile(cx, profile)?;
    }
    let user_data = match params.get("UserData") {
        None => Vec::new(),
        Some(text) => STANDARD.decode(text).map_err(|_| {
            ApiError::new(
                "InvalidUserData.Malformed",
                "Invalid BASE64 encoding of user data.",
            )
        })?,
    };
    if user_data.len() > MAX_USER_DATA {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("User data is limited to {MAX_USER_DATA} bytes"),
        ));
    }
    let mut tags: [Tags; 4] = Default::default();
    for (tags, kind) in tags.iter_mut().zip(TAGGED) {
        *tags = tags::of_new(params, kind, &TAGGED)?;
    }
    let spot = spot::Options::parse(params)?;
    if spot.is_none() && !tags[3].is_empty() {
        // Reported in github.com/aws/karpenter-provider-aws/issues/5850.
        return Err(ApiError::new(
            "InvalidParameterValue",
            "You cannot specify tags for Spot instances requests if there are no Spot instances requests being created by the request.",
        ));
    }
    Ok(Launch {
        architecture,
        instance_type,
        count: max,
        network: network(cx, params)?,
        key_name,
        spot,
        volumes: volumes::Wanted::parse(params, &image)?,
        image,
        user_data,
        profile,
        metadata: metadata(params)?,
        tags,
    })
}

pub(crate) fn check_profile(cx: &Cx<'_>, profile: &str) -> Result<(), ApiError> {
    let name = profile.rsplit('/').next().unwrap_or(profile);
    let known = cx.shared.config.instance_profiles.as_ref();
    if known.is_some_and(|known| !known.iter().any(|k| k == name)) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
            ),
        ));
    }
    Ok(())
}

fn metadata(params: &Params) -> Result<MetadataOptions, ApiError> {
    let asked = params.below("MetadataOptions");
    let one_of = |name: &str, values: [&str; 2]| match asked.get(name) {
        None => Ok(values[0].to_owned()),
        Some(v) if values.contains(&v) => Ok(v.to_owned()),
        Some(v) => Err(ApiError::invalid(name, v)),
    };
    let hop_limit = asked.number("HttpPutResponseHopLimit")?.unwrap_or(1);
    if !(1..=64).contains(&hop_limit) {
        return Err(ApiError::invalid("HttpPutResponseHopLimit", hop_limit));
    }
    Ok(MetadataOptions {
        http_tokens: one_of("HttpTokens", ["optional", "required"])?,
        hop_limit,
        http_endpoint: one_of("HttpEndpoint", ["enabled", "disabled"])?,
        http_protocol_ipv6: one_of("HttpProtocolIpv6", ["disabled", "enabled"])?,
        instance_metadata_tags: one_of("InstanceMetadataTags", ["disabled", "enabled"])?,
    })
}

fn make(
    cx: &mut Cx<'_>,
    launch: &Launch,
    params: &Params,
    reservation: &str,
    index: u32,
    fate: Option<&str>,
) -> Result<(), ApiError> {
    let Network { subnet, .. } = &launch.network;
    let (config, ids) = (cx.shared.config.clone(), &mut cx.shared.ids);
    let (id, interface) = (ids.id("i-"), ids.id("eni-"));
    let request = launch.spot.as_ref().map(|_| spot::new_id(ids));
    let addresses = &mut cx.shared.addresses;
    let private_ip = addresses.take(subnet.cidr);
    let public_ip = launch
        .network
        .public_ip
        .then(|| config.public.iter().find_map(|c| addresses.take(*c)));
    let ipv6 = |_| {
        if config.ipv6_loopback {
            Ipv6Addr::LOCALHOST
        } else {
            addresses.ipv6()
        }
    };
    let ipv6 = (0..launch.network.ipv6_count).map(ipv6).collect();
    let mut attached = std::collections::BTreeMap::new();
    for wanted in &launch.volumes {
        let volume = wanted.make(ids.id("vol-"), &id, &subnet.zone, cx.now);
        attached.insert(wanted.device.clone(), volume.id.clone());
        cx.region.volumes.insert(volume.id.clone(), volume);
    }
    let instance = Instance {
        id: id.clone(),
        reservation: reservation.to_owned(),
        index,
        state: InstanceState::Pending,
        reason: Some(StateReason {
            code: "pending".to_owned(),
            message: "pending".to_owned(),
        }),
        image: launch.image.id.clone(),
        instance_type: launch.instance_type.clone(),
        architecture: launch.architecture.to_owned(),
        public_key: launch
            .key_name
            .as_ref()
            .and_then(|name| cx.region.keys.get(name))
            .map(|pair| pair.public_key.clone()),
        key_name: launch.key_name.clone(),
        launched: cx.now,
        zone: subnet.zone.clone(),
        vpc: subnet.vpc.clone(),
        subnet: subnet.id.clone(),
        private_ip,
        public_ip: public_ip.flatten(),
        ipv6,
        wants_public_ip: launch.network.public_ip,
        groups: launch.network.groups.clone(),
        root_device: launch.image.root_device.clone(),
        volumes: attached,
        interfaces: vec![interface.clone()],
        client_token: params.text("ClientToken"),
        spot_request: request.clone(),
        profile: launch.profile.clone(),
        monitoring: params.flag("Monitoring.Enabled")? == Some(true),
        ebs_optimized: params.flag("EbsOptimized")? == Some(true),
        metadata: launch.metadata.clone(),
        user_data: launch.user_data.clone(),
        terminates_on_shutdown: params.get("InstanceInitiatedShutdownBehavior")
            == Some("terminate"),
        user: launch.image.user.clone(),
        due: Some(cx.now + config.durations.pending),
        host_on: false,
        fails_to_start: None,
        fate: fate.map(|code| failure(code, &launch.instance_type)),
    };
    cx.born(Kind::Instance, &id);
    let made = Interface {
        id: interface.clone(),
        instance: id.clone(),
        primary_ipv6: launch.network.primary_ipv6,
        description: launch.network.description.clone(),
        delete_on_termination: !launch.network.interface_stays,
        attached: cx.now,
    };
    cx.region.interfaces.insert(interface.clone(), made);
    if let (Some(request), Some(options)) = (&request, &launch.spot) {
        let made = SpotRequest {
            id: request.clone(),
            key_name: launch.key_name.clone(),
            instance: Some(id.clone()),
            launch: None,
            state: "active".to_owned(),
            status: "fulfilled".to_owned(),
            max_price: options.max_price.clone(),
            persistent: options.persistent,
            block_duration: options.block_duration,
            created: cx.now,
        };
        cx.region.spot_requests.insert(request.clone(), made);
    }
    let volumes = instance.volumes.values().cloned().collect::<Vec<_>>();
    cx.region.instances.insert(id.clone(), instance);
    let [of_instance, of_volumes, of_interface, of_request] = launch.tags.clone();
    cx.tag_new(&id, of_instance);
    for volume in volumes {
        cx.tag_new(&volume, of_volumes.clone());
    }
    cx.tag_new(&interface, of_interface);
    if let Some(request) = request {
        cx.tag_new(&request, of_request);
    }
    Ok(())
}

/// Returns the state reason of a launch that EC2 aborts; a code with a dot is used unchanged.
fn failure(code: &str, instance_type: &str) -> StateReason {
    let code = if code.contains('.') {
        code.to_owned()
    } else {
        format!("Server.{code}")
    };
    StateReason::new(
        &code,
        &format!("There was a lack of {instance_type} capacity to satisfy the launch request."),
    )
}
