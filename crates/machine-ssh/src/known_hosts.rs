//! The file with a machine's pinned host key.
//!
//! It has OpenSSH's `known_hosts` format, but different semantics: the file belongs to one machine, so a key is looked
//! up by itself and not by the address, which a stopped machine loses.

use std::io;
use std::path::{Path, PathBuf};

use machine_ops::files::{self, FileError, Links};
use russh::keys::{HashAlg, PublicKey};

use crate::HostKeyError;

/// Maximum size: the file of one machine has a few lines.
const LONGEST_FILE: u64 = 1 << 20;

/// Content of the file.
pub(crate) struct Pins {
    file: PathBuf,
    lines: Vec<Line>,
}

enum Line {
    /// Host patterns, and a key.
    Pin(String, PublicKey),
    /// A comment, a marker, anything else.
    Other(String),
}

impl Pins {
    /// Reads the file. A missing file counts as empty; a file with content but without a key is damaged.
    pub(crate) fn read(file: &Path) -> Result<Self, HostKeyError> {
        let bytes = match files::read(file, LONGEST_FILE, Links::Refuse) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => {
                return Err(HostKeyError::Io {
                    action: "read",
                    file: file.to_owned(),
                    source: error.into_io(),
                });
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().map(Line::parse).collect();
        let pins = Self {
            file: file.to_owned(),
            lines,
        };
        let says_something = text
            .lines()
            .any(|line| !line.trim().is_empty() && !line.starts_with('#'));
        if says_something && pins.is_empty() {
            return Err(HostKeyError::Damaged { file: pins.file });
        }
        Ok(pins)
    }

    /// Returns an empty file of this name.
    pub(crate) fn none(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            lines: Vec::new(),
        }
    }

    /// Lists the fingerprints of the pinned keys.
    pub(crate) fn fingerprints(&self) -> String {
        self.keys().map(fingerprint).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys().next().is_none()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.lines.iter().filter_map(|line| match line {
            Line::Pin(_, key) => Some(key),
            Line::Other(_) => None,
        })
    }

    pub(crate) fn holds(&self, key: &PublicKey) -> bool {
        self.keys().any(|pin| pin.key_data() == key.key_data())
    }

    /// Returns the keys that are pinned for a host.
    fn names(&self, pattern: &str) -> impl Iterator<Item = &PublicKey> {
        self.lines.iter().filter_map(move |line| match line {
            Line::Pin(hosts, key) => hosts.split(',').any(|host| host == pattern).then_some(key),
            Line::Other(_) => None,
        })
    }

    /// Ensures that the file lists the key for this host, and writes it if needed. `unique` distinguishes the
    /// temporary files of concurrent writers.
    pub(crate) fn settle(
        &self,
        host: &str,
        port: u16,
        key: &PublicKey,
        unique: u64,
    ) -> Result<(), HostKeyError> {
        let pattern = pattern(host, port);
        if self
            .names(&pattern)
            .any(|pin| pin.key_data() == key.key_data())
        {
            return Ok(());
        }
        self.write(&pattern, key, unique)
            .map_err(|source| HostKeyError::Io {
                action: "write",
                file: self.file.clone(),
                source,
            })
    }

    fn write(&self, pattern: &str, key: &PublicKey, unique: u64) -> io::Result<()> {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Pin(_, key) => text.push_str(&pin_line(pattern, key)?),
                Line::Other(line) => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        if !self.holds(key) {
            text.push_str(&pin_line(pattern, key)?);
        }
        files::replace(&self.file, text.as_bytes(), 0o600, unique).map_err(FileError::into_io)
    }
}

/// Returns whether a `known_hosts` file has a key for this host, so that OpenSSH finds it there.
pub fn is_pinned(file: &Path, host: &str, port: u16) -> bool {
    Pins::read(file).is_ok_and(|pins| pins.names(&pattern(host, port)).next().is_some())
}

impl Line {
    fn parse(line: &str) -> Self {
        let other = || Self::Other(line.to_owned());
        if line.starts_with(['#', '@']) {
            return other();
        }
        match line.trim().split_once([' ', '\t']) {
            Some((hosts, key)) => match PublicKey::from_openssh(key.trim()) {
                Ok(key) => Self::Pin(hosts.to_owned(), key),
                Err(_) => other(),
            },
            None => other(),
        }
    }
}

/// Returns a line of `known_hosts`, with a line feed.
pub(crate) fn pin_line(pattern: &str, key: &PublicKey) -> io::Result<String> {
    if pattern.contains(|c: char| c.is_whitespace() || c.is_control() || ",*?!".contains(c)) {
        return Err(io::Error::other(
            "the host's name has characters of a pattern",
        ));
    }
    let bare = PublicKey::new(key.key_data().clone(), "");
    let key = bare.to_openssh().map_err(io::Error::other)?;
    Ok(format!("{pattern} {}\n", key.trim_end()))
}

/// Returns the host in the format of sshd(8): in brackets with its port, unless that is 22.
pub(crate) fn pattern(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    match port {
        22 => host,
        port => format!("[{host}]:{port}"),
    }
}

/// Returns the fingerprint: `ssh-ed25519 SHA256:…`
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}
