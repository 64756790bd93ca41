//! The machine image: is it there, does it fit, what is its root device, who logs in.

use aws_sdk_ec2::types::{Image, ImageState};
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::Cx;
use serde::{Deserialize, Serialize};

use crate::api::call::CallError;
use crate::api::client::Api;
use crate::api::errors::WHERE_IMAGES_HIDE;
use crate::api::lookup::{filter, pattern};
use crate::config::region::{Partition, partition};

/// The image rules the machine out.
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

/// What follows from an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageFacts {
    pub id: String,
    pub root_device: Option<String>,
    pub user: Option<String>,
}

/// Looks an image up, and checks it against the instance types.
pub(crate) async fn check(
    api: &Api,
    cx: &Cx,
    ami: &str,
    types: &[String],
) -> Result<ImageFacts, DriverError> {
    let image = if ami.is_empty() {
        newest_ubuntu(api, cx, types.first().map_or("", String::as_str)).await?
    } else {
        by_id(api, cx, ami).await?
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
        root_device: image
            .root_device_name()
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        user: login_name(&image).map(str::to_owned),
        id,
    })
}

async fn by_id(api: &Api, cx: &Cx, ami: &str) -> Result<Image, DriverError> {
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

/// Finds the newest Ubuntu LTS: releases of April in even years, by Canonical's own account.
async fn newest_ubuntu(api: &Api, cx: &Cx, instance_type: &str) -> Result<Image, DriverError> {
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

/// Returns the year of an LTS release out of an image's name, `None` for every other release.
fn release(image: &Image) -> Option<u32> {
    let name = image.name()?;
    let year = name
        .split('-')
        .find_map(|word| word.strip_suffix(".04"))?
        .parse()
        .ok()?;
    (year % 2 == 0).then_some(year)
}

/// Tells the architecture of an instance type by its name: a `g` among the letters behind the
/// generation is Graviton. `None` for names that do not follow the rule.
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

/// Returns who logs in, as the image's makers have it ("Default user name for AMI", EC2 User Guide).
fn login_name(image: &Image) -> Option<&'static str> {
    let name = image.name().unwrap_or_default().to_ascii_lowercase();
    let place = image
        .image_location()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let users = [
        ("ubuntu", "ubuntu"),
        ("debian", "admin"),
        ("amzn", "ec2-user"),
        ("al2023", "ec2-user"),
        ("amazon-linux", "ec2-user"),
        ("rhel", "ec2-user"),
        ("suse", "ec2-user"),
        ("fedora", "fedora"),
        ("centos", "centos"),
        ("rocky", "rocky"),
        ("almalinux", "ec2-user"),
        ("flatcar", "core"),
        ("fcos", "core"),
    ];
    let known = users
        .iter()
        .find(|(mark, _)| name.starts_with(mark) || place.contains(&format!("/{mark}")));
    known.map(|(_, user)| *user)
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
    fn users_and_releases_follow_from_the_name() {
        let image = |name: &str| Image::builder().name(name).build();
        assert_eq!(
            login_name(&image("debian-12-amd64-20240717-1811")),
            Some("admin")
        );
        assert_eq!(
            login_name(&image("al2023-ami-2023.5-x86_64")),
            Some("ec2-user")
        );
        assert_eq!(login_name(&image("my own")), None);
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
