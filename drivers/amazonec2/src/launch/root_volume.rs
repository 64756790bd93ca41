//! The root volume: what EC2 accepts for it, and what a launch asks for.

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, FleetBlockDeviceMappingRequest, FleetEbsBlockDeviceRequest,
    VolumeType,
};
use machine_driver::{DriverError, DriverErrorKind};
use serde::{Deserialize, Serialize};

use crate::config::configure::{ConfigureError, CreateOptions};
use crate::config::flag_values::value;
use crate::config::saved::Saved;
use crate::launch::image::ImageFacts;

/// The limits of a volume type with provisioned IOPS.
struct Limits {
    kind: &'static str,
    least: i64,
    most: i64,
    per_gb: i64,
    wanted: &'static str,
}

/// From the EC2 API Reference, EbsBlockDevice, Iops (botocore 1.44.8), and the Amazon EBS User Guide, "Amazon EBS volume
/// types" (IOPS per GiB).
const PROVISIONED: [Limits; 3] = [
    Limits {
        kind: "gp3",
        least: 3_000,
        most: 80_000,
        per_gb: 500,
        wanted: "a number from 3000 to 80000 for gp3",
    },
    Limits {
        kind: "io1",
        least: 100,
        most: 64_000,
        per_gb: 50,
        wanted: "a number from 100 to 64000 for io1",
    },
    Limits {
        kind: "io2",
        least: 100,
        most: 256_000,
        per_gb: 1_000,
        wanted: "a number from 100 to 256000 for io2",
    },
];

/// The other types of AWS. An EC2 of somebody else's may have more, and judges them itself.
const NOT_PROVISIONED: [&str; 4] = ["gp2", "st1", "sc1", "standard"];

/// Of gp3 volumes, in MiB/s (EC2 API Reference, EbsBlockDevice, Throughput).
const THROUGHPUT: std::ops::RangeInclusive<i64> = 125..=2_000;

/// The IOPS that one MiB/s of throughput needs (Amazon EBS User Guide, "General Purpose SSD volumes": 0.25 MiB/s per IOPS).
const IOPS_PER_THROUGHPUT: i64 = 4;

/// The root volume and the image do not fit each other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootVolumeError {
    #[error(
        "--amazonec2-root-size is {given} GB, and the image {image} needs {least} GB: give {least} or more, or leave the flag out"
    )]
    TooSmall {
        given: i64,
        least: i64,
        image: String,
    },
    #[error(
        "--amazonec2-volume-iops is {iops}, and EC2 takes {most} at most for {size} GB of {kind}: raise --amazonec2-root-size, or lower the IOPS"
    )]
    TooManyIops {
        iops: i64,
        most: i64,
        size: i64,
        kind: String,
    },
    #[error(
        "cannot set IOPS and throughput of the launch template {0}: the root device of its image is not known: set them in the template, or allow ec2:DescribeLaunchTemplateVersions"
    )]
    UnknownRoot(String),
}

impl From<RootVolumeError> for DriverError {
    fn from(error: RootVolumeError) -> Self {
        Self::new(DriverErrorKind::PreCreate, error)
    }
}

/// Checks type, IOPS and throughput against each other. Makes no network call.
///
/// # Errors
/// What EC2 would refuse at the launch, naming the flag.
pub(crate) fn check(saved: &Saved) -> Result<(), ConfigureError> {
    let (kind, iops) = (saved.volume_type.as_str(), saved.volume_iops);
    if saved.use_fleet && !is_of_fleet(saved) {
        // The launch template decides.
        return Ok(());
    }
    let without = |flag, expected| ConfigureError::NotOfVolumeType {
        flag,
        kind: kind.to_owned(),
        expected,
    };
    let is_known = limits(kind).is_some() || NOT_PROVISIONED.contains(&kind);
    match limits(kind) {
        Some(limits) if iops == 0 && kind != "gp3" => {
            return Err(ConfigureError::VolumeWithoutIops(limits.kind));
        }
        Some(limits) if iops != 0 && !(limits.least..=limits.most).contains(&iops) => {
            return Err(value("volume-iops", iops, limits.wanted));
        }
        None if iops != 0 && is_known => {
            return Err(without("volume-iops", "gp3, io1 or io2"));
        }
        _ => {}
    }
    let throughput = saved.volume_throughput;
    if throughput == 0 || !is_known {
        return Ok(());
    }
    if kind != "gp3" {
        return Err(without("volume-throughput", "gp3"));
    }
    let wanted = "a number from 125 to 2000";
    if !THROUGHPUT.contains(&throughput) {
        return Err(value("volume-throughput", throughput, wanted));
    }
    let needed = throughput * IOPS_PER_THROUGHPUT;
    if needed > iops.max(PROVISIONED[0].least) {
        return Err(ConfigureError::ThroughputWithoutIops { throughput, needed });
    }
    Ok(())
}

