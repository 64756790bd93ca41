//! The SSH key of a new machine: made, or copied from the user's.

use std::path::Path;

use machine_driver::{KeyMaterial, KeyPlan};
use machine_ssh::{KeyType, generate_key_pair, public_key_line};
use machine_store::MachineFile;
use machine_types::Secret;

use crate::{Error, Library};

/// A key for a new machine, not yet on the disk.
pub(crate) struct MachineKey {
    /// What the driver gets.
    pub(crate) material: KeyMaterial,
    /// What goes into the machine's directory.
    pub(crate) files: Vec<(MachineFile, Secret)>,
}

/// RSA keys are as long as the Go binary's.
const RSA_BITS: usize = 2048;

impl Library {
    pub(crate) async fn make_key(&self, plan: &KeyPlan) -> Result<MachineKey, Error> {
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
                        (MachineFile::SshPublicKey, Secret::new(pair.public.as_str())),
                        (MachineFile::SshKey, pair.private),
                    ],
                    material: KeyMaterial {
                        public: pair.public,
                    },
                })
            }
            KeyPlan::Copy { private, public } => copy(private, *public),
        }
    }
}

/// Copies a key. The public half is read from beside it; where it is needed and not there, it is
/// worked out.
fn copy(private: &Path, needs_public: bool) -> Result<MachineKey, Error> {
    let mut files = vec![(MachineFile::SshKey, Secret::from(read(private)?))];
    let mut beside = private.as_os_str().to_owned();
    beside.push(".pub");
    let beside = Path::new(&beside);
    let public = match std::fs::read_to_string(beside) {
        Ok(public) => public,
        Err(_) if needs_public => public_key_line(private).map_err(Error::Key)?,
        Err(_) => String::new(),
    };
    if !public.is_empty() {
        files.push((MachineFile::SshPublicKey, Secret::new(public.as_str())));
    }
    Ok(MachineKey {
        material: KeyMaterial { public },
        files,
    })
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}
