//! Location of a store: evidence that distinguishes a store from its copy.
//!
//! The store's id is a file, so copying the store copies the id. The file therefore also records where it was created.
//! The evidence and its properties:
//!
//! | evidence | survives | changes with | not compared |
//! |---|---|---|---|
//! | inode of the id file and of the store's directory | reboot, `mv` on one file system, bind mounts under any path, NFS (the file id is the inode) | `cp -a`, `rsync`, `tar`, a restored backup; `cp -al` (the directory's only) | file systems with generated inode numbers: FUSE, SMB, FAT |
//! | creation time of the id file (`statx`) | same as the inode; no program can set it | same as the inode; distinguishes new disks with equal inode numbers | if unknown on one side |
//! | serial number of the disk (an EBS volume's id) | reboot, a volume that is attached to the next manager, a pod that moves with its volume | an image or a snapshot, which is a new volume even where inodes, path and machine-id stay | shared storage; placeholder serials (`nvme_card-pd`, `QM00001`) |
//! | hardware UUID (readable by root), else machine-id | reboot; the UUID in containers too | another computer | shared storage; if the disk's serial number was compared; if unknown on one side (a container without `/etc/machine-id`) |
//! | the writable layer of a container (`upperdir`) | a restart of the container | another container of the same image | outside of containers |
//!
//! Device numbers are no evidence: they change with a reboot and differ between computers. Neither is the path by
//! itself: a container sees the store under another path. On shared storage (NFS, CephFS, Lustre, …) the computer is
//! not compared, and only inodes decide: a server that was restored from a snapshot is not distinguished from the
//! original one. Generated inode numbers prove nothing, because copies get the same numbers: then the computer, the
//! path and the source of the mount identify a store together.
//!
//! Recorded evidence that cannot be compared with anything counts as different: a needless confirmation costs less
//! than the removal of another store's machine. Not detected: a copy of a whole computer that keeps serial number,
//! hardware UUID and machine-id, and a snapshot by the file system itself (btrfs, ZFS, LVM) that is used on the same
//! computer.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use machine_types::printable;
use rustix::fs::{OFlags, major, minor, statfs};
use serde::{Deserialize, Serialize};

use crate::disk::flags;

/// How a file system assigns inode numbers, and how many computers access it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Medium {
    /// A disk of one computer.
    #[default]
    Local,
    /// Several computers see the same files under the same inode numbers.
    Shared,
    /// Inode numbers may change with the next mount.
    Renumbered,
}

/// The computer and the file system of a store. Unknown values are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Host name, for messages.
    pub host: Option<String>,
    /// UUID of the hardware, readable only by root.
    pub hardware: Option<String>,
    /// `/etc/machine-id`.
    pub system: Option<String>,
    /// Serial number of the disk, if it is unique.
    pub disk: Option<String>,
    /// The writable layer of the container that holds the store.
    pub layer: Option<String>,
    /// Source of the mount (`server:/export`), if inode numbers are generated.
    pub source: Option<String>,
    /// How the file system assigns inode numbers.
    pub medium: Medium,
}

/// Recorded location of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    directory: u64,
    file: u64,
    /// Creation time, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hardware: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| printable(text.as_bytes());
        write!(f, "{}", shown(&self.path))?;
        if let Some(host) = &self.host {
            write!(f, " on {}", shown(host))?;
        }
        write!(f, " (inode {}", self.file)?;
        if let Some(disk) = &self.disk {
            write!(f, ", disk {}", shown(disk))?;
        }
        if let Some(source) = &self.source {
            write!(f, ", mounted from {}", shown(source))?;
        }
        if let Some(system) = &self.system {
            let short: String = system.chars().take(8).collect();
            write!(f, ", machine-id {}…", shown(&short))?;
        }
        f.write_str(")")
    }
}

impl Place {
    /// Returns the place of an id file, from the metadata of the open file and of its directory.
    pub(crate) fn new(
        path: String,
        directory: &Metadata,
        file: &Metadata,
        around: Surroundings,
    ) -> Self {
        let is_local = around.medium != Medium::Shared;
        let local = |value: Option<String>| value.filter(|_| is_local);
        Self {
            path,
            directory: directory.ino(),
            file: file.ino(),
            born: born(file),
            host: around.host,
            disk: local(around.disk),
            layer: local(around.layer),
            hardware: local(around.hardware),
            system: local(around.system),
            source: around.source,
        }
    }

