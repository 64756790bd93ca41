//! EBS volumes: created by launches, removed with their instances unless they are set to persist.

use std::time::SystemTime;

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::time::iso;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::images::Image;
use crate::ec2::resources::state::{Cx, tag_set};
use crate::ec2::resources::tags;

const VOLUME: IdKind = IdKind {
    prefix: "vol-",
    code: "InvalidVolume",
    noun: "volume",
};

/// A volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// `vol-…`.
    pub id: String,
    /// The instance and device that it is attached to.
    pub attached: Option<(String, String)>,
    /// The snapshot that it was created from.
    pub snapshot: Option<String>,
    /// Its zone.
    pub zone: String,
    /// Its size in GiB.
    pub size: u32,
    /// `gp2`, `gp3`, …
    pub volume_type: String,
    /// Its provisioned IOPS.
    pub iops: Option<u32>,
    /// Its provisioned throughput in MiB/s.
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The key that it is encrypted with, as the launch named it.
    pub kms_key: Option<String>,
    /// Whether it is removed with its instance.
    pub delete_on_termination: bool,
    /// Its creation time.
    pub created: SystemTime,
}

/// A volume of a launch.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) device: String,
    snapshot: Option<String>,
    size: Option<u32>,
    volume_type: Option<String>,
    iops: Option<u32>,
    throughput: Option<u32>,
    encrypted: bool,
    kms_key: Option<String>,
    delete_on_termination: Option<bool>,
}

impl Wanted {
    /// Parses `BlockDeviceMapping.N` over the image's own mapping, root volume first.
    pub(crate) fn parse(params: &Params, image: &Image) -> Result<Vec<Self>, ApiError> {
        let bad = |text: String| ApiError::new("InvalidBlockDeviceMapping", text);
        let mut wanted = vec![Self {
            device: image.root_device.clone(),
            snapshot: Some(image.snapshot()),
            size: Some(image.size),
            volume_type: Some("gp3".to_owned()),
            iops: None,
            throughput: None,
            encrypted: false,
            kms_key: None,
            delete_on_termination: Some(true),
        }];
        for mapping in params.structs("BlockDeviceMapping") {
            let device = mapping.need("DeviceName")?.to_owned();
            let ebs = mapping.below("Ebs");
            let asked = Self {
                size: ebs.number("VolumeSize")?,
                volume_type: ebs.text("VolumeType"),
                iops: ebs.number("Iops")?,
                throughput: ebs.number("Throughput")?,
                encrypted: ebs.flag("Encrypted")? == Some(true),
                kms_key: ebs.text("KmsKeyId"),
                delete_on_termination: ebs.flag("DeleteOnTermination")?,
                snapshot: ebs.text("SnapshotId"),
                device,
            };
            let types = ["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"];
            if asked
                .volume_type
                .as_deref()
                .is_some_and(|t| !types.contains(&t))
            {
                return Err(ApiError::invalid(
                    "volumeType",
                    asked.volume_type.unwrap_or_default(),
                ));
            }
            if asked.kms_key.is_some() && !asked.encrypted {
                return Err(ApiError::new(
                    "InvalidParameterDependency",
                    "The parameter [KmsKeyId] requires the parameter Encrypted to be set.",
                ));
            }
            asked.check_size(image.size)?;
            if asked.device == image.root_device {
                asked.check_boot()?;
            }
            asked.check_performance(image.size)?;
            match wanted.iter_mut().find(|w| w.device == asked.device) {
                Some(base) => {
                    // As reported in github.com/scylladb/scylladb/issues/6999, with both blanks.
                    if asked.size.is_some_and(|size| size < image.size) {
                        return Err(bad(format!(
                            "Volume of size {}GB is smaller than  snapshot '{}', expect size >= {}GB",
                            asked.size.unwrap_or_default(),
                            image.snapshot(),
                            image.size
                        )));
                    }
                    *base = Self {
                        size: asked.size.or(base.size),
                        snapshot: asked.snapshot.clone().or(base.snapshot.take()),
                        volume_type: asked.volume_type.or(base.volume_type.take()),
                        delete_on_termination: asked.delete_on_termination.or(Some(true)),
                        ..asked
                    };
                }
                None if asked.size.is_none() => {
                    return Err(bad(format!(
                        "The request must contain the parameter size or snapshotId: {}",
                        asked.device
                    )));
                }
                None => wanted.push(asked),
            }
        }
        Ok(wanted)
    }

