//! Checks type, IOPS and throughput of the root volume against EC2's limits.

use crate::config::error::{ConfigureError, invalid};
use crate::config::saved::Saved;

/// The limits of a volume type with provisioned IOPS.
pub(crate) struct Limits {
    pub(crate) kind: &'static str,
    pub(crate) least: i64,
    pub(crate) most: i64,
    pub(crate) per_gb: i64,
    pub(crate) expected: &'static str,
}

/// Limits from the EC2 API Reference, EbsBlockDevice, Iops (botocore 1.44.8), and the Amazon EBS User Guide, "Amazon EBS
/// volume types" (IOPS per GiB).
const PROVISIONED: [Limits; 3] = [
    Limits {
        kind: "gp3",
        least: 3_000,
        most: 80_000,
        per_gb: 500,
        expected: "a number from 3000 to 80000 for gp3",
    },
    Limits {
        kind: "io1",
        least: 100,
        most: 64_000,
        per_gb: 50,
        expected: "a number from 100 to 64000 for io1",
    },
    Limits {
        kind: "io2",
        least: 100,
        most: 256_000,
        per_gb: 1_000,
        expected: "a number from 100 to 256000 for io2",
    },
];

/// The other volume types of AWS. A third-party EC2 may have more and checks them itself.
const NOT_PROVISIONED: [&str; 4] = ["gp2", "st1", "sc1", "standard"];

/// The sizes of each type in GB (EC2 API Reference, EbsBlockDevice, VolumeSize; botocore 1.44.8).
const SIZES: [(&str, std::ops::RangeInclusive<i64>); 7] = [
    ("gp2", 1..=16_384),
    ("gp3", 1..=65_536),
    ("io1", 4..=16_384),
    ("io2", 4..=65_536),
    ("st1", 125..=16_384),
    ("sc1", 125..=16_384),
    ("standard", 1..=1_024),
];

/// EC2 does not boot from these (EC2 API Reference, CreateVolume, VolumeType).
const NOT_BOOTABLE: [&str; 2] = ["st1", "sc1"];

/// Throughput of gp3 volumes in MiB/s (EC2 API Reference, EbsBlockDevice, Throughput).
const THROUGHPUT: std::ops::RangeInclusive<i64> = 125..=2_000;

/// Minimum IOPS for one MiB/s of throughput (Amazon EBS User Guide, "General Purpose SSD volumes": 0.25 MiB/s per IOPS).
const IOPS_PER_THROUGHPUT: i64 = 4;

/// Checks type, IOPS and throughput against each other. Makes no network call.
///
/// # Errors
/// Returns an error with the flag's name for values that EC2 would reject at the launch.
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
            return Err(invalid("volume-iops", iops, limits.expected));
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
    let expected = "a number from 125 to 2000";
    if !THROUGHPUT.contains(&throughput) {
        return Err(invalid("volume-throughput", throughput, expected));
    }
    let needed = throughput * IOPS_PER_THROUGHPUT;
    if needed > iops.max(PROVISIONED[0].least) {
        return Err(ConfigureError::ThroughputWithoutIops { throughput, needed });
    }
    Ok(())
}

/// Returns whether a fleet launch changes the root volume of its launch template.
pub(crate) fn is_of_fleet(saved: &Saved) -> bool {
    saved.use_fleet && (saved.volume_iops != 0 || saved.volume_throughput != 0)
}

/// Returns the sizes of a volume type in GB; `None` of a type that AWS does not have.
pub(crate) fn sizes(kind: &str) -> Option<std::ops::RangeInclusive<i64>> {
    let of_kind = SIZES.iter().find(|(of, _)| *of == kind);
    of_kind.map(|(_, sizes)| sizes.clone())
}

/// Returns whether EC2 boots from volumes of this type.
pub(crate) fn is_bootable(kind: &str) -> bool {
    !NOT_BOOTABLE.contains(&kind)
}

pub(crate) fn limits(kind: &str) -> Option<&'static Limits> {
    PROVISIONED.iter().find(|limits| limits.kind == kind)
}
