//! The Debian image of the real hosts: built once, cached as an archive, loaded as two images.
//!
//! Owns its contents: a minimal Debian 12 with systemd, sshd and sudo, and Docker's package with all dependencies as
//! a repository of files, so that a host can install it without the network. The second image is the first with that
//! package installed.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::dockerd::Dockerd;
use super::{DebianError, run};

/// The image of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebianImage {
    /// Debian's package docker.io is installed: `/usr/sbin/dockerd`.
    WithDocker,
    /// It is not installed, but `apt-get install docker.io` works, without a network.
    WithoutDocker,
}

impl DebianImage {
    /// Its name in the lab's dockerd.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::WithDocker => concat!("ec2-lab/debian-docker:", "1"),
            Self::WithoutDocker => concat!("ec2-lab/debian:", "1"),
        }
    }
}

/// Increment the number with every change of the archive's contents.
const ARCHIVE: &str = "debian-12-v1.tar.gz";

/// In addition to Debian's minimal set: the packages of a cloud image that a provisioner uses.
const PACKAGES: &str =
    "systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iptables,procps,curl,ca-certificates";

/// Turns the debootstrapped tree into a cloud image. Runs inside it.
const FINISH: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p /opt/packages
apt-get -q update
apt-get -q -y --no-install-recommends --download-only install docker.io
mv /var/cache/apt/archives/*.deb /opt/packages/
cd /opt/packages
for file in *.deb; do
    dpkg-deb --field "$file"
    echo "Filename: ./$file"
    echo "Size: $(stat -c %s "$file")"
    echo "SHA256: $(sha256sum "$file" | cut -d' ' -f1)"
    echo
done >Packages
echo 'deb [trusted=yes] file:/opt/packages ./' >/etc/apt/sources.list
rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* /etc/hostname /etc/hosts /etc/machine-id
touch /etc/machine-id
apt-get -q update
"#;

/// Returns whether the archive exists.
pub(super) fn is_cached(directory: &Path) -> bool {
    directory.join(ARCHIVE).is_file()
}

/// Returns the archive; builds it if it is not cached. The caller holds the directory's lock.
pub(super) async fn cached(directory: &Path) -> Result<PathBuf, DebianError> {
    let archive = directory.join(ARCHIVE);
    if archive.is_file() {
        return Ok(archive);
    }
    let tree = directory.join("tree");
    // Remains of a killed build.
    run(
        "clearing an old tree",
        Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(&tree),
    )
    .await?;
    run(
        "debootstrap",
        Command::new("debootstrap")
            .args(["--variant=minbase", "--include", PACKAGES, "bookworm"])
            .arg(&tree),
    )
    .await?;
    // debootstrap copies this machine's resolver configuration, which the download needs.
    run(
        "finishing the image",
        Command::new("chroot").arg(&tree).args(["sh", "-c", FINISH]),
    )
    .await?;
    let unfinished = directory.join("unfinished.tar.gz");
    run(
        "packing the image",
        Command::new("tar")
            .args(["-I", "gzip -1", "-C"])
            .arg(&tree)
            .arg("-cf")
            .arg(&unfinished)
            .arg("."),
    )
    .await?;
    fs::rename(&unfinished, &archive).map_err(|source| DebianError::File {
        path: archive.clone(),
        source,
    })?;
    run(
        "clearing the tree",
        Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(&tree),
    )
    .await?;
    Ok(archive)
}

/// Loads those of the images that dockerd lacks.
pub(super) async fn load(dockerd: &Dockerd, archive: &Path) -> Result<(), DebianError> {
    let (bare, full) = (
        DebianImage::WithoutDocker.tag(),
        DebianImage::WithDocker.tag(),
    );
    if !dockerd.has_image(bare).await {
        let archive = archive.to_string_lossy();
        dockerd.docker(&["import", &archive, bare]).await?;
    }
    if !dockerd.has_image(full).await {
        let install = "apt-get -q -y --no-install-recommends install docker.io";
        let words = [
            "run",
            "--name",
            "install",
            "--network",
            "none",
            "--env",
            "DEBIAN_FRONTEND=noninteractive",
            bare,
            "sh",
            "-c",
            install,
        ];
        dockerd.docker(&words).await?;
        dockerd.docker(&["commit", "install", full]).await?;
        dockerd.docker(&["rm", "--volumes", "install"]).await?;
    }
    Ok(())
}
