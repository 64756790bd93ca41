//! Intentional differences from the Go program, with the reason for each.

/// The parts of a case that are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The exit code: this one is expected instead.
    Code(i32),
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The remaining files, and `config.json`.
    Files,
    /// The calls to EC2.
    Wire,
}

use Part::{Code, Err, Files, Out, Wire};

const TABLE: &[(&str, &[Part], &str)] = &[
    ("bad.flag", &[Code(1)], "a usage error is never a success"),
    ("bad.int", &[Code(1)], "a usage error is never a success"),
    (
        "ec2.create.err.ami",
        &[Code(3), Out, Err, Files, Wire],
        "the image is checked first: nothing is created from a missing one",
    ),
    (
        "ec2.create.userdata_missing",
        &[Out, Files, Wire],
        "the file is read before anything is created",
    ),
    (
        "ec2.create.err.novpc",
        &[Code(-1), Out, Err, Files, Wire],
        "a default VPC that only DescribeVpcs returns is found",
    ),
    (
        "ec2.create.profile",
        &[Files, Wire, Out],
        "a create that fails leaves nothing behind",
    ),
    (
        "ls.natural",
        &[Out],
        "the recording host had a Docker at /var/run/docker.sock",
    ),
    (
        "ls.format.json",
        &[Code(0), Out, Err],
        "a template of ls can make JSON, as one of inspect can",
    ),
    (
        "scp.none",
        &[Err],
        "SFTP in process: no scp program whose connection could close",
    ),
    (
        "live.scp.missing",
        &[Err],
        "SFTP in process: path and cause, without the exit status of an scp program",
    ),
];

/// Returns the parts of a case that are not compared.
pub(crate) fn of(id: &str) -> &'static [Part] {
    TABLE
        .iter()
        .find(|(case, ..)| *case == id)
        .map_or(&[], |(_, parts, _)| parts)
}
