//! Launch templates, and CreateFleet of type `instant`: one launch at once, tried over a
//! list of overrides.

use super::error::ApiError;
use super::filters::{Filters, IdKind, page};
use super::instances::Instance;
use super::launch;
use super::query::Params;
use super::state::{Cx, Tags, iso, tag_set};
use super::tags;
use super::xml::Xml;

const TEMPLATE: IdKind = IdKind {
    prefix: "lt-",
    code: "InvalidLaunchTemplateId",
    noun: "launch template ID",
};

/// A launch template with one version.
#[derive(Debug, Clone)]
pub struct LaunchTemplate {
    /// `lt-…`.
    pub id: String,
    /// Unique in its region.
    pub name: String,
    pub(crate) created: std::time::SystemTime,
    /// Parameters of RunInstances.
    pub(crate) data: Params,
}

/// The template that a `LaunchTemplateSpecification` names.
fn find<'a>(cx: &'a Cx<'_>, spec: &Params) -> Result<&'a LaunchTemplate, ApiError> {
    let found = if let Some(id) = spec.get("LaunchTemplateId") {
        TEMPLATE.check([id], |id| cx.region.templates.contains_key(id))?;
        cx.region.templates.get(id)
    } else {
        let name = spec.need("LaunchTemplateName")?;
        cx.region.templates.values().find(|t| t.name == name)
    };
    let version = spec.get("Version").unwrap_or("$Default");
    if !matches!(version, "$Default" | "$Latest" | "1") {
        return Err(ApiError::new(
            "InvalidLaunchTemplateId.VersionNotFound",
            format!("Could not find launch template version {version}"),
        ));
    }
    found.ok_or_else(|| {
        ApiError::new(
            "InvalidLaunchTemplateName.NotFoundException",
            "The specified launch template, with template name, does not exist.",
        )
    })
}

/// The parameters of a launch over those of its template, where it names one.
pub(crate) fn with_template(cx: &Cx<'_>, params: &Params) -> Result<Params, ApiError> {
    let spec = params.below("LaunchTemplate");
    if spec.is_empty() {
        return Ok(params.clone());
    }
    Ok(over(&find(cx, &spec)?.data, params))
}

/// Lays parameters over a template's; a list given anew replaces the template's.
fn over(template: &Params, params: &Params) -> Params {
    let top = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let given: Vec<String> = params.map().keys().map(|k| top(k)).collect();
    let mut merged = params.clone();
    for (name, value) in template.map() {
        let tags = name.starts_with("TagSpecification.");
        if !given.contains(&top(name)) {
            merged.set(name, value);
        } else if tags {
            // Tags of template and launch add up: keep both lists apart by number.
            merged.set(
                name.replacen("TagSpecification.", "TagSpecification.100", 1),
                value,
            );
        }
    }
    merged
}

pub(crate) fn create_template(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let name = params.need("LaunchTemplateName")?.to_owned();
    if cx.region.templates.values().any(|t| t.name == name) {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            format!("Launch template name '{name}' already in use."),
        ));
    }
    let tags = tags::of_new(params, "launch-template")?;
    tags::dry_run(params)?;
    let template = LaunchTemplate {
        id: cx.shared.ids.id("lt-"),
        name,
        created: cx.now,
        data: params.below("LaunchTemplateData"),
    };
    cx.tag_new(&template.id, tags);
    let mut xml = Xml::new();
    xml.node("launchTemplate", |xml| write(cx, xml, &template));
    cx.region.templates.insert(template.id.clone(), template);
    Ok(xml)
}

fn write(cx: &Cx<'_>, xml: &mut Xml, t: &LaunchTemplate) {
    xml.leaf("launchTemplateId", &t.id);
    xml.leaf("launchTemplateName", &t.name);
    xml.leaf("createTime", iso(t.created));
    xml.leaf(
        "createdBy",
        format!("arn:aws:iam::{}:root", cx.region.account),
    );
    xml.leaf("defaultVersionNumber", 1);
    xml.leaf("latestVersionNumber", 1);
    tag_set(xml, &cx.tags(&t.id));
}

