//! The existing instance types, and their architectures.

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::state::{Cx, Tags};

/// Families of Intel and AMD machines, and of Graviton ones.
const X86: [&str; 19] = [
    "t2", "t3", "t3a", "m4", "m5", "m5a", "m5d", "m6i", "m6a", "m7i", "c5", "c5a", "c6i", "c6a",
    "c7i", "r5", "r6i", "r7i", "g4dn",
];
const ARM: [&str; 9] = [
    "t4g", "m6g", "m7g", "m8g", "c6g", "c7g", "c8g", "r6g", "r7g",
];
/// Sizes with their vCPUs, and memory in MiB for a general-purpose family.
const SIZES: [(&str, u32, u32); 10] = [
    ("nano", 2, 512),
    ("micro", 2, 1024),
    ("small", 2, 2048),
    ("medium", 2, 4096),
    ("large", 2, 8192),
    ("xlarge", 4, 16384),
    ("2xlarge", 8, 32768),
    ("4xlarge", 16, 65536),
    ("8xlarge", 32, 131_072),
    ("16xlarge", 64, 262_144),
];

/// Returns the architecture of an instance type, if the type exists.
pub(crate) fn architecture(name: &str) -> Option<&'static str> {
    let (family, size) = name.split_once('.')?;
    if !SIZES.iter().any(|(s, _, _)| *s == size) {
        return None;
    }
    if X86.contains(&family) {
        Some("x86_64")
    } else if ARM.contains(&family) {
        Some("arm64")
    } else {
        None
    }
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "instance-type",
        "processor-info.supported-architecture",
        "current-generation",
        "supported-usage-class",
        "bare-metal",
        "vcpu-info.default-vcpus",
        "memory-info.size-in-mib",
    ];
    let filters = Filters::parse(params, &known)?;
    let names = params.list("InstanceType");
    let unknown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|n| architecture(n).is_none())
        .collect();
    if !unknown.is_empty() {
        return Err(ApiError::new(
            "InvalidInstanceType",
            format!(
                "The following supplied instance types do not exist: [{}]",
                unknown.join(", ")
            ),
        ));
    }
    let _ = cx;
    let all = X86.iter().chain(&ARM).flat_map(|family| {
        SIZES
            .iter()
            .map(move |(size, cpus, memory)| (format!("{family}.{size}"), *cpus, *memory))
    });
    let found: Vec<(String, u32, u32)> = all
        .filter(|(name, _, _)| names.is_empty() || names.contains(&name.as_str()))
        .filter(|(name, cpus, memory)| {
            filters.pass(&Tags::new(), |field| match field {
                "instance-type" => vec![name.clone()],
                "processor-info.supported-architecture" => {
                    vec![architecture(name).unwrap_or_default().to_owned()]
                }
                "supported-usage-class" => vec!["on-demand".to_owned(), "spot".to_owned()],
                "bare-metal" => vec!["false".to_owned()],
                "current-generation" => vec!["true".to_owned()],
                "vcpu-info.default-vcpus" => vec![cpus.to_string()],
                _ => vec![memory.to_string()],
            })
        })
        .collect();
    let (found, next) = page(params, found, |t| t.0.as_str())?;
    let mut xml = Xml::new();
    xml.list("instanceTypeSet", found, |xml, (name, cpus, memory)| {
        xml.leaf("instanceType", &name);
        xml.leaf("currentGeneration", true);
        xml.leaf("bareMetal", false);
        xml.leaf("hypervisor", "nitro");
        xml.list("supportedUsageClasses", ["on-demand", "spot"], raw_item);
        xml.list("supportedRootDeviceTypes", ["ebs"], raw_item);
        xml.list("supportedVirtualizationTypes", ["hvm"], raw_item);
        xml.node("processorInfo", |xml| {
            xml.list("supportedArchitectures", architecture(&name), raw_item);
        });
        xml.node("vCpuInfo", |xml| xml.leaf("defaultVCpus", cpus));
        xml.node("memoryInfo", |xml| xml.leaf("sizeInMiB", memory));
        xml.node("ebsInfo", |xml| xml.leaf("ebsOptimizedSupport", "default"));
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

/// Writes a list item that is a bare value.
fn raw_item(xml: &mut Xml, value: &str) {
    xml.text(value);
}
