//! CreateFleet of type `instant`: one call in which EC2 chooses among all instance types and subnets,
//! with the user's launch template for everything else.

use aws_sdk_ec2::operation::create_fleet::CreateFleetOutput;
use aws_sdk_ec2::operation::create_fleet::builders::CreateFleetFluentBuilder;
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest,
    FleetLaunchTemplateOverridesRequest, FleetLaunchTemplateSpecificationRequest,
    FleetOnDemandAllocationStrategy, FleetType, InstanceType, OnDemandOptionsRequest, ResourceType,
    SpotAllocationStrategy, SpotOptionsRequest, TargetCapacitySpecificationRequest,
};
use machine_ops::{Cx, Intent, Made, Ownership, StepError, StepFailure, UndoOrder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::call::CallError;
use crate::api::client::{Api, FLEET_ATTEMPT, timeouts};
use crate::api::retry::{one_attempt, steady, until_certain};
use crate::config::saved::Saved;
use crate::launch::candidates::Candidate;
use crate::launch::fleet_error::{FleetError, Refusal};
use crate::launch::lost::{Found, Lost, is_living};
use crate::launch::run_instances::KIND;
use crate::launch::tags::{self, LaunchTags, Tag};

/// What CreateFleet is asked for; the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FleetRequest {
    pub token: String,
    /// A name, or an id (`lt-…`).
    pub launch_template: String,
    /// What EC2 may choose from, in the order of preference.
    #[serde(default)]
    pub choices: Vec<Choice>,
    pub spot: bool,
    /// Dollars an hour; empty: the on-demand price.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub max_price: String,
    #[serde(flatten)]
    pub tags: LaunchTags,
}

/// One of a fleet's overrides; what is empty is the template's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub instance_type: String,
    pub subnet: String,
}

/// An instance that a fleet has launched; CreateFleet tells no more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launched {
    pub instance: String,
    pub instance_type: Option<String>,
    pub subnet: Option<String>,
    pub account: Option<String>,
    /// What EC2 said of the choices that it tried before.
    pub refusals: Vec<Refusal>,
}

impl FleetRequest {
    /// Puts a fleet together for one market, out of the candidates in it.
    pub(crate) fn new<'a>(
        cx: &Cx,
        saved: &Saved,
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
            token: crate::launch::run_instances::token(cx),
            launch_template: saved.launch_template.clone(),
            choices: of_market.map(choice).collect(),
            spot,
            max_price: saved.spot_price.clone(),
            tags,
        }
    }

    /// Fills the call in.
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

    /// The choices that say anything which the template does not.
    fn overrides(&self) -> Vec<FleetLaunchTemplateOverridesRequest> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let price = given(&self.max_price).filter(|_| self.spot);
        let mut all = Vec::new();
        for choice in &self.choices {
            let (instance_type, subnet) = (given(&choice.instance_type), given(&choice.subnet));
            if instance_type.is_none() && subnet.is_none() && price.is_none() {
                continue;
            }
            let priority = u32::try_from(all.len()).map(f64::from).ok();
            all.push(
                FleetLaunchTemplateOverridesRequest::builder()
                    .set_instance_type(instance_type.as_deref().map(InstanceType::from))
                    .set_subnet_id(subnet)
                    .set_max_price(price.clone())
                    .set_priority(priority.filter(|_| !self.spot))
                    .build(),
            );
        }
        all
    }
}

/// Launches one fleet, and makes certain whether it has an instance.
pub(crate) async fn run(
    api: &Api,
    cx: &Cx,
    request: &FleetRequest,
) -> Result<Launched, StepError<FleetError>> {
    let intent = Intent {
        kind: KIND.into(),
        key: request.token.clone(),
        ownership: Ownership::Ours,
        undo: UndoOrder::Reverse,
        scope: api.scope(),
        detail: serde_json::to_value(request).unwrap_or_default(),
    };
    cx.step("launch instance by fleet", intent, async {
        let launched = Box::pin(settle(api, cx, request)).await?;
        Ok(Made {
            id: Some(launched.instance.clone()),
            account: launched.account.clone(),
            value: launched,
        })
    })
    .await
}

/// Tells whether a resource is a fleet's launch, whose instance no client token finds.
pub(crate) fn is_fleets(detail: &Value) -> bool {
    detail.get("launch_template").is_some()
}