    /// Returns whether the recorded place is the current one.
    pub(crate) fn is_here(&self, here: &Self, medium: Medium) -> bool {
        let is_same_file = self.file == here.file
            && self.directory == here.directory
            && agree(&self.born, &here.born) != Some(false)
            && agree(&self.layer, &here.layer) != Some(false);
        let is_same_computer =
            agree(&self.hardware, &here.hardware).or_else(|| agree(&self.system, &here.system));
        let is_unbound = self.disk.is_none() && self.hardware.is_none() && self.system.is_none();
        match medium {
            Medium::Shared => is_same_file,
            // Copies get the same inode numbers.
            Medium::Renumbered => {
                self.path == here.path
                    && agree(&self.source, &here.source) != Some(false)
                    && is_same_computer.unwrap_or(is_unbound && is_same_file)
            }
            Medium::Local => {
                is_same_file
                    && agree(&self.disk, &here.disk)
                        .or(is_same_computer)
                        .unwrap_or(is_unbound)
            }
        }
    }
}

/// Compares two values if both are known.
pub(crate) fn agree<T: PartialEq>(there: &Option<T>, here: &Option<T>) -> Option<bool> {
    there.as_ref().zip(here.as_ref()).map(|(a, b)| a == b)
}

/// Returns the creation time of a file. File systems that do not store it return nothing, or 1970.
pub(crate) fn born(file: &Metadata) -> Option<u64> {
    let since = file.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos())
        .ok()
        .filter(|time| *time > 0)
}

impl Surroundings {
    /// Reads the properties of the computer and of a directory's file system.
    pub(crate) fn of(directory: &Path, metadata: &Metadata) -> Self {
        Self::below(Path::new("/"), metadata.dev(), medium(directory))
    }

    fn below(root: &Path, device: u64, medium: Medium) -> Self {
        let read = |path: &str| read_small(&root.join(path));
        Self {
            host: read("proc/sys/kernel/hostname"),
            hardware: read("sys/class/dmi/id/product_uuid").or_else(|| read("sys/hypervisor/uuid")),
            // systemd writes `uninitialized` into images.
            system: read("etc/machine-id").filter(|id| id.len() == 32),
            disk: serial(root, device),
            layer: layer(root, device),
            source: (medium == Medium::Renumbered)
                .then(|| source(root, device))
                .flatten(),
            medium,
        }
    }
}

/// Returns how a file system assigns inode numbers, by the magic number from statfs(2).
pub(crate) fn medium(directory: &Path) -> Medium {
    let Ok(found) = statfs(directory) else {
        return Medium::Local;
    };
    // From linux/magic.h, or from statfs(2) for numbers missing there.
    match i128::from(found.f_type) & 0xffff_ffff {
        // NFS, Ceph, AFS, Lustre, GFS2, OCFS2, 9P.
        0x6969 | 0x00c3_6400 | 0x5346_414f | 0x0bd0_0bd0 | 0x0116_1970 | 0x7461_636f
        | 0x0102_1997 => Medium::Shared,
        // FUSE, SMB in its three versions, FAT, exFAT, VirtualBox's shared folders.
        0x6573_5546 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x4d44 | 0x2011_bab0 | 0x786f_4256 => {
            Medium::Renumbered
        }
        _ => Medium::Local,
    }
}

/// Returns the serial number of the disk with a device number: sysfs(5).
fn serial(root: &Path, device: u64) -> Option<String> {
    let number = format!("{}:{}", major(device), minor(device));
    let mut block = fs::canonicalize(root.join("sys/dev/block").join(number)).ok()?;
    if block.join("partition").exists() {
        block.pop();
    }
    // Device mapper (LUKS, LVM) over one disk; a few levels at most.
    for _ in 0..4 {
        let Ok(slaves) = fs::read_dir(block.join("slaves")) else {
            break;
        };
        let mut slaves = slaves.flatten();
        let (Some(slave), None) = (slaves.next(), slaves.next()) else {
            break;
        };
        block = fs::canonicalize(slave.path()).ok()?;
        if block.join("partition").exists() {
            block.pop();
        }
    }
    let serial = ["serial", "device/serial"].iter().find_map(|file| {
        let serial = read_small(&block.join(file))?;
        let digits = serial.chars().filter(char::is_ascii_digit).count();
        // Emulated disks have serial numbers as well, but all have the same one.
        (serial.len() >= 12 && digits >= 6).then_some(serial)
    });
    serial.or_else(|| {
        ["wwid", "device/wwid"].iter().find_map(|file| {
            let wwid = read_small(&block.join(file))?;
            // These prefixes are unique by the rules of IEEE; the content of `t10.` is the manufacturer's choice.
            (wwid.starts_with("naa.") || wwid.starts_with("eui.")).then_some(wwid)
        })
    })
}

