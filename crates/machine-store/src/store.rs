//! The storage directory: names, reading, saving, locking.

use std::fs;
use std::future::ready;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use machine_ops::{
    Ambient, Cx, Entry, JournalError, Look, WaitError, WaitPolicy, wait_until_ready,
};
use machine_types::MachineName;

use crate::disk::Disk;
use crate::layout::{CERTS, CREATING, Layout, REMOVING, name_between};
use crate::lock::{Attempt, LockedFile};
use crate::{
    BootstrapLock, CONFIG_VERSION, FileHook, FileJournal, MachineFile, MachineLock, MachineRecord,
    PoolLock, StoreError, Surroundings,
};

/// Maximum size of `config.json`. A typical one has 4 KB.
pub(crate) const CONFIG_LIMIT: u64 = 4 << 20;
/// Maximum size of a certificate, key or host-key file.
const FILE_LIMIT: u64 = 1 << 20;
/// How long a reader waits for a `config.json` that is being replaced: the Go binary removes the old one before it
/// renames the new one.
const MOMENT: Duration = Duration::from_millis(250);

/// Read access to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The owner: 0600.
    Private,
    /// All users that can enter the directory: 0644, less the umask.
    Public,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// A storage directory. Its construction does not access the disk; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) layout: Layout,
    pub(crate) disk: Disk,
    pub(crate) surroundings: Option<Arc<Surroundings>>,
}

