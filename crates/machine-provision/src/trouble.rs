//! Troubles that are known by the words of those who report them.

/// What somebody says, and what to do about it.
const KNOWN: &[(&str, &str)] = &[
    (
        "No space left on device",
        "make room on the host's disk, or use a larger root volume",
    ),
    ("I/O error", "look at the host's disk: it is full or broken"),
    ("File too large", "make room on the host's disk"),
    (
        "Read-only file system",
        "the host's root file system cannot be written to",
    ),
    (
        "unknown flag",
        "this release of Docker does not know an --engine-opt: leave it out",
    ),
    (
        "specified both as a flag and in the configuration file",
        "take the key out of /etc/docker/daemon.json, or leave the flag out",
    ),
    (
        "address already in use",
        "something else on the host listens on the engine's port",
    ),
    (
        "Could not resolve",
        "the host cannot resolve names: look at its resolver and its routes",
    ),
    (
        "nsupported distribution",
        "use an image with Docker, or give an --engine-install-url that knows this system",
    ),
    (
        "prior storage driver",
        "the host has images of another storage driver: leave --engine-storage-driver out",
    ),
];

/// Returns what to do where `says` finds a known trouble in what was said.
pub(crate) fn way_out(says: impl Fn(&str) -> bool) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(words, _)| says(words))
        .map(|(_, way_out)| *way_out)
}
