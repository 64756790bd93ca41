//! Finds the machine image, by its ID, as the newest Ubuntu or in a fleet's launch template, and checks that it is
//! available and fits the instance types.

use aws_sdk_ec2::types::{
    Image, ImageState, LaunchTemplateBlockDeviceMapping, LaunchTemplateEbsBlockDevice,
};
use machine_driver::{DriverError, DriverErrorKind};

use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::errors::WHERE_IMAGES_HIDE;
use crate::api::lookup::{filter, pattern};
use crate::config::region::{Partition, partition};
use crate::launch::image_facts::ImageFacts;

/// The image does not fit the machine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("there is no image {image} in region {region}, or it is not shared with this account")]
    Missing { image: String, region: String },
    #[error("the image {image} is {state}, not available")]
    NotAvailable { image: String, state: String },
    #[error("the image {image} is for {of_image}, and {instance_type} is {of_type}")]
    OtherArchitecture {
        image: String,
        of_image: String,
        instance_type: String,
        of_type: &'static str,
    },
    #[error(
        "there is no Ubuntu LTS image for {architecture} in region {region}: give one with --amazonec2-ami"
    )]
    NoDefault {
        architecture: &'static str,
        region: String,
    },
}

impl From<ImageError> for DriverError {
    fn from(error: ImageError) -> Self {
        let is_hidden = matches!(
            error,
            ImageError::Missing { .. } | ImageError::NoDefault { .. }
        );
        let error = Self::new(DriverErrorKind::PreCreate, error);
        match is_hidden {
            true => error.with_hint(WHERE_IMAGES_HIDE),
            false => error,
        }
    }
}

/// There is no such launch template.
#[derive(Debug, thiserror::Error)]
#[error("there is no launch template {template} in region {region}")]
struct NoSuchTemplate {
    template: String,
    region: String,
}

/// Looks up an image and checks it against the instance types.
pub(crate) async fn check(
    ec2: Ec2<'_>,
    ami: &str,
    types: &[String],
) -> Result<ImageFacts, DriverError> {
    let image = if ami.is_empty() {
        newest_ubuntu(ec2, types.first().map_or("", String::as_str)).await?
    } else {
        by_id(ec2, ami).await?
    };
    let id = image.image_id().unwrap_or(ami).to_owned();
    if let Some(state) = image.state()
        && *state != ImageState::Available
    {
        return Err(ImageError::NotAvailable {
            image: id,
            state: state.as_str().to_owned(),
        }
        .into());
    }
    let of_image = image
        .architecture()
        .map(|a| a.as_str().to_owned())
        .unwrap_or_default();
    for instance_type in types {
        let of_type = architecture(instance_type);
        if of_type.is_some_and(|of_type| {
            matches!(of_image.as_str(), "arm64" | "x86_64") && of_image != of_type
        }) {
            return Err(ImageError::OtherArchitecture {
                image: id,
                of_image,
                instance_type: instance_type.clone(),
                of_type: of_type.unwrap_or_default(),
            }
            .into());
        }
    }
    Ok(ImageFacts {
        id,
        ..ImageFacts::of(&image)
    })
}

/// Looks up the launch template and checks its image against the instance types. If the lookup is denied, continues
/// without it: EC2 checks the template at the launch.
pub(crate) async fn of_template(ec2: Ec2<'_>, types: &[String]) -> Result<ImageFacts, DriverError> {
    let Ec2 { api, cx, saved } = ec2;
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
        Some(ami) if ami.starts_with("ami-") => {
            let facts = check(ec2, ami, &types).await?;
            let mappings = data.map_or(&[][..], |data| data.block_device_mappings());
            let (root, others): (Vec<_>, Vec<_>) = mappings
                .iter()
                .partition(|mapping| mapping.device_name() == facts.root_device.as_deref());
            let root = root.first().and_then(|root| root.ebs());
            let encrypts = |root: &LaunchTemplateEbsBlockDevice| {
                root.encrypted() == Some(true) || root.kms_key_id().is_some()
            };
            let device = |mapping: &LaunchTemplateBlockDeviceMapping| {
                mapping.device_name().unwrap_or("a device").to_owned()
            };
            Ok(ImageFacts {
                template_size: root.and_then(|root| root.volume_size()),
                template_encrypts: root.is_some_and(encrypts),
                template_devices: others.into_iter().map(device).collect(),
                ..facts
            })
        }
        // A Systems Manager parameter, which EC2 resolves at the launch.
        other => Ok(unknown(other.unwrap_or_default())),
    }
}

