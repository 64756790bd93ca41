//! What an image says: its root device, the size that its root volume needs, and its login name.

use aws_sdk_ec2::types::Image;
use serde::{Deserialize, Serialize};

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

impl ImageFacts {
    /// Reads the facts of an image. Those of a launch template are empty.
    pub(crate) fn of(image: &Image) -> Self {
        let root_device = image.root_device_name().filter(|name| !name.is_empty());
        let mut mappings = image.block_device_mappings().iter();
        let root = mappings.find(|mapping| mapping.device_name() == root_device);
        Self {
            id: image.image_id().unwrap_or_default().to_owned(),
            root_device: root_device.map(str::to_owned),
            root_size: root.and_then(|root| root.ebs()?.volume_size()),
            user: login_name(image).map(str::to_owned),
            ..Self::default()
        }
    }
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
    fn the_login_name_follows_from_the_name() {
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
    }
}
