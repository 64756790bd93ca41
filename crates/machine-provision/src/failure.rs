//! Known failures, recognized by the error messages of other programs.

/// Message patterns and the remedy for each.
const KNOWN: &[(&str, &str)] = &[
    (
        "No space left on device",
        "free space on the host's disk, or use a larger root volume",
    ),
    ("I/O error", "check the host's disk: it is full or broken"),
    ("File too large", "free space on the host's disk"),
    (
        "Read-only file system",
        "the host's root file system cannot be written to",
    ),
    (
        "unknown flag",
        "this release of Docker does not support an --engine-opt: remove it",
    ),
    (
        "specified both as a flag and in the configuration file",
        "remove the key from /etc/docker/daemon.json, or omit the flag",
    ),
    (
        "address already in use",
        "another process on the host listens on the engine's port",
    ),
    (
        "Could not resolve",
        "the host cannot resolve names: check its resolver and its routes",
    ),
    (
        "nsupported distribution",
        "use an image with Docker, or set an --engine-install-url that supports this system",
    ),
    (
        // dockerd logs the driver that it found ("using prior storage driver") at every start.
        "prior storage driver * failed",
        "the host has images of another storage driver: omit --engine-storage-driver",
    ),
    (
        "contains several valid graphdrivers",
        "the host has images of several storage drivers: set the one to use with --engine-storage-driver",
    ),
    (
        "is masked",
        "unmask the unit on the host: systemctl unmask docker.service docker.socket",
    ),
];

/// Returns the remedy if the line reports a known failure.
pub(crate) fn way_out(line: &str) -> Option<&'static str> {
    let says = |words: &str| {
        let mut rest = line;
        words.split('*').all(|part| {
            let found = rest.split_once(part);
            rest = found.map_or("", |(_, behind)| behind);
            found.is_some()
        })
    };
    let known = KNOWN.iter().find(|(words, _)| says(words));
    known.map(|(_, way_out)| *way_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_start_are_not_failures() {
        let said = "level=info msg=\"[graphdriver] using prior storage driver: overlay2\"";
        assert_eq!(way_out(said), None);
        let failed = "[graphdriver] prior storage driver aufs failed: driver not supported";
        assert!(
            way_out(failed)
                .unwrap()
                .contains("omit --engine-storage-driver")
        );
    }
}
