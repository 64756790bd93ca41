//! Images: a catalogue with the attributes that a driver queries, without disk contents.

use std::collections::BTreeMap;

use crate::ec2::protocol::arn::partition;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::state::Cx;

pub(crate) const IMAGE: IdKind = IdKind {
    prefix: "ami-",
    code: "InvalidAMIID",
    noun: "image id",
};

/// Canonical's accounts, by partition (Ubuntu on AWS documentation).
const CANONICAL: [(&str, &str); 3] = [
    ("aws", "099720109477"),
    ("aws-cn", "837727238323"),
    ("aws-us-gov", "513442679011"),
];
/// Debian's account (Debian wiki, "Cloud/AmazonEC2Image").
const DEBIAN: &str = "136693071363";
/// Amazon's own images.
const AMAZON: &str = "137112412989";

/// An image that instances can be launched from.
#[derive(Debug, Clone)]
pub struct Image {
    /// `ami-…`; the same in every region of a lab.
    pub id: String,
    /// Its name, which filters search.
    pub name: String,
    /// The owner's account id.
    pub owner: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// `available`, `pending`, `failed`…
    pub state: String,
    /// Its publication time, in EC2's format.
    pub created: String,
    /// The device of the root volume.
    pub root_device: String,
    /// The size of its root snapshot in GiB.
    pub size: u32,
    /// The login name.
    pub user: String,
}

impl Image {
    /// Makes an available image with the most common root device.
    pub fn new(id: &str, name: &str, owner: &str, architecture: &str, user: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            architecture: architecture.to_owned(),
            state: "available".to_owned(),
            created: "2026-01-10T08:00:00.000Z".to_owned(),
            root_device: "/dev/sda1".to_owned(),
            size: 8,
            user: user.to_owned(),
        }
    }
}

impl Image {
    /// The snapshot of its root volume.
    pub(crate) fn snapshot(&self) -> String {
        format!("snap-{}", self.id.trim_start_matches("ami-"))
    }
}

/// Returns the default images of a lab.
pub(crate) fn catalogue() -> Vec<Image> {
    let mut images = Vec::new();
    let releases = [
        ("ubuntu/images/hvm-ssd/ubuntu-focal-20.04", "20250603", 1),
        ("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04", "20251212", 2),
        (
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04",
            "20251015",
            3,
        ),
        (
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04",
            "20260110",
            4,
        ),
        (
            "ubuntu/images/hvm-ssd-gp3/ubuntu-plucky-25.04",
            "20260115",
            5,
        ),
        (
            "ubuntu/images-testing/hvm-ssd-gp3/ubuntu-resolute-daily",
            "20260120",
            6,
        ),
    ];
    for (arch, label, digit) in [("x86_64", "amd64", 'a'), ("arm64", "arm64", 'b')] {
        for (release, date, n) in releases {
            let id = format!("ami-0{digit}{n:015x}");
            let name = format!("{release}-{label}-server-{date}");
            let mut image = Image::new(&id, &name, CANONICAL[0].1, arch, "ubuntu");
            let (day, month) = (&date[6..], &date[4..6]);
            image.created = format!("{}-{month}-{day}T04:29:27.000Z", &date[..4]);
            images.push(image);
        }
        let id = format!("ami-0{digit}d{:014x}", 12);
        let name = format!("debian-12-{label}-20260112-2355");
        let mut debian = Image::new(&id, &name, DEBIAN, arch, "admin");
        debian.root_device = "/dev/xvda".to_owned();
        images.push(debian);
        let id = format!("ami-0{digit}e{:014x}", 2023);
        let name = format!("al2023-ami-2023.9.20260105.0-kernel-6.1-{arch}");
        let mut amazon = Image::new(&id, &name, AMAZON, arch, "ec2-user");
        amazon.root_device = "/dev/xvda".to_owned();
        images.push(amazon);
    }
    // The image of the recorded command lines.
    images.push(Image::new(
        "ami-1e749f67",
        "ubuntu/images/hvm-ssd/ubuntu-trusty-14.04-amd64-server-20170727",
        CANONICAL[0].1,
        "x86_64",
        "ubuntu",
    ));
    if let Some(old) = images.last_mut() {
        old.created = "2017-07-27T16:35:04.000Z".to_owned();
    }
    images
}

