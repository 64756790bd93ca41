//! A create with `--amazonec2-use-fleet`: the launch template's check, and what the machine is like in
//! the end.

use aws_sdk_ec2::types::{Instance, InstanceLifecycleType};
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::Cx;

use crate::api::client::Api;
use crate::config::saved::Saved;
use crate::launch::candidates::Place;
use crate::launch::image::{self, ImageFacts};

/// The launch template rules the machine out.
#[derive(Debug, thiserror::Error)]
#[error("there is no launch template {template} in region {region}")]
struct NoSuchTemplate {
    template: String,
    region: String,
}

/// Looks the launch template up, and checks its image against the instance types. Who may not look
/// goes on without: EC2 judges the template at the launch.
pub(crate) async fn check(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    types: &[String],
) -> Result<ImageFacts, DriverError> {
    let template = &saved.launch_template;
    let is_id = template.starts_with("lt-");
    let answer = api
        .ask(cx, "DescribeLaunchTemplateVersions", |probe| {
            api.ec2
                .describe_launch_template_versions()
                .set_launch_template_id(is_id.then(|| template.clone()))
                .set_launch_template_name((!is_id).then(|| template.clone()))
                .versions("$Default")
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    let unknown = |id: &str| ImageFacts {
        id: id.to_owned(),
        ..ImageFacts::default()
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.code() == "UnauthorizedOperation" => {
            cx.debug(format!("going on without a look at the template: {error}"));
            return Ok(unknown(&saved.ami));
        }
        Err(error) if error.code().starts_with("InvalidLaunchTemplate") => {
            let missing = NoSuchTemplate {
                template: template.clone(),
                region: api.region.clone(),
            };
            return Err(DriverError::new(DriverErrorKind::PreCreate, missing));
        }
        Err(error) => return Err(error.into()),
    };
    let data = answer
        .launch_template_versions()
        .first()
        .and_then(|version| version.launch_template_data());
    let types = match (types, data.and_then(|data| data.instance_type())) {
        ([], Some(own)) => vec![own.as_str().to_owned()],
        (types, _) => types.to_vec(),
    };
    match data.and_then(|data| data.image_id()) {
        Some(ami) if ami.starts_with("ami-") => image::check(api, cx, ami, &types).await,
        // A parameter of the Systems Manager, which EC2 looks up at the launch.
        other => Ok(unknown(other.unwrap_or_default())),
    }
}

/// Saves what the template and EC2 decided.
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
        crate::inspect::preflight::settle(saved, &place);
    }
}
