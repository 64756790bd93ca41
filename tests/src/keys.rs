//! Access keys for tests, a lab that accepts them, and a home directory without keys.

use std::path::Path;

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, OTHER_ACCOUNT};
use ec2_lab::hosts::HostOptions;

use crate::flows::{Flow, Home};

/// An access key of the lab's account.
pub const FOUND: &str = "ASIAFOUNDBYTHECHAIN0";
/// Its secret half, which must never be shown.
pub const SECRET: &str = "f0undSECRETaccessKEY/neverToBeSeen";
/// The token of its session, which must never be shown either.
pub const TOKEN: &str = "f0undSESSIONtoken/neverToBeSeenEither";

/// Starts a lab that accepts [`FOUND`], its own key and `AKIDOTHER` of another account, and a home directory
/// without keys.
pub async fn flow() -> Flow {
    let mut flow = Flow::with(HostOptions::default(), |lab| {
        lab.access_key(ACCESS_KEY, ACCOUNT)
            .access_key(FOUND, ACCOUNT)
            .access_key("AKIDOTHER", OTHER_ACCOUNT)
    })
    .await;
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_EC2_METADATA_DISABLED",
    ] {
        flow.home.unset(name);
    }
    // Prevents lookups of a metadata service at its real address.
    flow.home
        .set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    flow
}

/// Returns every file below a directory, as text.
///
/// # Panics
/// A file cannot be read.
pub fn all_files(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => text += &all_files(&path),
            false => text += &String::from_utf8_lossy(&std::fs::read(&path).unwrap()),
        }
    }
    text
}

/// Writes other keys into a machine's `config.json`.
///
/// # Panics
/// There is no `config.json`.
pub fn change_keys(home: &Home, name: &str, access_key: &str, secret_key: &str) {
    let file = home.machine(name).join("config.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["Driver"]["AccessKey"] = access_key.into();
    config["Driver"]["SecretKey"] = secret_key.into();
    std::fs::write(file, config.to_string()).unwrap();
}
