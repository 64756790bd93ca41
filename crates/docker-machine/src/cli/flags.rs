//! The flags before the command, and those of each command.

use machine_driver::FlagSpec;

use crate::cli::argv::Flag;
use crate::cli::command::Command;

/// The environment variable equivalent to `--debug`.
pub(super) const DEBUG_VARIABLE: &str = "MACHINE_DEBUG";

pub(super) fn debug_flag() -> FlagSpec {
    FlagSpec::bool(
        "debug",
        "Log every step, API call and wait with its duration",
    )
    .env(DEBUG_VARIABLE)
}

/// The flags before the command.
pub fn global_flags() -> Vec<Flag> {
    let text = |name, env, help| Flag::new(FlagSpec::string(name, help).env(env));
    let switch = |name, help| FlagSpec::bool(name, help);
    vec![
        Flag::new(debug_flag()).short("D"),
        text(
            "storage-path",
            "MACHINE_STORAGE_PATH",
            "Where machines and certificates are kept, instead of ~/.docker/machine",
        )
        .short("s"),
        text(
            "tls-ca-cert",
            "MACHINE_TLS_CA_CERT",
            "The CA's certificate, instead of certs/ca.pem",
        ),
        text(
            "tls-ca-key",
            "MACHINE_TLS_CA_KEY",
            "The CA's private key, instead of certs/ca-key.pem",
        ),
        text(
            "tls-client-cert",
            "MACHINE_TLS_CLIENT_CERT",
            "The client's certificate, instead of certs/cert.pem",
        ),
        text(
            "tls-client-key",
            "MACHINE_TLS_CLIENT_KEY",
            "The client's private key, instead of certs/key.pem",
        ),
        text(
            "github-api-token",
            "MACHINE_GITHUB_API_TOKEN",
            "Accepted, and not used",
        ),
        Flag::new(switch("native-ssh", "Accepted: SSH is always native").env("MACHINE_NATIVE_SSH")),
        text(
            "bugsnag-api-token",
            "MACHINE_BUGSNAG_API_TOKEN",
            "Accepted: nothing is ever sent anywhere",
        ),
        help_flag(),
        Flag::new(switch("version", "Print the version")).short("v"),
    ]
}

fn help_flag() -> Flag {
    Flag::new(FlagSpec::bool("help", "Print help")).short("h")
}

/// Returns the flags of a command, including the one that every command has.
pub(super) fn all_flags(command: &dyn Command) -> Vec<Flag> {
    let mut flags = command.flags();
    flags.push(help_flag());
    flags
}
