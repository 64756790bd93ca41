//! The image: selection, existence, suitability, and the values that follow from it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{ACCOUNT, Image};
use fixture::{Fixture, REGION};
use machine_driver::{DriverErrorKind, DriverKind};

#[tokio::test]
async fn the_default_is_the_newest_ubuntu_lts_of_the_architecture_in_every_partition() {
    for (region, owner) in [
        ("eu-central-1", "099720109477"),
        ("us-gov-west-1", "513442679011"),
        ("cn-north-1", "837727238323"),
    ] {
        for (instance_type, architecture) in [("t3.small", "x86_64"), ("m7g.large", "arm64")] {
            let fixture = Fixture::new().await;
            let zone = format!("{region}a");
            let flags = fixture.flags(&[
                ("region", region),
                ("zone", &zone),
                ("vpc-id", ""),
                ("ami", ""),
                ("instance-type", instance_type),
            ]);
            let mut machine = AmazonEc2
                .configure(&fixture.base("e1"), &fixture::options(&flags))
                .unwrap();
            fixture.create(&mut machine).await.unwrap();
            let calls = fixture.lab.calls();
            let asked = calls.iter().find(|call| call.action == "DescribeImages");
            assert_eq!(asked.unwrap().params["Owner.1"], owner, "{region}");
            let ami = machine.save()["AMI"].as_str().unwrap().to_owned();
            let instance = &fixture.lab.live_instances()[0];
            assert_eq!(instance.image, ami);
            assert_eq!(instance.architecture, architecture, "{region}");
            // 24.04 of January 2026: 25.04 is not an LTS, and the daily image is not a release.
            let expected = match architecture {
                "arm64" => "ami-0b000000000000004",
                _ => "ami-0a000000000000004",
            };
            assert_eq!(ami, expected, "{region}");
        }
    }
}

#[tokio::test]
async fn the_image_determines_root_device_and_user_unless_they_are_given() {
    let fixture = Fixture::new().await;
    // From the lab's catalogue.
    let debian = "ami-0ad0000000000000c".to_owned();
    let amazon = "ami-0ae000000000007e7".to_owned();
    for (ami, more, device, user) in [
        (debian.as_str(), &[][..], "/dev/xvda", "admin"),
        (&amazon, &[], "/dev/xvda", "ec2-user"),
        (fixture::AMI, &[], "/dev/sda1", "ubuntu"),
        (
            &debian,
            &[("ssh-user", "me"), ("device-name", "/dev/sdb")],
            "/dev/sdb",
            "me",
        ),
        // An explicit user counts, even if it is the default of another image.
        (&debian, &[("ssh-user", "ubuntu")], "/dev/xvda", "ubuntu"),
    ] {
        fixture.lab.clear_calls();
        let mut flags = vec![("ami", ami)];
        flags.extend(more);
        let machine = fixture.created(&flags).await;
        let calls = fixture.lab.calls();
        let run = calls.iter().find(|call| call.action == "RunInstances");
        let params = &run.unwrap().params;
        assert_eq!(params["BlockDeviceMapping.1.DeviceName"], device, "{ami}");
        assert_eq!(machine.save()["DeviceName"], device);
        assert_eq!(machine.save()["SSHUser"], user, "{ami}");
        assert_eq!(machine.ssh().unwrap().user, user);
        assert!(fixture.undo(&*machine).await.is_clean());
    }
}

