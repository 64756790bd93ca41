//! Processor architectures of the released executables.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::Result;

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    X86_64,
    Aarch64,
}

impl Architecture {
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Returns the architecture of an executable, from the field `e_machine` of its header (elf(5)).
    ///
    /// # Errors
    /// Fails if the file cannot be read, or is not an executable for one of them.
    pub(crate) fn of(executable: &Path) -> Result<Self> {
        let name = executable.display();
        let mut header = [0; 20];
        File::open(executable)
            .and_then(|mut file| file.read_exact(&mut header))
            .map_err(|error| format!("{name}: {error}"))?;
        match header {
            [0x7f, b'E', b'L', b'F', .., 62, 0] => Ok(Self::X86_64),
            [0x7f, b'E', b'L', b'F', .., 183, 0] => Ok(Self::Aarch64),
            _ => Err(format!("{name}: no executable for x86-64 or arm64 Linux").into()),
        }
    }

    /// Name in the output of `uname -m`.
    pub(crate) fn linux(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Name in the output of `dpkg --print-architecture`.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Rust target.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The alias in `.cargo/config.toml` that builds the static executable.
    pub(crate) fn alias(self) -> &'static str {
        match self {
            Self::X86_64 => "static",
            Self::Aarch64 => "static-arm64",
        }
    }
}
