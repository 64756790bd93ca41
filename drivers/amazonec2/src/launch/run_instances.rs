//! RunInstances: the request for one candidate, its journal record, and its response.
//!
//! One value makes the request and its record, so that a replay is exactly the same request: EC2 rejects a client token
//! with other parameters (IdempotentParameterMismatch).

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    HttpTokensState, IamInstanceProfileSpecification, Instance, InstanceInterruptionBehavior,
    InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceMetadataProtocolState, InstanceNetworkInterfaceSpecification, InstanceType, MarketType,
    Placement, ResourceType, RunInstancesMonitoringEnabled, ShutdownBehavior, SpotMarketOptions,
    TagSpecification,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::api::call::one_attempt;
use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::lookup::value_of;
use crate::config::create_options::CreateOptions;
use crate::config::saved::Saved;
use crate::config::tags::{Tag, machine_id};
use crate::launch::candidates::Candidate;
use crate::launch::client_token;
use crate::launch::launched::Launched;
use crate::launch::root_volume::RootVolume;
use crate::launch::tags::LaunchTags;

/// Journal kind of a launch.
pub(crate) const KIND: &str = crate::api::consistency::INSTANCE;

/// The complete launch request. Only the user data may hold secrets; the request goes only to EC2 and the journal
/// (0600).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaunchRequest {
    pub token: String,
    pub image: String,
    pub instance_type: String,
    pub subnet: String,
    pub zone: String,
    pub spot: bool,
    pub key_name: String,
    pub groups: Vec<String>,
    pub device: String,
    #[serde(flatten)]
    pub tags: LaunchTags,
    /// Base64-encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Whether a shutdown from inside terminates the instance.
    #[serde(default)]
    pub lease: bool,
    /// Whether the instance metadata service requires a session token, regardless of the configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tokens_required: bool,
}

impl LaunchRequest {
    /// Builds the request for one candidate.
    pub(crate) fn new(
        Ec2 { cx, saved, .. }: Ec2<'_>,
        create_options: &CreateOptions,
        candidate: &Candidate,
        tags: LaunchTags,
    ) -> Self {
        Self {
            token: client_token::new(cx),
            image: saved.ami.clone(),
            instance_type: candidate.instance_type.clone(),
            subnet: candidate.subnet.clone(),
            zone: candidate.zone.clone(),
            spot: candidate.spot,
            key_name: saved.key_name.clone(),
            groups: saved.security_group_ids.clone().unwrap_or_default(),
            device: saved.device_name.clone(),
            tags,
            user_data: create_options
                .user_data
                .as_ref()
                .map(|data| STANDARD.encode(data)),
            lease: create_options.lease,
            tokens_required: false,
        }
    }

    /// Adds the request to an empty RunInstances call. Values that do not depend on the candidate come from `saved`.
    pub(crate) fn fill(
        &self,
        call: RunInstancesFluentBuilder,
        saved: &Saved,
    ) -> RunInstancesFluentBuilder {
        call.client_token(&self.token)
            .min_count(1)
            .max_count(1)
            .image_id(&self.image)
            .instance_type(InstanceType::from(self.instance_type.as_str()))
            .set_key_name(Some(self.key_name.clone()).filter(|name| !name.is_empty()))
            .placement(Placement::builder().availability_zone(&self.zone).build())
            .block_device_mappings(RootVolume::new(saved, &self.device).mapping())
            .network_interfaces(self.interface(saved))
            .metadata_options(self.metadata(saved))
            .monitoring(
                RunInstancesMonitoringEnabled::builder()
                    .enabled(saved.monitoring)
                    .build(),
            )
            .ebs_optimized(saved.use_ebs_optimized_instance)
            .set_iam_instance_profile(profile(&saved.iam_instance_profile))
            .set_instance_market_options(self.spot.then(|| spot(saved)))
            .set_user_data(self.user_data.clone())
            .set_instance_initiated_shutdown_behavior(
                self.lease.then_some(ShutdownBehavior::Terminate),
            )
            .set_tag_specifications(self.tag_specifications())
    }

    /// Sends the request once.
    ///
    /// # Errors
    /// Returns EC2's error. A response without an instance, or with another launch's, counts as missing.
    pub(crate) async fn send(
        &self,
        Ec2 { api, cx, saved }: Ec2<'_>,
    ) -> Result<Launched, CallError> {
        let answer = api
            .call_until_known(cx, "RunInstances", |probe| {
                self.fill(api.ec2.run_instances(), saved)
                    .customize()
                    .interceptor(probe)
                    .config_override(one_attempt())
                    .send()
            })
            .await?;
        let account = answer.owner_id;
        let mut instances = answer.instances.unwrap_or_default();
        let unusable = |why| api.no_answer("RunInstances", why);
        let Some(instance) = instances.pop() else {
            return Err(unusable("the answer names no instance"));
        };
        if !instances.is_empty() {
            return Err(unusable("the answer names several instances"));
        }
        if !self.has_launched(&instance, api.endpoint.is_empty()) {
            return Err(unusable("the answer names an instance of another launch"));
        }
        let launched = Launched::found((instance, account));
        launched.ok_or_else(|| unusable("the answer names no instance"))
    }

