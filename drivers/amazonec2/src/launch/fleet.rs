//! CreateFleet of type `instant`: one call in which EC2 chooses among all instance types and subnets. The user's launch
//! template determines everything else.

use aws_sdk_ec2::operation::create_fleet::builders::CreateFleetFluentBuilder;
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest,
    FleetLaunchTemplateOverridesRequest, FleetLaunchTemplateSpecificationRequest,
    FleetOnDemandAllocationStrategy, FleetType, Instance, InstanceLifecycleType, InstanceType,
    OnDemandOptionsRequest, ResourceType, SpotAllocationStrategy, SpotOptionsRequest,
    TargetCapacitySpecificationRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::call::one_attempt;
use crate::api::client::{FLEET_ATTEMPT, timeouts};
use crate::api::ec2::Ec2;
use crate::config::saved::Saved;
use crate::launch::candidates::{Candidate, Place};
use crate::launch::client_token;
use crate::launch::error::{LaunchError, Refusal};
use crate::launch::launched::Launched;
use crate::launch::root_volume::{self, RootVolume};
use crate::launch::tags::{self, LaunchTags, Tag};

/// The CreateFleet request; the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FleetRequest {
    pub token: String,
    /// A name or an ID (`lt-…`).
    pub launch_template: String,
    /// The choices for EC2, in order of preference.
    #[serde(default)]
    pub choices: Vec<Choice>,
    pub spot: bool,
    /// Dollars per hour; empty means the on-demand price.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub max_price: String,
    /// The root volume, if it is not the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<RootVolume>,
    #[serde(flatten)]
    pub tags: LaunchTags,
}

/// One override of a fleet. An empty value is the template's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub instance_type: String,
    pub subnet: String,
}

impl FleetRequest {
    /// Builds the request for one market from its candidates.
    pub(crate) fn new<'a>(
        Ec2 { cx, saved, .. }: Ec2<'_>,
        candidates: impl IntoIterator<Item = &'a Candidate>,
        spot: bool,
        tags: LaunchTags,
    ) -> Self {
        let of_market = candidates.into_iter().filter(|c| c.spot == spot);
        let choice = |candidate: &Candidate| Choice {
            instance_type: candidate.instance_type.clone(),
            subnet: candidate.subnet.clone(),
        };
        Self {
            token: client_token::new(cx),
            launch_template: saved.launch_template.clone(),
            choices: of_market.map(choice).collect(),
            spot,
            max_price: saved.spot_price.clone(),
            volume: root_volume::is_of_fleet(saved)
                .then(|| RootVolume::new(saved, &saved.device_name)),
            tags,
        }
    }

    /// Adds the request's parameters to the call.
    pub(crate) fn fill(&self, call: CreateFleetFluentBuilder) -> CreateFleetFluentBuilder {
        let template = FleetLaunchTemplateSpecificationRequest::builder().version("$Default");
        let template = if self.launch_template.starts_with("lt-") {
            template.launch_template_id(&self.launch_template)
        } else {
            template.launch_template_name(&self.launch_template)
        };
        let config = FleetLaunchTemplateConfigRequest::builder()
            .launch_template_specification(template.build())
            .set_overrides(Some(self.overrides()).filter(|all| !all.is_empty()))
            .build();
        let market = if self.spot {
            DefaultTargetCapacityType::Spot
        } else {
            DefaultTargetCapacityType::OnDemand
        };
        let target = TargetCapacitySpecificationRequest::builder()
            .total_target_capacity(1)
            .default_target_capacity_type(market)
            .build();
        let spot = SpotOptionsRequest::builder()
            .allocation_strategy(SpotAllocationStrategy::PriceCapacityOptimized)
            .build();
        let on_demand = OnDemandOptionsRequest::builder()
            .allocation_strategy(FleetOnDemandAllocationStrategy::Prioritized)
            .build();
        call.client_token(&self.token)
            .r#type(FleetType::Instant)
            .launch_template_configs(config)
            .target_capacity_specification(target)
            .set_spot_options(self.spot.then_some(spot))
            .set_on_demand_options((!self.spot).then_some(on_demand))
            .set_tag_specifications(self.tags.specifications([
                ResourceType::Instance,
                ResourceType::Volume,
                ResourceType::NetworkInterface,
                ResourceType::Fleet,
            ]))
    }

    /// Sends the request once.
    ///
    /// # Errors
    /// Returns EC2's error for the call or for each override. A response with neither instance nor error counts as
    /// missing.
    pub(crate) async fn send(&self, Ec2 { api, cx, .. }: Ec2<'_>) -> Result<Launched, LaunchError> {
        let answer = api
            .call(cx, "CreateFleet", |probe| {
                self.fill(api.ec2.create_fleet())
                    .customize()
                    .interceptor(probe)
                    .config_override(one_attempt().timeout_config(timeouts(FLEET_ATTEMPT)))
                    .send()
            })
            .await?;
        let refusals: Vec<Refusal> = answer.errors().iter().map(Refusal::read).collect();
        let launched = answer.instances().iter().find_map(|launched| {
            let both = launched.launch_template_and_overrides();
            let subnet = both.and_then(|both| both.overrides()?.subnet_id());
            Some(Launched {
                instance: launched.instance_ids().first()?.clone(),
                instance_type: launched.instance_type().map(|t| t.as_str().to_owned()),
                subnet: subnet.map(str::to_owned),
                ..Launched::default()
            })
        });
        match launched {
            Some(launched) => Ok(Launched {
                refusals,
                ..launched
            }),
            None if refusals.is_empty() => {
                let why = "the answer names neither instance nor error";
                Err(api.no_answer("CreateFleet", why).into())
            }
            None => Err(LaunchError::Fleet {
                template: self.launch_template.clone(),
                region: api.region.clone(),
                refusals,
            }),
        }
    }

    /// Returns overrides for the choices that differ from the template.
    fn overrides(&self) -> Vec<FleetLaunchTemplateOverridesRequest> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let price = given(&self.max_price).filter(|_| self.spot);
        let mut all = Vec::new();
        for choice in &self.choices {
            let (instance_type, subnet) = (given(&choice.instance_type), given(&choice.subnet));
            let volume = self.volume.as_ref().map(|v| vec![v.fleet_mapping()]);
            if instance_type.is_none() && subnet.is_none() && price.is_none() && volume.is_none() {
                continue;
            }
            let priority = u32::try_from(all.len()).map(f64::from).ok();
            all.push(
                FleetLaunchTemplateOverridesRequest::builder()
                    .set_instance_type(instance_type.as_deref().map(InstanceType::from))
                    .set_subnet_id(subnet)
                    .set_max_price(price.clone())
                    .set_block_device_mappings(volume)
                    .set_priority(priority.filter(|_| !self.spot))
                    .build(),
            );
        }
        all
    }
}

