//! Launch templates: named parameters of RunInstances.

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::time::iso;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::state::{Cx, tag_set};
use crate::ec2::resources::tags;

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

/// Returns the template of a `LaunchTemplateSpecification`.
pub(crate) fn find<'a>(cx: &'a Cx<'_>, spec: &Params) -> Result<&'a LaunchTemplate, ApiError> {
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

/// Returns the parameters of a launch merged over those of its template, if it names one.
pub(crate) fn with_template(cx: &Cx<'_>, params: &Params) -> Result<Params, ApiError> {
    let spec = params.below("LaunchTemplate");
    if spec.is_empty() {
        return Ok(params.clone());
    }
    Ok(over(&find(cx, &spec)?.data, params))
}

/// Merges parameters over a template's; a list in the parameters replaces the template's.
pub(crate) fn over(template: &Params, params: &Params) -> Params {
    let top = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let given: Vec<String> = params.map().keys().map(|k| top(k)).collect();
    let mut merged = params.clone();
    for (name, value) in template.map() {
        let tags = name.starts_with("TagSpecification.");
        if !given.contains(&top(name)) {
            merged.set(name, value);
        } else if tags {
            // Tags of template and launch are combined: different numbers keep the two lists apart.
            merged.set(
                name.replacen("TagSpecification.", "TagSpecification.100", 1),
                value,
            );
        }
    }
    merged
}

pub(crate) fn create(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let name = params.need("LaunchTemplateName")?.to_owned();
    if cx.region.templates.values().any(|t| t.name == name) {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            format!("Launch template name '{name}' already in use."),
        ));
    }
    let tags = tags::of_new(params, "launch-template", &["launch-template"])?;
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

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
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

pub(crate) fn delete(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let template = find(cx, params)?.clone();
    tags::dry_run(params)?;
    cx.region.templates.remove(&template.id);
    let mut xml = Xml::new();
    xml.node("launchTemplate", |xml| write(cx, xml, &template));
    cx.region.tags.remove(&template.id);
    Ok(xml)
}

/// Describes the one version of a template, with the part of its data that a driver queries.
pub(crate) fn describe_versions(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let mut spec = params.clone();
    if let [version, ..] = params.list("LaunchTemplateVersion")[..] {
        spec.set("Version", version);
    }
    let template = find(cx, &spec)?;
    let mut xml = Xml::new();
    xml.list("launchTemplateVersionSet", [template], |xml, t| {
        xml.leaf("launchTemplateId", &t.id);
        xml.leaf("launchTemplateName", &t.name);
        xml.leaf("versionNumber", 1);
        xml.leaf("defaultVersion", true);
        xml.leaf("createTime", iso(t.created));
        xml.node("launchTemplateData", |xml| {
            xml.leaf_if("imageId", t.data.get("ImageId"));
            xml.leaf_if("instanceType", t.data.get("InstanceType"));
            xml.leaf_if("keyName", t.data.get("KeyName"));
            let mappings = t.data.structs("BlockDeviceMapping");
            xml.list("blockDeviceMappingSet", &mappings, |xml, mapping| {
                xml.leaf_if("deviceName", mapping.get("DeviceName"));
                xml.node("ebs", |xml| {
                    xml.leaf_if("volumeSize", mapping.get("Ebs.VolumeSize"));
                    xml.leaf_if("volumeType", mapping.get("Ebs.VolumeType"));
                    xml.leaf_if("encrypted", mapping.get("Ebs.Encrypted"));
                    xml.leaf_if("kmsKeyId", mapping.get("Ebs.KmsKeyId"));
                });
            });
        });
    });
    Ok(xml)
}
