//! The Debian package. It depends on nothing, starts nothing, and asks nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::materials::Materials;
use crate::{Result, run};

/// Makes it in `out`; returns its file's name.
pub(crate) fn package(
    root: &Path,
    materials: &Materials,
    executable: &Path,
    notices: &Path,
    out: &Path,
) -> Result<String> {
    let version = &materials
        .packages
        .get(&materials.root)
        .ok_or("no root")?
        .version;
    let tree = out.join("debian");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let doc = "usr/share/doc/docker-machine";
    let completions = root.join("completions");
    put(executable, &tree.join("usr/bin/docker-machine"), 0o755)?;
    for (from, to) in [
        (
            "docker-machine.bash",
            "bash-completion/completions/docker-machine",
        ),
        ("_docker-machine", "zsh/vendor-completions/_docker-machine"),
        (
            "docker-machine.fish",
            "fish/vendor_completions.d/docker-machine.fish",
        ),
    ] {
        put(
            &completions.join(from),
            &tree.join("usr/share").join(to),
            0o644,
        )?;
    }
    for unit in ["docker-machine-prune.service", "docker-machine-prune.timer"] {
        let to = tree.join("usr/lib/systemd/system").join(unit);
        put(&root.join("contrib/systemd").join(unit), &to, 0o644)?;
    }
    let man = tree.join("usr/share/man/man1/docker-machine.1.gz");
    compress(&completions.join("docker-machine.1"), &man)?;
    compress(
        &root.join("CHANGELOG.md"),
        &tree.join(doc).join("changelog.gz"),
    )?;
    compress(notices, &tree.join(doc).join("THIRD-PARTY-NOTICES.gz"))?;
    let licences =
        ["LICENSE-MIT", "LICENSE-APACHE"].map(|name| fs::read_to_string(root.join(name)));
    let [mit, apache] = licences;
    let copyright = format!(
        "docker-machine is licensed under Apache-2.0 or MIT, as you like. What is linked into it has\n\
         licences of its own: see THIRD-PARTY-NOTICES.gz beside this file.\n\n{}\n{}",
        mit?, apache?
    );
    write(&tree.join(doc).join("copyright"), &copyright)?;
    let size = size(&tree)? / 1024;
    let control = format!(
        "Package: docker-machine\nVersion: {version}\nArchitecture: amd64\nMaintainer: The docker-machine maintainers <maintainers@docker-machine.invalid>\n\
         Installed-Size: {size}\nSection: admin\nPriority: optional\nSuggests: gitlab-runner, rsync, sshfs\n\
         Description: create and manage machines running Docker\n \
         Launches EC2 instances with Docker and hands them out over TLS, as GitLab\n \
         Runner's docker+machine executor asks for them, and removes them again.\n"
    );
    write(&tree.join("DEBIAN/control"), &control)?;
    let name = format!("docker-machine_{version}_amd64.deb");
    // gzip, because xz cuts its blocks by the number of processors.
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zgzip", "--build"])
        .args([&tree, &out.join(&name)])
        .env("SOURCE_DATE_EPOCH", materials.epoch.to_string())
        .stdout(Stdio::null()))?;
    fs::remove_dir_all(&tree)?;
    Ok(name)
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

fn write(to: &Path, text: &str) -> Result<()> {
    make_parent(to)?;
    fs::write(to, text)?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o644))?)
}

/// gzip without the file's name and time.
fn compress(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    run(Command::new("gzip")
        .args(["-9n", "--stdout"])
        .arg(from)
        .stdout(fs::File::create(to)?))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o644))?)
}

/// Directories are 0755 whatever the umask is.
fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().ok_or("a file lies in a directory")?;
    if !parent.exists() {
        make_parent(parent)?;
        fs::create_dir(parent)?;
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn size(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}