    /// Rejects a type that EC2 does not boot from. EC2 answers with a text about IOPS that were not given:
    /// github.com/boto/boto3/issues/3653.
    fn check_boot(&self) -> Result<(), ApiError> {
        match self.volume_type.as_deref() {
            Some(kind @ ("st1" | "sc1")) => Err(ApiError::new(
                "InvalidParameterCombination",
                format!("The parameter iops is not supported for {kind} volumes."),
            )),
            _ => Ok(()),
        }
    }

    /// Rejects a size that the type does not have. Sizes: EC2 API Reference, EbsBlockDevice, VolumeSize; EC2's message:
    /// github.com/fog/fog-aws/issues/186, and the same for a volume that is too small.
    fn check_size(&self, size_of_image: u32) -> Result<(), ApiError> {
        let kind = self.volume_type.as_deref().unwrap_or("gp2");
        let size = self.size.unwrap_or(size_of_image);
        let (least, most) = match kind {
            "gp2" => (1, 16_384),
            "gp3" => (1, 65_536),
            "io1" => (4, 16_384),
            "io2" => (4, 65_536),
            "st1" | "sc1" => (125, 16_384),
            _ => (1, 1_024),
        };
        let text = if size > most {
            format!("Volume of {size}GiB is too large for volume type {kind}; maximum is {most}GiB")
        } else if size < least {
            format!(
                "Volume of {size}GiB is too small for volume type {kind}; minimum is {least}GiB"
            )
        } else {
            return Ok(());
        };
        Err(ApiError::new("InvalidParameterValue", text))
    }

    /// Rejects IOPS and throughput that the volume type does not support. Ranges: EC2 API Reference, EbsBlockDevice;
    /// ratios: Amazon EBS User Guide, "Amazon EBS volume types". EC2's messages:
    /// github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/766, boto/boto3/issues/2474, runs-on/runs-on/issues/426 and
    /// 260, rocicorp/mono/pull/4410.
    fn check_performance(&self, size_of_image: u32) -> Result<(), ApiError> {
        let bad = |text: String| Err(ApiError::new("InvalidParameterCombination", text));
        let invalid = |text: String| Err(ApiError::new("InvalidParameterValue", text));
        let kind = self.volume_type.as_deref().unwrap_or("gp2");
        let limits = match kind {
            "gp3" => Some((3_000, 80_000, 500)),
            "io1" => Some((100, 64_000, 50)),
            "io2" => Some((100, 256_000, 1_000)),
            _ => None,
        };
        match (limits, self.iops) {
            (None, Some(_)) => {
                return bad(format!(
                    "The parameter iops is not supported for {kind} volumes."
                ));
            }
            (Some(_), None) if kind != "gp3" => {
                return bad(format!(
                    "The parameter iops must be specified for {kind} volumes."
                ));
            }
            (Some((least, most, per_gb)), Some(iops)) => {
                if iops < least {
                    return invalid(format!(
                        "Volume iops of {iops} is too low; minimum is {least}."
                    ));
                }
                if iops > most {
                    return invalid(format!(
                        "Volume iops of {iops} is too high; maximum is {most}."
                    ));
                }
                let size = self.size.unwrap_or(size_of_image);
                if iops > least.max(per_gb * size) {
                    let ratio = f64::from(iops) / f64::from(size);
                    return invalid(format!(
                        "Iops to volume size ratio of {ratio:.6} is too high; maximum is {per_gb}"
                    ));
                }
            }
            _ => {}
        }
        let Some(throughput) = self.throughput else {
            return Ok(());
        };
        if kind != "gp3" {
            return bad("throughput can only be specified for volumeType gp3.".to_owned());
        }
        if !(125..=2_000).contains(&throughput) {
            return Err(ApiError::invalid("throughput", throughput));
        }
        let ratio = f64::from(throughput) / f64::from(self.iops.unwrap_or(3_000));
        if ratio > 0.25 {
            return invalid(format!(
                "Throughput (MiBps) to iops ratio of {ratio:.6} is too high; maximum is 0.250000 MiBps per iops"
            ));
        }
        Ok(())
    }

