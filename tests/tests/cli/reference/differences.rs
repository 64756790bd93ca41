//! Where this program differs on purpose, one by one, and why.

/// What of a case is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The exit code: another one is expected.
    Code(i32),
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The files left, and `config.json`.
    Files,
    /// The calls of EC2.
    Wire,
}

use Part::{Code, Err, Files, Out, Wire};

const TABLE: &[(&str, &[Part], &str)] = &[
    ("bad.flag", &[Code(1)], "a usage error is never a success"),
    ("bad.int", &[Code(1)], "a usage error is never a success"),
    (
        "ec2.create.err.ami",
        &[Code(3), Out, Err, Files, Wire],
        "the image is asked for first: nothing is made of one that is not there",
    ),
    (
        "ec2.create.userdata_missing",
        &[Out, Files, Wire],
        "the file is looked for before anything is made",
    ),
    (
        "ec2.create.err.novpc",
        &[Code(-1), Out, Err, Files, Wire],
        "a default VPC that only DescribeVpcs knows is found",
    ),
    (
        "ec2.create.profile",
        &[Files, Wire, Out],
        "a create that fails leaves nothing behind",
    ),
    (
        "ls.natural",
        &[Out],
        "what answers at /var/run/docker.sock is the recording host's",
    ),
    (
        "scp.none",
        &[Err],
        "SFTP in process: no scp whose connection could close",
    ),
    (
        "live.scp.missing",
        &[Err],
        "SFTP in process: the path and the reason, and no status of a program that did not run",
    ),
];

/// Returns what of a case is not compared.
pub(crate) fn of(id: &str) -> &'static [Part] {
    TABLE
        .iter()
        .find(|(case, ..)| *case == id)
        .map_or(&[], |(_, parts, _)| parts)
}
