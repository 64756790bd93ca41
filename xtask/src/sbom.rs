//! Software bill of materials, CycloneDX 1.5 (cyclonedx.org/docs/1.5/json).

use serde_json::{Value, json};

use crate::Result;
use crate::materials::{Materials, Package};

/// Writes the bill of materials. It has no serial number and no timestamp of its own: the same commit gives the same
/// text.
pub(crate) fn cyclonedx(materials: &Materials) -> Result<String> {
    let root = materials.packages.get(&materials.root).ok_or("no root")?;
    let libc = materials.libc.split_whitespace().last().unwrap_or_default();
    let mut components: Vec<Value> = materials.foreign().into_iter().map(component).collect();
    components.push(json!({
        "type": "library",
        "bom-ref": format!("pkg:generic/glibc@{libc}"),
        "name": "glibc",
        "version": libc,
        "licenses": [{ "expression": "LGPL-2.1-or-later" }],
        "purl": format!("pkg:generic/glibc@{libc}"),
    }));
    let dependencies: Vec<Value> = materials
        .packages
        .values()
        .map(|package| {
            let mut uses: Vec<String> = package
                .uses
                .iter()
                .filter_map(|id| Some(materials.packages.get(id)?.purl()))
                .collect();
            uses.sort();
            uses.dedup();
            json!({ "ref": package.purl(), "dependsOn": uses })
        })
        .collect();
    let own = materials
        .packages
        .iter()
        .filter(|(id, package)| **id != materials.root && !package.is_foreign());
    components.extend(own.map(|(_, package)| component(package)));
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application",
            "bom-ref": root.purl(),
            "name": root.name,
            "version": root.version,
            "licenses": [{ "expression": root.licence }],
            "purl": root.purl(),
        }},
        "components": components,
        "dependencies": dependencies,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&bom)?))
}

fn component(package: &Package) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": package.purl(),
        "name": package.name,
        "version": package.version,
        "purl": package.purl(),
    });
    if !package.licence.is_empty() {
        component["licenses"] = json!([{ "expression": package.licence }]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}
