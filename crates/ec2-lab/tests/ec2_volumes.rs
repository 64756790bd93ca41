//! Invalid root volumes and EC2's error messages for them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test helpers may panic"
)]

mod ec2_raw;

use ec2_lab::ec2::Lab;
use ec2_raw::{Caller, LAUNCH};

#[tokio::test]
async fn invalid_volumes_get_ec2s_error_messages() {
    let lab = Lab::builder().start().await.unwrap();
    let caller = Caller::new(&lab);
    let combination = "InvalidParameterCombination";
    for (volume, code, text) in [
        (
            &[("VolumeSize", "4")][..],
            "InvalidBlockDeviceMapping",
            "Volume of size 4GB is smaller than  snapshot 'snap-1e749f67', expect size &gt;= 8GB",
        ),
        (
            &[("VolumeType", "io1")],
            combination,
            "The parameter iops must be specified for io1 volumes.",
        ),
        (
            &[("VolumeType", "gp2"), ("Iops", "3000")],
            combination,
            "The parameter iops is not supported for gp2 volumes.",
        ),
        (
            &[("VolumeType", "standard"), ("VolumeSize", "2000")],
            "InvalidParameterValue",
            "Volume of 2000GiB is too large for volume type standard; maximum is 1024GiB",
        ),
        (
            &[("VolumeType", "st1"), ("VolumeSize", "125")],
            combination,
            "The parameter iops is not supported for st1 volumes.",
        ),
        (
            &[
                ("VolumeType", "io2"),
                ("Iops", "100"),
                ("Throughput", "125"),
            ],
            combination,
            "throughput can only be specified for volumeType gp3.",
        ),
        (
            &[
                ("VolumeType", "gp3"),
                ("VolumeSize", "20"),
                ("Iops", "15000"),
            ],
            "InvalidParameterValue",
            "Iops to volume size ratio of 750.000000 is too high; maximum is 500",
        ),
    ] {
        let device = ("BlockDeviceMapping.1.DeviceName".to_owned(), "/dev/sda1");
        let volume = volume
            .iter()
            .map(|(name, value)| (format!("BlockDeviceMapping.1.Ebs.{name}"), *value));
        let own: Vec<(String, &str)> = volume.chain([device]).collect();
        let own = own.iter().map(|(name, value)| (name.as_str(), *value));
        let params: Vec<(&str, &str)> = LAUNCH.into_iter().chain(own).collect();
        let refused = caller.call("RunInstances", &params).await;
        assert_eq!(refused.error(), (code, 400));
        assert_eq!(refused.one("Message"), text);
    }
    assert!(lab.instances().is_empty());
}