/// Returns whether a resource is a fleet launch, whose instance cannot be found by client token.
pub(crate) fn is_fleets(detail: &Value) -> bool {
    detail.get("launch_template").is_some()
}

/// Returns the tag with the machine's ID of a launch; without one, the instance cannot be found by tag. Reads only the
/// journal, independent of the configuration.
pub(crate) fn id_tag(detail: &Value) -> Option<Tag> {
    let tags = serde_json::from_value::<LaunchTags>(detail.clone()).unwrap_or_default();
    tags::machine_id(tags.of_instance())
}

/// Returns the tag with the machine's ID of a launch's spot request.
pub(crate) fn id_tag_of_spot_request(detail: &Value) -> Option<Tag> {
    let tags = serde_json::from_value::<LaunchTags>(detail.clone()).unwrap_or_default();
    tags::machine_id(tags.of_spot_request())
}

/// Saves the values that the template and EC2 determined.
pub(crate) fn take_facts(saved: &mut Saved, instance: &Instance) {
    let take = |field: &mut String, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            value.clone_into(field);
        }
    };
    take(&mut saved.ami, instance.image_id());
    take(&mut saved.key_name, instance.key_name());
    take(
        &mut saved.instance_type,
        instance.instance_type().map(|t| t.as_str()),
    );
    take(&mut saved.vpc_id, instance.vpc_id());
    take(&mut saved.device_name, instance.root_device_name());
    saved.request_spot_instance =
        instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
    let groups = instance.security_groups().iter();
    saved.security_group_ids = Some(
        groups
            .filter_map(|group| group.group_id().map(str::to_owned))
            .collect(),
    );
    let zone = instance
        .placement()
        .and_then(|placement| placement.availability_zone());
    if let (Some(subnet), Some(zone)) = (instance.subnet_id(), zone) {
        let place = Place {
            subnet: subnet.to_owned(),
            zone: zone.to_owned(),
            vpc: saved.vpc_id.clone(),
        };
        place.save(saved);
    }
}
