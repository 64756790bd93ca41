//! Stop, start, reboot, terminate, and the state-dependent calls: status, console, profile.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::time::iso;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::describe_instances;
use crate::ec2::resources::instances::{self, Instance, InstanceState, StateReason};
use crate::ec2::resources::life::{self, HostOrder};
use crate::ec2::resources::state::{Cx, Tags};
use crate::ec2::resources::tags;

/// Returns the instances that a call names; all of them must exist.
fn named(cx: &Cx<'_>, params: &Params) -> Result<Vec<String>, ApiError> {
    let ids = params.list("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId"));
    }
    instances::check(cx, &ids)?;
    Ok(ids.into_iter().map(str::to_owned).collect())
}

fn wrong_state(id: &str, verb: &str) -> ApiError {
    ApiError::new(
        "IncorrectInstanceState",
        format!("The instance '{id}' is not in a state from which it can be {verb}."),
    )
}

/// Applies `change` to each instance and writes the states before and after.
fn change_all(cx: &mut Cx<'_>, ids: &[String], mut change: impl FnMut(&mut Cx<'_>, &str)) -> Xml {
    let mut xml = Xml::new();
    let state = |cx: &Cx<'_>, id: &str| cx.region.instances.get(id).map(|i| i.state);
    xml.list("instancesSet", ids, |xml, id| {
        let before = state(cx, id);
        change(cx, id);
        let now = state(cx, id);
        xml.leaf("instanceId", id);
        if let (Some(before), Some(now)) = (before, now) {
            describe_instances::state(xml, "currentState", now);
            describe_instances::state(xml, "previousState", before);
        }
    });
    xml
}

pub(crate) fn stop(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = named(cx, params)?;
    for i in ids.iter().filter_map(|id| cx.region.instances.get(id)) {
        let id = &i.id;
        let request = i
            .spot_request
            .as_ref()
            .and_then(|r| cx.region.spot_requests.get(r));
        if request.is_some_and(|r| !r.persistent) {
            return Err(ApiError::new(
                "UnsupportedOperation",
                format!(
                    "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests."
                ),
            ));
        }
        if i.state == InstanceState::Pending || i.state.is_ending() {
            return Err(wrong_state(id, "stopped"));
        }
    }
    tags::dry_run(params)?;
    Ok(change_all(cx, &ids, |cx, id| {
        let reason = StateReason::new("Client.UserInitiatedShutdown", "User initiated shutdown");
        life::begin_stop(cx.region, cx.shared, id, cx.now, reason);
    }))
}

pub(crate) fn start(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = named(cx, params)?;
    for i in ids.iter().filter_map(|id| cx.region.instances.get(id)) {
        let startable = matches!(
            i.state,
            InstanceState::Stopped | InstanceState::Running | InstanceState::Pending
        );
        if !startable {
            return Err(wrong_state(&i.id, "started"));
        }
    }
    tags::dry_run(params)?;
    Ok(change_all(cx, &ids, |cx, id| {
        life::begin_start(cx.region, cx.shared, id, cx.now)
    }))
}

pub(crate) fn reboot(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = named(cx, params)?;
    for i in ids.iter().filter_map(|id| cx.region.instances.get(id)) {
        if i.state != InstanceState::Running {
            return Err(wrong_state(&i.id, "rebooted"));
        }
    }
    tags::dry_run(params)?;
    cx.shared
        .orders
        .extend(ids.into_iter().map(HostOrder::Reboot));
    Ok(Xml::done())
}

pub(crate) fn terminate(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = named(cx, params)?;
    tags::dry_run(params)?;
    Ok(change_all(cx, &ids, |cx, id| {
        let reason = StateReason::new("Client.UserInitiatedShutdown", "User initiated shutdown");
        life::begin_termination(cx.region, cx.shared, id, cx.now, reason);
    }))
}

pub(crate) fn status(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "instance-state-name",
        "availability-zone",
        "instance-state-code",
    ];
    let filters = Filters::parse(params, &known)?;
    let ids = params.list("InstanceId");
    instances::check(cx, &ids)?;
    let all = params.flag("IncludeAllInstances")? == Some(true);
    let found: Vec<&Instance> = cx
        .region
        .instances
        .values()
        .filter(|i| ids.is_empty() || ids.contains(&i.id.as_str()))
        .filter(|i| all || i.state == InstanceState::Running)
        .filter(|i| {
            filters.pass(&Tags::new(), |name| {
                vec![match name {
                    "instance-state-name" => i.state.name().to_owned(),
                    "instance-state-code" => i.state.code().to_string(),
                    _ => i.zone.clone(),
                }]
            })
        })
        .collect();
    let (found, next) = page(params, found, |i| i.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("instanceStatusSet", found, |xml, i| {
        xml.leaf("instanceId", &i.id);
        xml.leaf("availabilityZone", &i.zone);
        describe_instances::state(xml, "instanceState", i.state);
        let health = if i.state == InstanceState::Running {
            "ok"
        } else {
            "not-applicable"
        };
        for check in ["systemStatus", "instanceStatus"] {
            xml.node(check, |xml| {
                xml.leaf("status", health);
                xml.list("details", [()], |xml, ()| {
                    xml.leaf("name", "reachability");
                    xml.leaf("status", if health == "ok" { "passed" } else { health });
                });
            });
        }
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

/// GetConsoleOutput. `text` comes from the host, which is asked without holding the lab's lock.
pub(crate) fn console(cx: &mut Cx<'_>, params: &Params, text: &str) -> Result<Xml, ApiError> {
    let id = params.need("InstanceId")?;
    instances::check(cx, &[id])?;
    tags::dry_run(params)?;
    let mut xml = Xml::new();
    xml.leaf("instanceId", id);
    xml.leaf("timestamp", iso(cx.now));
    xml.leaf("output", STANDARD.encode(text));
    Ok(xml)
}

pub(crate) fn associate_profile(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let id = params.need("InstanceId")?.to_owned();
    instances::check(cx, &[&id])?;
    let profile = params
        .text("IamInstanceProfile.Name")
        .or_else(|| params.text("IamInstanceProfile.Arn"))
        .ok_or_else(|| ApiError::missing("IamInstanceProfile"))?;
    crate::ec2::resources::launch::check_profile(cx, &profile)?;
    if let Some(instance) = cx.region.instances.get_mut(&id) {
        if instance.profile.is_some() {
            return Err(ApiError::new(
                "IncorrectState",
                format!("There is an existing association for instance {id}"),
            ));
        }
        if !matches!(
            instance.state,
            InstanceState::Running | InstanceState::Stopped
        ) {
            return Err(wrong_state(&id, "associated with a profile"));
        }
        instance.profile = Some(profile.clone());
    }
    let mut xml = Xml::new();
    xml.node("iamInstanceProfileAssociation", |xml| {
        xml.leaf("associationId", cx.shared.ids.id("iip-assoc-"));
        xml.leaf("instanceId", &id);
        xml.node("iamInstanceProfile", |xml| {
            xml.leaf("arn", describe_instances::profile_arn(cx, &profile));
            xml.leaf("id", "AIPA0000000000000LAB");
        });
        xml.leaf("state", "associating");
    });
    Ok(xml)
}