/// Returns the tag with the machine's id that a launch carries: what carries none cannot be found by it. The
/// journal alone tells, whatever became of the configuration.
pub(crate) fn id_tag(detail: &Value) -> Option<Tag> {
    let tags = serde_json::from_value::<LaunchTags>(detail.clone()).unwrap_or_default();
    tags::machine_id(tags.of_instance())
}

/// Sends the request; where the answer is lost, looks for the instance by its tag, and else sends the
/// same request again, until EC2 says what became of it.
async fn settle(
    api: &Api,
    cx: &Cx,
    request: &FleetRequest,
) -> Result<Launched, StepFailure<FleetError>> {
    let unanswered = match send(api, cx, request).await {
        Err(lost) if lost.is_ambiguous() => lost,
        answer => return judge(api, request, answer),
    };
    let tag = tags::machine_id(request.tags.of_instance());
    let Ok(lost) = Lost::new(cx, &request.token, tag, true) else {
        return Err(StepFailure::Unknown(unanswered.into()));
    };
    let steady = &steady(cx);
    let ask = || async {
        // Those that have ended may be what an answer would name, too: it comes first.
        let found = lost.find(api, steady).await.unwrap_or_default();
        match found.into_iter().find(|(found, _)| is_living(found)) {
            Some(found) => Ok(Told::Found(found.into())),
            None => send(api, cx, request).await.map(Told::Answered),
        }
    };
    let uncertain = CallError::is_ambiguous;
    let last = match until_certain(cx, "the fleet to be answered", uncertain, ask).await {
        Some(Ok(Told::Found(launched))) => return Ok(launched),
        Some(Ok(Told::Answered(answer))) => match judge(api, request, Ok(answer)) {
            Err(StepFailure::NotMade(nothing)) => nothing,
            launched => return launched,
        },
        Some(Err(verdict)) if verdict.is_verdict() => verdict.into(),
        // Without leave to ask, or time, the outcome of the first request stays unknown.
        _ => unanswered.into(),
    };
    // As with RunInstances: what the second request is refused for may be the first one's own doing.
    match lost.await_found(api, cx).await {
        Some(found) => Ok(found.into()),
        None => Err(StepFailure::Unknown(last)),
    }
}

/// How a fleet whose answer was lost was heard of.
enum Told {
    Found(Launched),
    Answered(CreateFleetOutput),
}

async fn send(api: &Api, cx: &Cx, request: &FleetRequest) -> Result<CreateFleetOutput, CallError> {
    api.call(cx, "CreateFleet", |probe| {
        request
            .fill(api.ec2.create_fleet())
            .customize()
            .interceptor(probe)
            .config_override(one_attempt().timeout_config(timeouts(FLEET_ATTEMPT)))
            .send()
    })
    .await
}

impl From<Found> for Launched {
    fn from((instance, account): Found) -> Self {
        Self {
            instance: instance.instance_id.unwrap_or_default(),
            instance_type: instance.instance_type.map(|t| t.as_str().to_owned()),
            subnet: instance.subnet_id,
            account,
            refusals: Vec::new(),
        }
    }
}

fn judge(
    api: &Api,
    request: &FleetRequest,
    answer: Result<CreateFleetOutput, CallError>,
) -> Result<Launched, StepFailure<FleetError>> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Err(StepFailure::NotMade(error.into())),
    };
    let launched = answer.instances().iter().find_map(|launched| {
        let both = launched.launch_template_and_overrides();
        let subnet = both.and_then(|both| both.overrides()?.subnet_id());
        Some(Launched {
            instance: launched.instance_ids().first()?.clone(),
            instance_type: launched.instance_type().map(|t| t.as_str().to_owned()),
            subnet: subnet.map(str::to_owned),
            account: None,
            refusals: answer.errors().iter().map(Refusal::read).collect(),
        })
    });
    match launched {
        Some(launched) => Ok(launched),
        // Neither instance nor error: nobody can tell what that means.
        None if answer.errors().is_empty() => Err(StepFailure::Unknown(FleetError::nothing(
            api, request, &answer,
        ))),
        None => Err(StepFailure::NotMade(FleetError::nothing(
            api, request, &answer,
        ))),
    }
}
