//! The notices: the authors of linked packages, and their licence texts, word for word.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::materials::Materials;

const HEAD: &str = "docker-machine is licensed under Apache-2.0 or MIT, at your option. Linked into it are the packages\n\
    below. Made by `cargo xtask dist` out of what each of them says about itself.\n\n\
    The GNU C library (LGPL-2.1-or-later) and the Rust standard library (MIT OR Apache-2.0) are linked\n\
    statically; to link another C library, build from the source with `cargo static`.\n";

/// Returns the text: a list of the packages, and each licence text once, with the names of the packages that use it.
pub(crate) fn text(materials: &Materials) -> Result<String> {
    let mut text = HEAD.to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    text.push('\n');
    for package in materials.foreign() {
        let name = format!("{} {}", package.name, package.version);
        let licence = match package.licence.as_str() {
            "" => "see its text below",
            licence => licence,
        };
        writeln!(text, "  {name}: {licence}")?;
        for contents in licences(&package.directory)? {
            texts.entry(contents).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1));
    for (contents, names) in texts {
        let line = "-".repeat(80);
        write!(
            text,
            "\n{line}\n{}\n{line}\n\n{contents}\n",
            names.join(", ")
        )?;
    }
    Ok(text)
}

/// Reads the licence files of a package, in the order of their names.
fn licences(directory: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let is_one = [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "COPYRIGHT",
            "NOTICE",
            "UNLICENSE",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix));
        if is_one && entry.file_type()?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let read = |path| -> Result<String> {
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        Ok(lines.join("\n").trim().to_owned())
    };
    paths.iter().map(read).collect()
}
