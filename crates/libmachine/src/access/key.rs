//! The SSH key of a new machine: generated, or copied from the user's key.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use machine_driver::{KeyMaterial, KeyPlan};
use machine_ssh::{KeyType, check_private_key, generate_key_pair, public_key_line};
use machine_store::MachineFile;
use machine_types::Secret;

use crate::{Error, Library};

/// A key for a new machine, not yet written to disk.
pub(crate) struct MachineKey {
    /// Key material for the driver.
    pub(crate) material: KeyMaterial,
    /// Files to write into the machine's directory.
    pub(crate) files: Vec<KeyFile>,
}

/// One file of the key pair.
pub(crate) struct KeyFile {
    pub(crate) name: String,
    pub(crate) mode: u32,
    pub(crate) contents: Secret,
}

impl KeyFile {
    fn of(file: MachineFile, contents: Secret) -> Self {
        Self {
            name: file.name().to_owned(),
            mode: file.mode(),
            contents,
        }
    }
}

/// Mode of a file that only its owner can read.
const OWNER_ONLY: u32 = 0o600;

/// Length of a generated RSA key, the same as the Go binary's.
const RSA_BITS: usize = 2048;

pub(crate) async fn make_key(library: &Library, plan: &KeyPlan) -> Result<MachineKey, Error> {
    match plan {
        KeyPlan::Nothing => Ok(MachineKey {
            material: KeyMaterial::default(),
            files: Vec::new(),
        }),
        KeyPlan::Generate { algorithm } => {
            let kind = match algorithm.as_str() {
                "rsa" => KeyType::Rsa { bits: RSA_BITS },
                _ => KeyType::Ed25519,
            };
            let pair = generate_key_pair(kind).map_err(Error::Key)?;
            Ok(MachineKey {
                files: vec![
                    KeyFile::of(MachineFile::SshPublicKey, Secret::new(pair.public.as_str())),
                    KeyFile::of(MachineFile::SshKey, pair.private),
                ],
                material: KeyMaterial {
                    public: pair.public,
                },
            })
        }
        KeyPlan::Copy {
            private,
            public,
            name,
            keeps_modes,
        } => {
            // Checked before any resource is created with it.
            check_private_key(private, library.settings.ssh_agent.as_deref())
                .await
                .map_err(Error::Key)?;
            copy(private, *public, name, *keeps_modes)
        }
    }
}

/// Copies a key. Reads the public key from the file next to it; derives it if it is needed and the file is missing.
fn copy(
    private: &Path,
    needs_public: bool,
    name: &str,
    keeps_modes: bool,
) -> Result<MachineKey, Error> {
    // The copy gets no more permissions than this: ssh(1) refuses a private key that others can read.
    let mode = |path: &Path, most: u32| match std::fs::metadata(path) {
        Ok(found) if keeps_modes => found.permissions().mode() & most,
        _ => OWNER_ONLY,
    };
    let mut files = vec![KeyFile {
        name: name.to_owned(),
        mode: mode(private, OWNER_ONLY),
        contents: Secret::from(read(private)?),
    }];
    let mut beside = private.as_os_str().to_owned();
    beside.push(".pub");
    let beside = Path::new(&beside);
    let public = match read(beside) {
        Ok(public) => public,
        Err(_) if needs_public => public_key_line(private).map_err(Error::Key)?,
        Err(_) => String::new(),
    };
    if !public.is_empty() {
        files.push(KeyFile {
            name: format!("{name}.pub"),
            mode: mode(beside, 0o666),
            contents: Secret::new(public.as_str()),
        });
    }
    Ok(MachineKey {
        material: KeyMaterial { public },
        files,
    })
}

/// Largest file accepted as a key. An RSA key of 16384 bits has 13 KB.
const LONGEST_FILE: u64 = 64 << 10;

/// Reads a user's key file, which may be a pipe.
fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text))
        .map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
    Ok(text)
}