impl Store {
    /// Creates a store for a base directory, which need not exist.
    pub fn new(base: impl Into<PathBuf>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            layout: Layout::new(base.into()),
            disk: Disk {
                ambient,
                hook: Arc::new(()),
            },
            surroundings: None,
        }
    }

    /// Sets the hook that is called before every operation on a file, for tests.
    pub fn with_hook(mut self, hook: Arc<dyn FileHook>) -> Self {
        self.disk.hook = hook;
        self
    }

    /// Sets the computer and the file system that the store assumes, for tests.
    pub fn with_surroundings(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = Some(Arc::new(surroundings));
        self
    }

    /// Returns the base directory.
    pub fn base(&self) -> &Path {
        self.layout.base()
    }

    /// Returns a machine's directory.
    pub fn directory(&self, name: &MachineName) -> PathBuf {
        self.layout.directory(name)
    }

    /// Returns the path of a file in a machine's directory.
    pub fn file(&self, name: &MachineName, file: MachineFile) -> PathBuf {
        self.directory(name).join(file.name())
    }

    /// Lists the machines, sorted by byte: every real directory without a leading dot, broken ones included. A store
    /// that does not exist has no machines. Excludes directories with invalid machine names, which
    /// [`Store::odd_names`] lists.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub fn names(&self) -> Result<Vec<MachineName>, StoreError> {
        let names = self.entries_of_machines()?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Lists directories in `machines/` with invalid machine names, which the Go binary and the runner treat as
    /// machines. Escaped for a terminal.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub fn odd_names(&self) -> Result<Vec<String>, StoreError> {
        let names = self.entries_of_machines()?;
        Ok(names
            .iter()
            .filter_map(|name| name.parse::<MachineName>().err())
            .map(|invalid| invalid.0)
            .collect())
    }

    /// Lists every machine with a record, sorted by byte, for a search for resources without an owner: the machines of
    /// [`Store::names`], and those whose directory is a link, which the Go binary does not list.
    ///
    /// # Errors
    /// Returns [`StoreError::Unaccounted`] if a directory with an invalid machine name holds a machine's configuration
    /// or journal. Fails if an entry cannot be examined, for example a link to a disk that is not mounted; disk
    /// errors.
    pub fn on_record(&self) -> Result<Vec<MachineName>, StoreError> {
        let mut names = Vec::new();
        for entry in self.disk.list(&self.layout.machines())? {
            let path = entry.path();
            let examine = |path: &Path| {
                fs::metadata(path).map_err(|source| StoreError::disk("examine", path, source))
            };
            match examine(&path) {
                // Removed in the meantime. A dangling link still exists.
                Err(error) if error.is_missing() && path.symlink_metadata().is_err() => continue,
                Err(error) => return Err(error),
                Ok(found) if !found.is_dir() => continue,
                Ok(_) => {}
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(name) = name.parse() {
                names.push(name);
                continue;
            }
            let is_ours = [CREATING, REMOVING]
                .iter()
                .any(|prefix| name_between(&name, prefix).is_some());
            if is_ours {
                continue;
            }
            for file in [MachineFile::Config, MachineFile::Journal] {
                match examine(&path.join(file.name())) {
                    Ok(_) => return Err(StoreError::Unaccounted { path }),
                    Err(error) if error.is_missing() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(names)
    }

    fn entries_of_machines(&self) -> Result<Vec<String>, StoreError> {
        let entries = self.disk.list(&self.layout.machines())?;
        Ok(entries
            .iter()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect())
    }

    /// Returns the free space of the store's disk for this user, in bytes (statvfs(3)); `None` if that cannot be told.
    pub fn free_space(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(self.base()).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Returns whether the directory of that machine exists, with or without a configuration. One that this user may not
    /// look for counts as existing: the operation on it reports why.
    pub fn exists(&self, name: &MachineName) -> bool {
        is_directory(&self.directory(name)).unwrap_or(true)
    }

    /// Reads a machine's configuration, of any version. If it is missing, retries for 250 ms: the Go binary may be
    /// replacing it.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] at once; all errors of [`Store::try_load`].
    pub async fn load(&self, name: &MachineName, cx: &Cx) -> Result<MachineRecord, StoreError> {
        match self.try_load(name) {
            Err(StoreError::ConfigMissing { .. }) => {}
            other => return other,
        }
        let policy = WaitPolicy::every(Duration::from_millis(10), MOMENT);
        let waited = wait_until_ready(cx, "configuration", policy, || {
            ready(match self.try_load(name) {
                Err(StoreError::ConfigMissing { .. }) => Ok(Look::Pending("missing".to_owned())),
                other => other.map(Look::Ready),
            })
        })
        .await;
        waited.map_err(|error| match error {
            WaitError::Failed(error) => error,
            WaitError::Cancelled(reason) => StoreError::Cancelled(reason),
            WaitError::TimedOut { .. } => StoreError::ConfigMissing {
                path: self.file(name, MachineFile::Config),
            },
        })
    }

    /// Reads a machine's configuration, without retries.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] without a directory, [`StoreError::ConfigMissing`] without a file, and any
    /// error of the file, with its path. A newer version is not an error: unknown fields are ignored.
    pub fn try_load(&self, name: &MachineName) -> Result<MachineRecord, StoreError> {
        let path = self.file(name, MachineFile::Config);
        match self.disk.read(&path, CONFIG_LIMIT) {
            Ok(bytes) => MachineRecord::parse(&bytes, name, &path, self.base()),
            Err(error) if error.is_missing() && self.exists(name) => {
                Err(StoreError::ConfigMissing { path })
            }
            Err(error) if error.is_missing() => Err(StoreError::NotFound { name: name.clone() }),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a machine's configuration is certainly readable, for callers that do not need its content.
    /// `false` means unknown: [`Store::try_load`] returns the error, if there is one.
    pub fn is_plainly_sound(&self, name: &MachineName) -> bool {
        let path = self.file(name, MachineFile::Config);
        self.disk
            .read(&path, CONFIG_LIMIT)
            .is_ok_and(|bytes| MachineRecord::is_plainly_sound(&bytes, name))
    }

    /// Waits for the lock of a machine, which need not exist.
    ///
    /// # Errors
    /// Returns [`StoreError::Locked`] with the holder after `within`; [`StoreError::Cancelled`]; disk errors.
    pub async fn lock_machine(
        &self,
        name: &MachineName,
        within: Duration,
        cx: &Cx,
    ) -> Result<MachineLock, StoreError> {
        let path = self.layout.lock(name.as_str());
        let what = format!("machine {:?}", name.as_str());
        Ok(MachineLock {
            name: name.clone(),
            file: LockedFile::wait(&self.disk, &path, &what, within, cx).await?,
        })
    }

    /// Takes the lock of a machine, or returns `None` if another process holds it.
    ///
    /// # Errors
    /// Returns disk errors.
    pub fn try_lock_machine(&self, name: &MachineName) -> Result<Option<MachineLock>, StoreError> {
        let path = self.layout.lock(name.as_str());
        Ok(match LockedFile::attempt(&self.disk, &path)? {
            Attempt::Got(file) => Some(MachineLock {
                name: name.clone(),
                file,
            }),
            Attempt::Held { .. } => None,
        })
    }

    /// Returns whether a process holds the lock of a machine, and its process id if known. Changes nothing.
    pub fn holder(&self, name: &MachineName) -> Option<Option<u32>> {
        LockedFile::holder(&self.layout.lock(name.as_str()))
    }

    /// Waits for the lock of the shared certificates.
    ///
    /// # Errors
    /// Same as [`Store::lock_machine`].
    pub async fn lock_bootstrap(
        &self,
        within: Duration,
        cx: &Cx,
    ) -> Result<BootstrapLock, StoreError> {
        let path = self.layout.lock("-bootstrap");
        let file = LockedFile::wait(&self.disk, &path, "certificates", within, cx).await?;
        Ok(BootstrapLock { _file: file })
    }

    /// Waits for the lock of a pool.
    ///
    /// # Errors
    /// Same as [`Store::lock_machine`].
    pub async fn lock_pool(
        &self,
        pool: &str,
        within: Duration,
        cx: &Cx,
    ) -> Result<PoolLock, StoreError> {
        // No machine name begins with `-`.
        let path = self.layout.lock(&format!("-pool-{pool}"));
        let file = LockedFile::wait(&self.disk, &path, pool, within, cx).await?;
        Ok(PoolLock { _file: file })
    }

    /// Replaces a machine's configuration. Before the first replacement of an older version, saves it as
    /// `config.json.bak` in the same directory, as the Go binary does.
    ///
    /// # Errors
    /// Returns [`StoreError::Newer`] if the record, or the existing file, is of a later version; disk errors. The old
    /// file is then kept unchanged.
    pub fn save(&self, lock: &MachineLock, record: &MachineRecord) -> Result<(), StoreError> {
        save_in(&self.disk, &self.directory(&lock.name), record)
    }

    /// Returns a machine's journal, for the lock holder.
    pub fn journal(&self, lock: &MachineLock) -> FileJournal {
        FileJournal::new(
            self.disk.clone(),
            lock.name.clone(),
            self.directory(&lock.name),
            self.base().to_owned(),
        )
    }

    /// Reads a machine's journal without its lock. A missing journal has no entries.
    ///
    /// # Errors
    /// Fails if the file cannot be read or parsed.
    pub fn entries(&self, name: &MachineName) -> Result<Vec<Entry>, JournalError> {
        FileJournal::new(
            self.disk.clone(),
            name.clone(),
            self.directory(name),
            self.base().to_owned(),
        )
        .read()
    }

    /// Reads a text file (a certificate, a key, pinned host keys) of at most 1 MiB, in the store or elsewhere.
    ///
    /// # Errors
    /// Returns an error with [`StoreError::is_missing`] if there is no file; not a file, too large, not text; disk
    /// errors.
    pub fn read_text(&self, path: &Path) -> Result<String, StoreError> {
        self.disk.read_text(path, FILE_LIMIT)
    }

    /// Replaces a file atomically, in the store or elsewhere. Creates it if it is missing, including the store's own
    /// directories. Outside the store, the directory must exist.
    ///
    /// # Errors
    /// Returns disk errors; the old file is then kept unchanged.
    pub fn write(&self, path: &Path, contents: &str, access: Access) -> Result<(), StoreError> {
        let directory = machine_ops::files::parent(path);
        if directory == self.layout.under(CERTS) || directory == self.base() {
            self.disk.make_directories(directory)?;
        }
        self.disk.write(path, contents.as_bytes(), access.mode())
    }

    /// Removes a file. Succeeds if it does not exist.
    ///
    /// # Errors
    /// Returns disk errors.
    pub fn remove_file(&self, path: &Path) -> Result<(), StoreError> {
        self.disk.remove_file(path)
    }
}

/// Replaces `config.json` in a machine's directory or tombstone.
pub(crate) fn save_in(
    disk: &Disk,
    directory: &Path,
    record: &MachineRecord,
) -> Result<(), StoreError> {
    let path = directory.join(MachineFile::Config.name());
    let bytes = record.to_bytes(&path)?;
    if let Ok(old) = disk.read(&path, CONFIG_LIMIT) {
        let version = version_of(&old);
        if version > CONFIG_VERSION {
            return Err(StoreError::Newer { path, version });
        }
        if record.migrated && version < CONFIG_VERSION {
            disk.write(&directory.join("config.json.bak"), &old, 0o600)?;
        }
    }
    disk.write(&path, &bytes, MachineFile::Config.mode())
}

/// Returns the version of a configuration; 0 if it has none, or is invalid.
fn version_of(bytes: &[u8]) -> i64 {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Version {
        config_version: i64,
    }
    serde_json::from_slice::<Version>(bytes).map_or(0, |version| version.config_version)
}

/// Returns whether a path is a directory.
///
/// # Errors
/// Returns [`StoreError::Disk`] if that cannot be told.
pub(crate) fn is_directory(path: &Path) -> Result<bool, StoreError> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(StoreError::disk("open", path, error)),
    }
}