#[tokio::test]
async fn a_missing_unsuitable_or_pending_image_is_reported_before_anything_is_created() {
    let fixture = Fixture::new().await;
    for (id, state) in [
        ("ami-0aaaaaaaaaaaaaaa1", "pending"),
        ("ami-0aaaaaaaaaaaaaaa2", "failed"),
    ] {
        let mut image = Image::new(id, "mine", ACCOUNT, "x86_64", "ubuntu");
        image.state = state.to_owned();
        fixture.lab.add_image(ACCOUNT, REGION, image);
    }
    for (flags, words) in [
        (
            &[("ami", "ami-0123456789abcdef0")][..],
            "there is no image ami-0123456789abcdef0 in region us-east-1",
        ),
        (&[("ami", "nonsense")], "there is no image nonsense"),
        (
            &[("ami", "ami-0aaaaaaaaaaaaaaa1")],
            "the image ami-0aaaaaaaaaaaaaaa1 is pending, not available",
        ),
        (
            &[("ami", "ami-0aaaaaaaaaaaaaaa2")],
            "is failed, not available",
        ),
        (
            &[("instance-type", "m7g.large")],
            "the image ami-1e749f67 is for x86_64, and m7g.large is arm64",
        ),
        (
            &[
                ("instance-type", "m7g.large"),
                ("instance-type", "m5.large"),
            ],
            "m7g.large is arm64",
        ),
    ] {
        let mut machine = fixture.machine(flags);
        let error = machine.preflight(&fixture.cx).await.unwrap_err();
        assert_eq!(error.kind, DriverErrorKind::PreCreate, "{flags:?}");
        assert!(error.to_string().contains(words), "{flags:?}: {error}");
    }
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

/// A fixture with an image that needs 30 GB, and its id.
async fn with_large_image() -> (Fixture, &'static str) {
    let fixture = Fixture::new().await;
    let id = "ami-0aaaaaaaaaaaaaaa3";
    let mut image = Image::new(id, "mine", ACCOUNT, "x86_64", "ubuntu");
    image.size = 30;
    fixture.lab.add_image(ACCOUNT, REGION, image);
    (fixture, id)
}

#[tokio::test]
async fn a_root_volume_without_a_given_size_is_as_large_as_the_image_needs() {
    let (fixture, ami) = with_large_image().await;
    let machine = fixture.created(&[("ami", ami)]).await;
    assert_eq!(machine.save()["RootSize"], 30);
    assert_eq!(fixture.lab.volumes()[0].size, 30);
    let told = fixture.told.lines();
    assert!(told.contains("gets 30 GB, not the default of 16"), "{told}");
}

#[tokio::test]
async fn the_size_of_another_device_is_not_compared_with_the_image() {
    let (fixture, ami) = with_large_image().await;
    let flags = [
        ("ami", ami),
        ("device-name", "/dev/sdb"),
        ("root-size", "16"),
    ];
    let checks = fixture.machine(&flags).examine_plan(&fixture.cx).await;
    let found = checks.iter().find(|check| check.subject == "image");
    assert!(found.unwrap().found.contains("is available"), "{checks:?}");
    fixture.created(&flags).await;
    let sizes = |volume: &ec2_lab::ec2::Volume| volume.size;
    let mut sizes: Vec<_> = fixture.lab.volumes().iter().map(sizes).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [16, 30]);
}

#[tokio::test]
async fn a_root_volume_that_ec2_would_refuse_is_told_before_anything_is_made() {
    let (fixture, ami) = with_large_image().await;
    for (flags, words) in [
        (
            &[("ami", ami), ("root-size", "16")][..],
            "--amazonec2-root-size is 16 GB, and the image ami-0aaaaaaaaaaaaaaa3 needs 30 GB",
        ),
        (
            &[("volume-type", "gp3"), ("volume-iops", "16000")],
            "--amazonec2-volume-iops is 16000, and EC2 takes 8000 at most for 16 GB of gp3",
        ),
        (
            &[("volume-type", "st1"), ("root-size", "125")],
            "--amazonec2-volume-type st1 cannot be used for a root volume",
        ),
        (
            &[("root-size", "16385")],
            "a volume of 16385 GB cannot be of type gp2: expected 1 to 16384 GB",
        ),
        (
            &[("volume-type", "standard"), ("root-size", "1025")],
            "a volume of 1025 GB cannot be of type standard: expected 1 to 1024 GB",
        ),
    ] {
        let mut machine = fixture.machine(flags);
        let error = machine.preflight(&fixture.cx).await.unwrap_err();
        assert_eq!(error.kind, DriverErrorKind::PreCreate, "{flags:?}");
        assert!(error.to_string().contains(words), "{flags:?}: {error}");
        let checks = fixture.machine(flags).examine_plan(&fixture.cx).await;
        let found = checks.iter().find(|check| check.subject == "image");
        assert!(found.unwrap().found.contains(words), "{checks:?}");
    }
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}