async fn by_id(Ec2 { api, cx, .. }: Ec2<'_>, ami: &str) -> Result<Image, DriverError> {
    let answer = api
        .ask(cx, "DescribeImages", |probe| {
            api.ec2
                .describe_images()
                .image_ids(ami)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    let found = match answer {
        Ok(answer) => answer.images.unwrap_or_default().into_iter().next(),
        Err(error) if error.code().starts_with("InvalidAMIID") => None,
        Err(error) => return Err(error.into()),
    };
    let missing = || ImageError::Missing {
        image: ami.to_owned(),
        region: api.region.clone(),
    };
    Ok(found.ok_or_else(missing)?)
}

/// Finds the newest Ubuntu LTS image: April releases of even years, from Canonical's account.
async fn newest_ubuntu(
    Ec2 { api, cx, .. }: Ec2<'_>,
    instance_type: &str,
) -> Result<Image, DriverError> {
    let arm = architecture(instance_type) == Some("arm64");
    let (architecture, in_name) = if arm {
        ("arm64", "arm64")
    } else {
        ("x86_64", "amd64")
    };
    let filters = vec![
        pattern(
            "name",
            [format!(
                "ubuntu/images/hvm-ssd*/ubuntu-*-??.04-{in_name}-server-*"
            )],
        ),
        filter("architecture", [architecture.to_owned()]),
        filter("state", ["available".to_owned()]),
    ];
    let images: Result<_, CallError> = api
        .ask(cx, "DescribeImages", |probe| {
            let call = api.ec2.describe_images().owners(canonical(&api.region));
            call.set_filters(Some(filters.clone()))
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    let lts = images?
        .images
        .unwrap_or_default()
        .into_iter()
        .filter(|image| release(image).is_some());
    let newest = lts.max_by_key(|image| (release(image), image.creation_date().map(str::to_owned)));
    let none = || ImageError::NoDefault {
        architecture,
        region: api.region.clone(),
    };
    Ok(newest.ok_or_else(none)?)
}

/// Returns Canonical's account in the region's partition (documentation.ubuntu.com, "Find Ubuntu
/// images on AWS").
fn canonical(region: &str) -> &'static str {
    match partition(region) {
        Some(Partition::UsGov) => "513442679011",
        Some(Partition::China) => "837727238323",
        _ => "099720109477",
    }
}

/// Returns the year of an LTS release from an image's name; `None` for every other release.
fn release(image: &Image) -> Option<u32> {
    let name = image.name()?;
    let year = name
        .split('-')
        .find_map(|word| word.strip_suffix(".04"))?
        .parse()
        .ok()?;
    (year % 2 == 0).then_some(year)
}

/// Returns the architecture of an instance type from its name: a `g` among the letters after the generation means
/// Graviton. Returns `None` for names that do not follow the rule.
pub(crate) fn architecture(instance_type: &str) -> Option<&'static str> {
    let family = instance_type.split('.').next()?;
    if family == "a1" {
        return Some("arm64");
    }
    let generation = family.find(|c: char| c.is_ascii_digit())?;
    let (letters, rest) = family.split_at(generation);
    if letters.is_empty() || letters.starts_with("mac") || letters == "u-" {
        return None;
    }
    let attributes = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let (attributes, accelerator) = attributes.split_once('-').unwrap_or((attributes, ""));
    let arm = attributes.contains('g') || accelerator.starts_with("gb");
    Some(if arm { "arm64" } else { "x86_64" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graviton_is_told_by_its_name() {
        for arm in [
            "t4g.micro",
            "m7gd.large",
            "c7gn.medium",
            "im4gn.large",
            "a1.large",
            "g5g.xlarge",
            "p6e-gb200.36xlarge",
        ] {
            assert_eq!(architecture(arm), Some("arm64"), "{arm}");
        }
        for intel in [
            "t2.micro",
            "g4dn.xlarge",
            "m7i-flex.large",
            "m6a.large",
            "x2iedn.xlarge",
            "g5.xlarge",
        ] {
            assert_eq!(architecture(intel), Some("x86_64"), "{intel}");
        }
        for unknown in ["", "mac2.metal", "u-6tb1.metal", "x"] {
            assert_eq!(architecture(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_release_with_long_term_support_is_told_by_its_name() {
        let image = |name: &str| Image::builder().name(name).build();
        assert_eq!(
            release(&image(
                "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20240927"
            )),
            Some(24)
        );
        assert_eq!(
            release(&image(
                "ubuntu/images/hvm-ssd-gp3/ubuntu-plucky-25.04-amd64-server-20250501"
            )),
            None
        );
    }
}