/// Returns the catalogue of a region: Canonical's account differs by partition.
pub(crate) fn of_region(catalogue: &[Image], region: &str) -> BTreeMap<String, Image> {
    let here = CANONICAL.iter().find(|(p, _)| *p == partition(region));
    let canonical = here.map_or(CANONICAL[0].1, |(_, account)| account);
    let mut images = BTreeMap::new();
    for image in catalogue {
        let mut image = image.clone();
        if image.owner == CANONICAL[0].1 {
            image.owner = canonical.to_owned();
        }
        images.insert(image.id.clone(), image);
    }
    images
}

/// Returns the image of a launch.
pub(crate) fn for_launch<'a>(cx: &'a Cx<'_>, id: &str) -> Result<&'a Image, ApiError> {
    IMAGE.check([id], |_| true)?;
    let image = cx.region.images.get(id).ok_or_else(|| missing(id))?;
    if image.state != "available" {
        return Err(ApiError::new(
            "InvalidAMIID.Unavailable",
            format!(
                "The image id '[{id}]' is not available: it is {}",
                image.state
            ),
        ));
    }
    Ok(image)
}

fn missing(ids: &str) -> ApiError {
    ApiError::new(
        "InvalidAMIID.NotFound",
        format!("The image id '[{ids}]' does not exist"),
    )
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "name",
        "architecture",
        "state",
        "owner-id",
        "owner-alias",
        "image-id",
        "image-type",
        "is-public",
        "root-device-type",
        "root-device-name",
        "virtualization-type",
        "hypervisor",
        "platform",
        "description",
        "block-device-mapping.volume-type",
        "block-device-mapping.snapshot-id",
        "ena-support",
    ];
    let filters = Filters::parse(params, &known)?;
    let ids = params.list("ImageId");
    IMAGE.check(ids.iter().copied(), |_| true)?;
    if let Some(unknown) = ids.iter().find(|id| !cx.region.images.contains_key(**id)) {
        return Err(missing(unknown));
    }
    let owners = params.list("Owner");
    let owned = |image: &Image| {
        owners.is_empty()
            || owners.iter().any(|o| match *o {
                "self" => image.owner == cx.region.account,
                "amazon" => image.owner == AMAZON,
                account => image.owner == account,
            })
    };
    let found: Vec<&Image> = cx
        .region
        .images
        .values()
        .filter(|i| ids.is_empty() || ids.contains(&i.id.as_str()))
        .filter(|i| owned(i))
        .filter(|i| filters.pass(&cx.tags(&i.id), |name| field(i, name)))
        .collect();
    let (found, next) = page(params, found, |i| i.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("imagesSet", found, |xml, i| {
        xml.leaf("imageId", &i.id);
        xml.leaf("imageLocation", format!("{}/{}", i.owner, i.name));
        xml.leaf("imageState", &i.state);
        xml.leaf("imageOwnerId", &i.owner);
        xml.leaf("creationDate", &i.created);
        xml.leaf("isPublic", true);
        xml.leaf("architecture", &i.architecture);
        xml.leaf("imageType", "machine");
        xml.leaf("name", &i.name);
        xml.leaf("description", &i.name);
        xml.leaf("rootDeviceType", "ebs");
        xml.leaf("rootDeviceName", &i.root_device);
        xml.list("blockDeviceMapping", [i], |xml, i| {
            xml.leaf("deviceName", &i.root_device);
            xml.node("ebs", |xml| {
                xml.leaf("snapshotId", i.snapshot());
                xml.leaf("volumeSize", i.size);
                xml.leaf("deleteOnTermination", true);
                xml.leaf("volumeType", "gp3");
                xml.leaf("encrypted", false);
            });
        });
        xml.leaf("virtualizationType", "hvm");
        xml.leaf("hypervisor", "xen");
        xml.leaf("enaSupport", true);
        xml.leaf("platformDetails", "Linux/UNIX");
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

fn field(i: &Image, name: &str) -> Vec<String> {
    if name == "block-device-mapping.snapshot-id" {
        return vec![i.snapshot()];
    }
    let value = match name {
        "name" | "description" => &i.name,
        "architecture" => &i.architecture,
        "state" => &i.state,
        "owner-id" => &i.owner,
        "owner-alias" if i.owner == AMAZON => "amazon",
        "image-id" => &i.id,
        "image-type" => "machine",
        "is-public" | "ena-support" => "true",
        "root-device-type" => "ebs",
        "root-device-name" => &i.root_device,
        "virtualization-type" => "hvm",
        "hypervisor" => "xen",
        "block-device-mapping.volume-type" => "gp3",
        _ => return Vec::new(),
    };
    vec![value.to_owned()]
}