pub(crate) fn describe_templates(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let filters = Filters::parse(params, &["launch-template-name", "create-time"])?;
    let (ids, names) = (
        params.list("LaunchTemplateId"),
        params.list("LaunchTemplateName"),
    );
    TEMPLATE.check(ids.iter().copied(), |id| {
        cx.region.templates.contains_key(id)
    })?;
    let found: Vec<&LaunchTemplate> = cx
        .region
        .templates
        .values()
        .filter(|t| ids.is_empty() || ids.contains(&t.id.as_str()))
        .filter(|t| names.is_empty() || names.contains(&t.name.as_str()))
        .filter(|t| filters.pass(&cx.tags(&t.id), |_| vec![t.name.clone()]))
        .collect();
    if let Some(missing) = names.iter().find(|n| !found.iter().any(|t| t.name == **n)) {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.NotFoundException",
            format!(
                "At least one of the launch templates specified in the request does not exist: {missing}"
            ),
        ));
    }
    let (found, next) = page(params, found, |t| t.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("launchTemplates", found, |xml, t| write(cx, xml, t));
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

pub(crate) fn delete_template(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let template = find(cx, params)?.clone();
    tags::dry_run(params)?;
    cx.region.templates.remove(&template.id);
    let mut xml = Xml::new();
    xml.node("launchTemplate", |xml| write(cx, xml, &template));
    cx.region.tags.remove(&template.id);
    Ok(xml)
}

/// A launch that a fleet tries.
struct Candidate {
    template: LaunchTemplate,
    overrides: Params,
    params: Params,
}

pub(crate) fn create(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let kind = params.get("Type").unwrap_or("maintain");
    if kind != "instant" {
        return Err(ApiError::invalid("Type", kind));
    }
    if params.get("ClientToken").is_some_and(|t| t.len() > 64) {
        return Err(ApiError::invalid(
            "ClientToken",
            "longer than 64 characters",
        ));
    }
    let target = params.below("TargetCapacitySpecification");
    let count = target.number::<u32>("TotalTargetCapacity")?;
    let count = count.ok_or_else(|| ApiError::missing("TotalTargetCapacity"))?;
    let spot = target.get("DefaultTargetCapacityType") == Some("spot");
    let candidates = candidates(cx, params, spot)?;
    tags::dry_run(params)?;
    let fleet = match cx.region.tokens.find("fleet", params)? {
        Some(known) => return Ok(answer(cx, &known, &candidates, &[])),
        None => format!("fleet-{}", cx.shared.ids.uuid()),
    };
    let (mut made, mut errors) = (0, Vec::new());
    for candidate in &candidates {
        while made < count {
            match launch::start(cx, &candidate.params) {
                Err(error) => {
                    errors.push((candidate, error));
                    break;
                }
                Ok(reservation) => {
                    adopt(cx, &reservation, &fleet);
                    made += 1;
                }
            }
        }
    }
    cx.region.tokens.remember("fleet", params, &fleet);
    Ok(answer(cx, &fleet, &candidates, &errors))
}

fn candidates(cx: &Cx<'_>, params: &Params, spot: bool) -> Result<Vec<Candidate>, ApiError> {
    let mut candidates = Vec::new();
    for config in params.structs("LaunchTemplateConfigs") {
        let template = find(cx, &config.below("LaunchTemplateSpecification"))?.clone();
        let mut overrides = config.structs("Overrides");
        if overrides.is_empty() {
            overrides.push(Params::default());
        }
        for overrides in overrides {
            let mut p = Params::default();
            for name in ["InstanceType", "ImageId"] {
                if let Some(value) = overrides.get(name) {
                    p.set(name, value);
                }
            }
            if let Some(zone) = overrides.get("AvailabilityZone") {
                p.set("Placement.AvailabilityZone", zone);
            }
            for (name, value) in params.map() {
                if name.starts_with("TagSpecification.") {
                    p.set(name, value);
                }
            }
            let mut p = over(&template.data, &p);
            if let Some(subnet) = overrides.get("SubnetId") {
                let in_interface = p.has_below("NetworkInterface");
                p.set(
                    if in_interface {
                        "NetworkInterface.1.SubnetId"
                    } else {
                        "SubnetId"
                    },
                    subnet,
                );
            }
            p.set("MinCount", "1");
            p.set("MaxCount", "1");
            if spot {
                p.set("InstanceMarketOptions.MarketType", "spot");
                if let Some(price) = overrides.get("MaxPrice") {
                    p.set("InstanceMarketOptions.SpotOptions.MaxPrice", price);
                }
            }
            candidates.push(Candidate {
                template: template.clone(),
                overrides,
                params: p,
            });
        }
    }
    if candidates.is_empty() {
        return Err(ApiError::missing("LaunchTemplateConfigs"));
    }
    Ok(candidates)
}

/// Marks the instances of a reservation as the fleet's, as EC2 does.
fn adopt(cx: &mut Cx<'_>, reservation: &str, fleet: &str) {
    let all = cx.region.instances.values();
    let ids: Vec<String> = all
        .filter(|i| i.reservation == reservation)
        .map(|i| i.id.clone())
        .collect();
    for id in ids {
        let mut tags: Tags = cx.region.tags.get(&id).cloned().unwrap_or_default();
        tags.insert("aws:ec2:fleet-id".to_owned(), fleet.to_owned());
        cx.tag_new(&id, tags);
    }
}

fn answer(
    cx: &Cx<'_>,
    fleet: &str,
    candidates: &[Candidate],
    errors: &[(&Candidate, ApiError)],
) -> Xml {
    let mut xml = Xml::new();
    xml.leaf("fleetId", fleet);
    xml.list("errorSet", errors, |xml, (candidate, error)| {
        echo(xml, candidate);
        xml.leaf("lifecycle", lifecycle(&candidate.params));
        xml.leaf("errorCode", &error.code);
        xml.leaf("errorMessage", &error.message);
    });
    let of_fleet = |i: &&Instance| {
        let tags = cx.region.tags.get(&i.id);
        tags.and_then(|t| t.get("aws:ec2:fleet-id"))
            .is_some_and(|f| f == fleet)
    };
    let instances: Vec<&Instance> = cx.region.instances.values().filter(of_fleet).collect();
    xml.list("fleetInstanceSet", instances, |xml, i| {
        let origin = candidates
            .iter()
            .find(|c| c.params.get("InstanceType") == Some(&i.instance_type));
        if let Some(candidate) = origin {
            echo(xml, candidate);
        }
        xml.leaf(
            "lifecycle",
            if i.spot_request.is_some() {
                "spot"
            } else {
                "on-demand"
            },
        );
        xml.list("instanceIds", [&i.id], |xml, id| xml.text(id));
        xml.leaf("instanceType", &i.instance_type);
    });
    xml
}

fn lifecycle(params: &Params) -> &'static str {
    match params.get("InstanceMarketOptions.MarketType") {
        Some(_) => "spot",
        None => "on-demand",
    }
}

fn echo(xml: &mut Xml, candidate: &Candidate) {
    xml.node("launchTemplateAndOverrides", |xml| {
        xml.node("launchTemplateSpecification", |xml| {
            xml.leaf("launchTemplateId", &candidate.template.id);
            xml.leaf("version", 1);
        });
        xml.node("overrides", |xml| {
            xml.leaf_if("instanceType", candidate.overrides.get("InstanceType"));
            xml.leaf_if("subnetId", candidate.overrides.get("SubnetId"));
            xml.leaf_if(
                "availabilityZone",
                candidate.overrides.get("AvailabilityZone"),
            );
        });
    });
}