/// Returns the part of a device's mountinfo line after the separator (proc_pid_mountinfo(5)): type, source, options.
fn mounted(root: &Path, device: u64) -> Option<String> {
    let mut mounts = String::new();
    let file = open(&root.join("proc/self/mountinfo"))?;
    file.take(1 << 20).read_to_string(&mut mounts).ok()?;
    let number = format!("{}:{}", major(device), minor(device));
    let mount = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(number.as_str()))?;
    let (_, mounted) = mount.split_once(" - ")?;
    Some(mounted.to_owned())
}

/// Returns the directory in which a container's overlay stores changes.
fn layer(root: &Path, device: u64) -> Option<String> {
    let mounted = mounted(root, device)?;
    let mut options = mounted
        .strip_prefix("overlay ")?
        .split(' ')
        .nth(1)?
        .split(',');
    options
        .find_map(|option| option.strip_prefix("upperdir="))
        .map(str::to_owned)
}

/// Returns the source of a mount: `user@server:/export`, `//server/share`.
fn source(root: &Path, device: u64) -> Option<String> {
    let mounted = mounted(root, device)?;
    mounted.split(' ').nth(1).map(str::to_owned)
}

fn open(path: &Path) -> Option<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)
        .ok()
}

/// Reads one line of text; `None` if there is none.
fn read_small(path: &Path) -> Option<String> {
    let mut text = String::new();
    open(path)?.take(4096).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    const DEVICE: u64 = (259 << 8) | 1;

    #[test]
    fn an_ebs_volume_is_known_by_its_serial_number_under_a_partition_and_luks() {
        let root = tempfile::tempdir().unwrap();
        let disk = "sys/devices/pci0/nvme/nvme0/nvme0n1";
        put(root.path(), &format!("{disk}/nvme0n1p1/partition"), "1\n");
        put(
            root.path(),
            "sys/devices/pci0/nvme/nvme0/serial",
            "vol0a1b2c3d4e5f67890\n",
        );
        fs::create_dir_all(root.path().join(disk).join("slaves")).unwrap();
        symlink("..", root.path().join(disk).join("device")).unwrap();
        let block = root.path().join("sys/dev/block");
        fs::create_dir_all(&block).unwrap();
        let partition = root.path().join(disk).join("nvme0n1p1");
        symlink(&partition, block.join("259:1")).unwrap();
        let luks = root.path().join("sys/devices/virtual/block/dm-0");
        fs::create_dir_all(luks.join("slaves")).unwrap();
        symlink(&partition, luks.join("slaves/nvme0n1p1")).unwrap();
        symlink(&luks, block.join("253:0")).unwrap();
        for device in [DEVICE, 253 << 8] {
            let found = Surroundings::below(root.path(), device, Medium::Local);
            assert_eq!(found.disk.as_deref(), Some("vol0a1b2c3d4e5f67890"));
        }
        // Every disk of that kind has the same value: not a serial number.
        for none in ["nvme_card-pd\n", "QM00001\n", "\n"] {
            put(root.path(), "sys/devices/pci0/nvme/nvme0/serial", none);
            assert_eq!(serial(root.path(), DEVICE), None, "{none}");
        }
        put(
            root.path(),
            &format!("{disk}/wwid"),
            "t10.QEMU    QEMU HARDDISK\n",
        );
        assert_eq!(serial(root.path(), DEVICE), None);
        put(
            root.path(),
            &format!("{disk}/wwid"),
            "naa.60022480a1b2c3d4\n",
        );
        assert!(serial(root.path(), DEVICE).is_some());
    }

    #[test]
    fn a_computer_is_known_by_what_it_tells() {
        let root = tempfile::tempdir().unwrap();
        let look = || Surroundings::below(root.path(), 37, Medium::Local);
        assert_eq!(look(), Surroundings::default());
        put(root.path(), "etc/machine-id", "uninitialized\n");
        put(root.path(), "proc/sys/kernel/hostname", "manager-1\n");
        put(
            root.path(),
            "proc/self/mountinfo",
            "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
             37 22 0:37 / /x rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u/diff,workdir=/w\n",
        );
        let found = look();
        assert_eq!(found.system, None);
        assert_eq!(found.host.as_deref(), Some("manager-1"));
        assert_eq!(found.layer.as_deref(), Some("/u/diff"));
        put(
            root.path(),
            "etc/machine-id",
            &format!("{}\n", "a".repeat(32)),
        );
        assert_eq!(look().system, Some("a".repeat(32)));
    }
}
