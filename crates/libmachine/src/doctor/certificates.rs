//! Checks the shared certificates: present, readable, matching each other, and not about to expire.

use std::path::Path;
use std::time::SystemTime;

use machine_driver::Check;
use machine_tls::Certificate;
use machine_types::Secret;

use super::failed;
use crate::certificates::age::{Age, days};
use crate::certificates::issue::{authority, certificate};
use crate::certificates::renewal::is_our_own_ca;
use crate::{Error, Library};

pub(super) fn examine_certificates(library: &Library) -> Vec<Check> {
    let files = &library.settings.certificates;
    let all = [&files.ca, &files.ca_key, &files.client, &files.client_key];
    if all.iter().all(|file| !file.exists()) {
        return vec![Check::right(
            "certificates",
            "none yet: the first create makes them",
        )];
    }
    let now = library.ambient.now();
    let mut checks = Vec::new();
    let found = match certificate(library, &files.ca) {
        Ok(authority) => {
            let remedy = match is_our_own_ca(library) {
                true => {
                    "from its last 30 days on the next create, provision, upgrade, regenerate-certs, start or restart makes a new CA, and goes on trusting the old one"
                }
                false => "replace the CA that --tls-ca-cert names",
            };
            checks.push(of_age("CA", &authority, now, remedy));
            Some(authority)
        }
        Err(error) => {
            checks.push(unusable(
                "CA",
                error,
                "restore it from a backup: machines trust it alone",
            ));
            None
        }
    };
    if let (Err(error), Some(_)) = (authority(library, &files.ca, &files.ca_key), &found) {
        checks.push(unusable(
            "CA key",
            error,
            "restore it from a backup: without it nothing can be signed",
        ));
    }
    match certificate(library, &files.client) {
        Ok(client) => {
            let remedy = "from its last day on the next create, provision or config issues a new one of the same CA";
            checks.push(of_age("client certificate", &client, now, remedy));
            checks.extend(found.and_then(|authority| of_pair(library, &client, &authority)));
        }
        Err(error) => checks.push(unusable(
            "client certificate",
            error,
            "remove it and its key: the next create issues a new one",
        )),
    }
    checks
}

/// Checks that the CA issued the client certificate and that the key matches it.
fn of_pair(library: &Library, client: &Certificate, authority: &Certificate) -> Option<Check> {
    let files = &library.settings.certificates;
    let remedy = "remove certificate and key: the next create issues new ones";
    if !client.is_signed_by(authority) {
        let found = format!("{} was not signed by this CA", files.client.display());
        return Some(Check::wrong("client certificate", found, remedy));
    }
    let key = match library.store.read_text(&files.client_key) {
        Ok(text) => Secret::from(text),
        Err(error) => return Some(failed("client key", error, remedy)),
    };
    match client.has_key(&key) {
        Ok(true) => None,
        Ok(false) => Some(Check::wrong(
            "client key",
            format!(
                "{} belongs to another certificate",
                files.client_key.display()
            ),
            remedy,
        )),
        Err(error) => Some(failed("client key", error, remedy)),
    }
}

/// Examines a machine's own certificates. Reports only problems.
pub(super) fn examine_own_certificate(library: &Library, name: &str, path: &Path) -> Option<Check> {
    let subject = format!("machine {name}");
    let remedy = format!("docker-machine regenerate-certs -f {name}");
    if !path.exists() {
        return None;
    }
    match certificate(library, path) {
        Ok(certificate) => {
            let check = of_age(subject, &certificate, library.ambient.now(), &remedy);
            (!check.remedy.is_empty()).then_some(check)
        }
        Err(error) => Some(unusable(subject, error, &remedy)),
    }
}

fn unusable(subject: impl Into<String>, error: Error, remedy: &str) -> Check {
    failed(subject, error, remedy)
}

fn of_age(
    subject: impl Into<String>,
    certificate: &Certificate,
    now: SystemTime,
    remedy: &str,
) -> Check {
    match Age::of(certificate, now) {
        Age::Valid(left) => Check::right(subject, format!("valid for {}", days(left))),
        Age::Ending(left) => Check::notable(subject, format!("ends in {}", days(left)), remedy),
        Age::Over(since) => Check::wrong(subject, format!("ended {} ago", days(since)), remedy),
        Age::NotBegun => Check::wrong(subject, "has not begun yet", "set this computer's clock"),
    }
}
