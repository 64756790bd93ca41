//! Checks the machine image: existence, compatibility, root device and login name.

use aws_sdk_ec2::types::{Image, ImageState};
use machine_driver::{DriverError, DriverErrorKind};
use serde::{Deserialize, Serialize};

use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::errors::WHERE_IMAGES_HIDE;
use crate::api::lookup::{filter, pattern};
use crate::config::region::{Partition, partition};

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

/// Values that follow from an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageFacts {
    pub id: String,
    pub root_device: Option<String>,
    /// The size of its root volume in GB, the minimum for a launch.
    #[serde(default)]
    pub root_size: Option<i32>,
    /// The size of the root volume in a launch template.
    #[serde(default)]
    pub template_size: Option<i32>,
    /// Whether a launch template encrypts the root volume.
    #[serde(default)]
    pub template_encrypts: bool,
    /// The other devices that a launch template maps.
    #[serde(default)]
    pub template_devices: Vec<String>,
    pub user: Option<String>,
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
    let root_device = image.root_device_name().filter(|name| !name.is_empty());
    let mut mappings = image.block_device_mappings().iter();
    let root = mappings.find(|mapping| mapping.device_name() == root_device);
    Ok(ImageFacts {
        root_device: root_device.map(str::to_owned),
        root_size: root.and_then(|root| root.ebs()?.volume_size()),
        template_size: None,
        template_encrypts: false,
        template_devices: Vec::new(),
        user: login_name(&image).map(str::to_owned),
        id,
    })
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

/// Login names of images by the prefix of the image's name; the first match counts. [EC2] is the EC2 User Guide,
/// "Default usernames".
const LOGIN_NAMES: [(&str, &str); 17] = [
    // [EC2]; bitnami.com, "SSH connection". Its image names contain Debian or Ubuntu further on.
    ("bitnami", "bitnami"),
    // [EC2]; documentation.ubuntu.com/aws.
    ("ubuntu", "ubuntu"),
    // [EC2]; wiki.debian.org/Cloud/AmazonEC2Image.
    ("debian", "admin"),
    // [EC2].
    ("amzn", "ec2-user"),
    ("al2023", "ec2-user"),
    ("amazon-linux", "ec2-user"),
    // [EC2]; it gives `root` for images before 6.4.
    ("rhel", "ec2-user"),
    // [EC2], which also lists `root`; openSUSE's images are built like those of SLES.
    ("suse", "ec2-user"),
    ("opensuse", "ec2-user"),
    // docs.fedoraproject.org/en-US/fedora-coreos/provisioning-aws: "the default user core".
    ("fedora-coreos", "core"),
    ("fcos", "core"),
    // [EC2]; github.com/test-kitchen/kitchen-ec2, standard_platform/fedora.rb.
    ("fedora", "fedora"),
    // github.com/test-kitchen/kitchen-ec2, standard_platform/rocky.rb and alma.rb, which detect images by these names.
    ("rocky", "rocky"),
    ("almalinux", "ec2-user"),
    // github.com/k0sproject/k0s, hack/ostests/modules/os/os_flatcar.tf.
    ("flatcar", "core"),
    // [EC2]: "for an Oracle AMI"; see [`is_of_oracle`].
    (ORACLE, "ec2-user"),
    // [EC2]: "centos or ec2-user"; see [`of_centos`].
    (CENTOS, "centos"),
];

const CENTOS: &str = "centos";
const ORACLE: &str = "ol";

/// Returns the login name that the image's vendor documents.
fn login_name(image: &Image) -> Option<&'static str> {
    let name = image.name().unwrap_or_default().to_ascii_lowercase();
    let place = image
        .image_location()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if name.starts_with("deep learning") {
        return of_deep_learning(&name);
    }
    let is_of = |mark: &str| match mark {
        ORACLE => is_of_oracle(&name),
        _ => name.starts_with(mark) || place.contains(&format!("/{mark}")),
    };
    let (mark, user) = LOGIN_NAMES.iter().find(|(mark, _)| is_of(mark))?;
    Some(match *mark {
        CENTOS => of_centos(&name),
        _ => user,
    })
}

/// Oracle Linux: `OL` and its release.
fn is_of_oracle(name: &str) -> bool {
    let release = name.strip_prefix(ORACLE);
    release.is_some_and(|release| release.starts_with(|c: char| c.is_ascii_digit()))
}

/// AWS Deep Learning AMIs name their system in brackets (awsdocs-neuron.readthedocs-hosted.com, "AWS CLI commands to launch
/// inf1 instances"): `Deep Learning AMI (Amazon Linux 2) …`, `… (Ubuntu 18.04) …`. The users are those of [EC2].
fn of_deep_learning(name: &str) -> Option<&'static str> {
    let systems = [("(amazon linux", "ec2-user"), ("(ubuntu", "ubuntu")];
    let system = systems.iter().find(|(system, _)| name.contains(system));
    system.map(|(_, user)| *user)
}

/// Returns CentOS's login name: `ec2-user` since CentOS Stream 9 (github.com/test-kitchen/kitchen-ec2,
/// standard_platform/centos.rb). Image names: `CentOS Stream 9 x86_64 20260101`, `CentOS-7-2111-20220825`.
fn of_centos(name: &str) -> &'static str {
    let mut numbers = name.split(|c: char| !c.is_ascii_digit());
    let release = numbers.find_map(|digits| digits.parse::<u32>().ok());
    match release {
        Some(9..=99) => "ec2-user",
        _ => "centos",
    }
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
        for (name, user) in [
            ("debian-12-amd64-20240717-1811", Some("admin")),
            ("al2023-ami-2023.5-x86_64", Some("ec2-user")),
            (
                "amzn2-ami-kernel-5.10-hvm-2.0.20260101.0-x86_64-gp2",
                Some("ec2-user"),
            ),
            (
                "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20240927",
                Some("ubuntu"),
            ),
            (
                "RHEL-9.7.0_HVM_GA-20251031-x86_64-0-Hourly2-GP3",
                Some("ec2-user"),
            ),
            (
                "suse-sles-15-sp6-v20260101-hvm-ssd-x86_64",
                Some("ec2-user"),
            ),
            (
                "openSUSE-Leap-15-6-v20240606-hvm-ssd-x86_64",
                Some("ec2-user"),
            ),
            ("fedora-coreos-42.20250803.3.0-x86_64", Some("core")),
            ("Fedora-Cloud-Base-AmazonEC2.x86_64-42-1.1", Some("fedora")),
            ("CentOS Stream 10 x86_64 20260101", Some("ec2-user")),
            ("CentOS Stream 9 x86_64 20260101", Some("ec2-user")),
            ("CentOS Stream 8 x86_64 20240101", Some("centos")),
            ("CentOS-7-2111-20220825_1.x86_64", Some("centos")),
            ("Rocky-9-EC2-Base-9.5-20241118.0.x86_64", Some("rocky")),
            ("AlmaLinux OS 9.7.20260508 x86_64", Some("ec2-user")),
            ("Flatcar-stable-4230.2.2-hvm", Some("core")),
            (
                "bitnami-wordpress-6.4-r03-linux-debian-12-x86_64-hvm-ebs",
                Some("bitnami"),
            ),
            ("OL9.3-x86_64-HVM-2023-11-17", Some("ec2-user")),
            ("old-image", None),
            (
                "Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023) 20260101",
                Some("ec2-user"),
            ),
            (
                "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04) 20260101",
                Some("ubuntu"),
            ),
            ("my own", None),
        ] {
            assert_eq!(login_name(&image(name)), user, "{name}");
        }
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