    /// Returns whether an instance may be this request's, by its client token and its tags. An endpoint that is not
    /// AWS's may show neither, or a client token of its own.
    fn has_launched(&self, instance: &Instance, is_aws: bool) -> bool {
        let token = instance.client_token().unwrap_or_default();
        let is_others = token != self.token && (is_aws || client_token::is_ours(token));
        let tags = instance.tags();
        let has_tag = |(key, id): Tag| value_of(tags, &key) == Some(id.as_str());
        let tag = machine_id(self.tags.of_instance());
        !is_others && (tags.is_empty() || tag.is_none_or(has_tag))
    }

    fn interface(&self, saved: &Saved) -> InstanceNetworkInterfaceSpecification {
        let addresses = i32::try_from(saved.ipv6_address_count).unwrap_or(0);
        InstanceNetworkInterfaceSpecification::builder()
            .device_index(0)
            .set_groups(Some(self.groups.clone()))
            .subnet_id(&self.subnet)
            // An IPv6-only subnet has no public IPv4 addresses.
            .associate_public_ip_address(!saved.private_ip_only && !saved.ipv6_address_only)
            .set_ipv6_address_count((addresses > 0).then_some(addresses))
            .set_primary_ipv6(saved.enable_primary_ipv6.then_some(true))
            .build()
    }

    fn metadata(&self, saved: &Saved) -> InstanceMetadataOptionsRequest {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let hops = saved.metadata_token_response_hop_limit;
        let tokens = match self.tokens_required {
            true => Some(HttpTokensState::Required),
            // Omitted if empty, so that EC2 uses the default of the image and the account.
            false => {
                some(&saved.metadata_token_setting).map(|text| HttpTokensState::from(text.as_str()))
            }
        };
        InstanceMetadataOptionsRequest::builder()
            .set_http_tokens(tokens)
            .set_http_put_response_hop_limit(i32::try_from(hops).ok().filter(|hops| *hops > 0))
            .set_http_endpoint(
                some(&saved.http_endpoint)
                    .map(|text| InstanceMetadataEndpointState::from(text.as_str())),
            )
            .set_http_protocol_ipv6(
                some(&saved.http_protocol_ipv6)
                    .map(|text| InstanceMetadataProtocolState::from(text.as_str())),
            )
            .build()
    }

    fn tag_specifications(&self) -> Option<Vec<TagSpecification>> {
        let made = [
            ResourceType::Instance,
            ResourceType::Volume,
            ResourceType::NetworkInterface,
        ];
        let of_spot = self.spot.then_some(ResourceType::SpotInstancesRequest);
        self.tags.specifications(made.into_iter().chain(of_spot))
    }
}

fn profile(name: &str) -> Option<IamInstanceProfileSpecification> {
    let profile = IamInstanceProfileSpecification::builder();
    match name {
        "" => None,
        arn if arn.starts_with("arn:") => Some(profile.arn(arn).build()),
        name => Some(profile.name(name).build()),
    }
}

/// Returns the spot options. An empty price means the on-demand price as the maximum.
fn spot(saved: &Saved) -> InstanceMarketOptionsRequest {
    let minutes = i32::try_from(saved.block_duration_minutes).unwrap_or(0);
    let price = &saved.spot_price;
    let options = SpotMarketOptions::builder()
        .set_max_price((!price.is_empty()).then(|| price.clone()))
        .set_block_duration_minutes((minutes > 0).then_some(minutes))
        .set_instance_interruption_behavior(None::<InstanceInterruptionBehavior>)
        .build();
    InstanceMarketOptionsRequest::builder()
        .market_type(MarketType::Spot)
        .spot_options(options)
        .build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Instance, Tag};

    use super::LaunchRequest;

    const TOKEN: &str = "docker-machine-0123456789abcdef0123456789abcdef";

    #[test]
    fn an_instance_of_another_launch_is_not_this_ones() {
        let request: LaunchRequest = serde_json::from_value(serde_json::json!({
            "token": TOKEN, "image": "", "instance_type": "", "subnet": "", "zone": "", "spot": false,
            "key_name": "", "groups": [], "device": "", "tags": [["docker-machine:store", "s"], ["docker-machine:id", "a1"]],
        }))
        .unwrap();
        let other = "docker-machine-ffffffffffffffffffffffffffffffff";
        for (token, id, of_aws, of_others) in [
            (TOKEN, Some("a1"), true, true),
            (other, Some("a1"), false, false),
            (TOKEN, Some("b2"), false, false),
            // moto has a client token of its own.
            ("ABCDE1234567890123", Some("a1"), false, true),
            ("", None, false, true),
        ] {
            let tag = id.map(|id| Tag::builder().key("docker-machine:id").value(id).build());
            let instance = Instance::builder()
                .client_token(token)
                .set_tags(tag.map(|tag| vec![tag]))
                .build();
            let found = [true, false].map(|is_aws| request.has_launched(&instance, is_aws));
            assert_eq!(found, [of_aws, of_others], "{token:?} {id:?}");
        }
    }
}
