//! The root volume of a launch: checks its size against the image, and builds the request.

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, FleetBlockDeviceMappingRequest, FleetEbsBlockDeviceRequest,
    VolumeType,
};
use machine_driver::{DriverError, DriverErrorKind};
use serde::{Deserialize, Serialize};

use crate::config::create_options::CreateOptions;
pub(crate) use crate::config::root_volume::is_of_fleet;
use crate::config::root_volume::{is_bootable, limits, sizes};
use crate::config::saved::Saved;
use crate::launch::image_facts::ImageFacts;

/// The root volume does not fit the image.
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
        "--amazonec2-root-size: a volume of {size} GB cannot be of type {kind}: expected {least} to {most} GB; change the size or --amazonec2-volume-type"
    )]
    SizeOfType {
        size: i64,
        kind: String,
        least: i64,
        most: i64,
    },
    #[error(
        "--amazonec2-volume-type {0} cannot be used for a root volume: expected gp3, gp2, io1, io2 or standard"
    )]
    NotBootable(String),
    #[error(
        "cannot set IOPS and throughput of the launch template {template}: the launch would lose its {lost}: set IOPS and throughput in the template{way_out}"
    )]
    TemplateLoses {
        template: String,
        lost: String,
        way_out: &'static str,
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

/// Returns the size of the root volume in GB: the given one, else the default, but at least what the image needs.
///
/// # Errors
/// Fails if the given size is too small for the image or for the IOPS.
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
    if saved.use_fleet {
        check_template(saved, image)?;
    }
    // Of another device the image says nothing.
    let is_root =
        !create_options.device_given || image.root_device.as_ref() == Some(&saved.device_name);
    let least = match is_root {
        true => image.root_size.map_or(0, i64::from),
        false => 0,
    };
    let (given, is_given) = (saved.root_size, create_options.size_given);
    if is_given && given < least {
        return Err(RootVolumeError::TooSmall {
            given,
            least,
            image: image.id.clone(),
        });
    }
    // The template's size takes precedence over the default.
    let size = match image.template_size {
        Some(size) if saved.use_fleet && !is_given => i64::from(size),
        _ => given.max(least),
    };
    let (kind, iops) = (&saved.volume_type, saved.volume_iops);
    if is_root && !is_bootable(kind) {
        return Err(RootVolumeError::NotBootable(kind.clone()));
    }
    if let Some(sizes) = sizes(kind)
        && !sizes.contains(&size)
    {
        return Err(RootVolumeError::SizeOfType {
            size,
            kind: kind.clone(),
            least: *sizes.start(),
            most: *sizes.end(),
        });
    }
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

/// Refuses a template whose block device mappings say what a fleet's override does not: EC2 does not document whether it
/// merges the two lists, and a volume must not lose its encryption.
fn check_template(saved: &Saved, image: &ImageFacts) -> Result<(), RootVolumeError> {
    let loses = |lost, way_out| RootVolumeError::TemplateLoses {
        template: saved.launch_template.clone(),
        lost,
        way_out,
    };
    if !image.template_devices.is_empty() {
        let devices = image.template_devices.join(", ");
        return Err(loses(format!("mappings of {devices}"), ""));
    }
    if image.template_encrypts && !saved.volume_encrypted {
        let way_out = ", or add --amazonec2-volume-encrypted and --amazonec2-volume-kms-key";
        return Err(loses("encryption".to_owned(), way_out));
    }
    Ok(())
}

/// The root volume of a launch. A `None` value is not sent, so that EC2 uses its default, such as the account's
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

    /// Returns the mapping for RunInstances.
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

    /// Returns the mapping for a fleet's override ("Supported only for fleets of type instant", EC2 API Reference,
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