    pub(crate) fn make(&self, id: String, instance: &str, zone: &str, now: SystemTime) -> Volume {
        Volume {
            id,
            attached: Some((instance.to_owned(), self.device.clone())),
            snapshot: self.snapshot.clone(),
            zone: zone.to_owned(),
            size: self.size.unwrap_or_default(),
            volume_type: self.volume_type.clone().unwrap_or_else(|| "gp2".to_owned()),
            iops: self.iops,
            throughput: self.throughput,
            encrypted: self.encrypted,
            kms_key: self.kms_key.clone(),
            delete_on_termination: self.delete_on_termination.unwrap_or(false),
            created: now,
        }
    }
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "volume-id",
        "attachment.instance-id",
        "attachment.device",
        "status",
        "encrypted",
        "availability-zone",
        "volume-type",
        "attachment.delete-on-termination",
        "size",
        "snapshot-id",
    ];
    let filters = Filters::parse(params, &known)?;
    let ids = params.list("VolumeId");
    VOLUME.check(ids.iter().copied(), |id| cx.region.volumes.contains_key(id))?;
    let found: Vec<&Volume> = cx
        .region
        .volumes
        .values()
        .filter(|v| ids.is_empty() || ids.contains(&v.id.as_str()))
        .filter(|v| filters.pass(&cx.tags(&v.id), |name| field(v, name)))
        .collect();
    let (found, next) = page(params, found, |v| v.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("volumeSet", found, |xml, v| {
        xml.leaf("volumeId", &v.id);
        xml.leaf("size", v.size);
        // Empty for a volume that was made without one (EC2 API Reference, DescribeVolumes, examples).
        xml.leaf("snapshotId", v.snapshot.as_deref().unwrap_or_default());
        xml.leaf("availabilityZone", &v.zone);
        xml.leaf("status", status(v));
        xml.leaf("createTime", iso(v.created));
        xml.list("attachmentSet", &v.attached, |xml, (instance, device)| {
            xml.leaf("volumeId", &v.id);
            xml.leaf("instanceId", instance);
            xml.leaf("device", device);
            xml.leaf("status", "attached");
            xml.leaf("attachTime", iso(v.created));
            xml.leaf("deleteOnTermination", v.delete_on_termination);
        });
        xml.leaf("volumeType", &v.volume_type);
        xml.leaf_if("iops", v.iops);
        xml.leaf_if("throughput", v.throughput);
        xml.leaf("encrypted", v.encrypted);
        xml.leaf_if("kmsKeyId", v.kms_key.as_ref());
        tag_set(xml, &cx.tags(&v.id));
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

fn status(v: &Volume) -> &'static str {
    if v.attached.is_some() {
        "in-use"
    } else {
        "available"
    }
}

fn field(v: &Volume, name: &str) -> Vec<String> {
    let attached = v.attached.as_ref();
    match name {
        "volume-id" => vec![v.id.clone()],
        "attachment.instance-id" => attached.map(|(i, _)| i.clone()).into_iter().collect(),
        "attachment.device" => attached.map(|(_, d)| d.clone()).into_iter().collect(),
        "status" => vec![status(v).to_owned()],
        "encrypted" => vec![v.encrypted.to_string()],
        "availability-zone" => vec![v.zone.clone()],
        "volume-type" => vec![v.volume_type.clone()],
        "size" => vec![v.size.to_string()],
        "snapshot-id" => v.snapshot.clone().into_iter().collect(),
        _ => vec![v.delete_on_termination.to_string()],
    }
}

/// DeleteVolume: rejects a volume that is attached to an instance.
pub(crate) fn delete(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let id = params.need("VolumeId")?;
    VOLUME.check([id], |id| cx.region.volumes.contains_key(id))?;
    let attached = cx.region.volumes.get(id).and_then(|v| v.attached.as_ref());
    if let Some((instance, _)) = attached {
        return Err(ApiError::new(
            "VolumeInUse",
            format!("Volume {id} is currently attached to {instance}"),
        ));
    }
    tags::dry_run(params)?;
    cx.region.volumes.remove(id);
    cx.region.tags.remove(id);
    Ok(Xml::done())
}