/// Tells whether a fleet's launch changes the root volume of its launch template.
pub(crate) fn is_of_fleet(saved: &Saved) -> bool {
    saved.use_fleet && (saved.volume_iops != 0 || saved.volume_throughput != 0)
}

/// Returns the size of the root volume in GB: the one that was given, else the default, and no less than the image needs.
///
/// # Errors
/// A size that was given and is too small for the image, or for the IOPS.
pub(crate) fn size(
    saved: &Saved,
    create_options: &CreateOptions,
    image: &ImageFacts,
) -> Result<i64, RootVolumeError> {
    if saved.use_fleet && !is_of_fleet(saved) {
        return Ok(saved.root_size);
    }
    if saved.use_fleet && image.root_device.is_none() {
        return Err(RootVolumeError::UnknownRoot(saved.launch_template.clone()));
    }
    let least = image.root_size.map_or(0, i64::from);
    let (given, is_given) = (saved.root_size, create_options.size_given);
    if is_given && given < least {
        return Err(RootVolumeError::TooSmall {
            given,
            least,
            image: image.id.clone(),
        });
    }
    // A template's own size counts before our default.
    let size = match image.template_size {
        Some(size) if saved.use_fleet && !is_given => i64::from(size),
        _ => given.max(least),
    };
    let (kind, iops) = (&saved.volume_type, saved.volume_iops);
    if let Some(limits) = limits(kind) {
        let most = (limits.per_gb * size).max(limits.least);
        if iops > most {
            return Err(RootVolumeError::TooManyIops {
                iops,
                most,
                size,
                kind: kind.clone(),
            });
        }
    }
    Ok(size)
}

fn limits(kind: &str) -> Option<&'static Limits> {
    PROVISIONED.iter().find(|limits| limits.kind == kind)
}

/// The root volume of a launch. What is `None` is not sent: EC2 then goes by its defaults, such as the account's
/// encryption by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootVolume {
    device: String,
    size: i32,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iops: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    throughput: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kms_key: Option<String>,
}

impl RootVolume {
    pub(crate) fn new(saved: &Saved, device: &str) -> Self {
        let number = |number: i64| i32::try_from(number).ok().filter(|number| *number > 0);
        Self {
            device: device.to_owned(),
            size: i32::try_from(saved.root_size).unwrap_or(i32::MAX),
            kind: saved.volume_type.clone(),
            iops: number(saved.volume_iops),
            throughput: number(saved.volume_throughput),
            encrypted: saved.volume_encrypted.then_some(true),
            kms_key: Some(saved.volume_kms_key_id.clone()).filter(|key| !key.is_empty()),
        }
    }

    /// Returns the mapping of RunInstances.
    pub(crate) fn mapping(&self) -> BlockDeviceMapping {
        let volume = EbsBlockDevice::builder()
            .volume_size(self.size)
            .volume_type(VolumeType::from(self.kind.as_str()))
            .set_iops(self.iops)
            .set_throughput(self.throughput)
            .set_encrypted(self.encrypted)
            .set_kms_key_id(self.kms_key.clone())
            .delete_on_termination(true)
            .build();
        BlockDeviceMapping::builder()
            .device_name(&self.device)
            .ebs(volume)
            .build()
    }

    /// Returns the mapping of a fleet's override ("Supported only for fleets of type instant", EC2 API Reference,
    /// FleetLaunchTemplateOverridesRequest).
    pub(crate) fn fleet_mapping(&self) -> FleetBlockDeviceMappingRequest {
        let volume = FleetEbsBlockDeviceRequest::builder()
            .volume_size(self.size)
            .volume_type(VolumeType::from(self.kind.as_str()))
            .set_iops(self.iops)
            .set_throughput(self.throughput)
            .set_encrypted(self.encrypted)
            .set_kms_key_id(self.kms_key.clone())
            .delete_on_termination(true)
            .build();
        FleetBlockDeviceMappingRequest::builder()
            .device_name(&self.device)
            .ebs(volume)
            .build()
    }
}
