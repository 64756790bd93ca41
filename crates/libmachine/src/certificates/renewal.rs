//! The shared certificates over time. They are made if they are missing. Before they expire, the same CA issues a new
//! client certificate, or the CA is replaced. No client is locked out meanwhile.
//!
//! After a CA replacement `ca.pem` holds several certificates: first the new CA's, whose key is `ca-key.pem` (Go reads
//! the first one), then those of older CAs for as long as a machine has a certificate from them. A machine keeps the
//! CA and client certificate in its own directory until it is set up again by `provision`, `upgrade`,
//! `regenerate-certs`, `start` or `restart`.

use std::path::Path;
use std::time::Duration;

use machine_ops::Cx;
use machine_store::{Access, MachineFile};
use machine_tls::Certificate;

use crate::certificates::age::{Age, days};
use crate::certificates::issue::{
    BOOTSTRAP, LAST_DAY, all_certificates, authority, certificate, copy_client_certificate,
    identity, issue_client_certificate, new_authority, write_shared,
};
use crate::machine::Machine;
use crate::{CertificatePaths, Error, Library};

/// A CA is replaced this long before it expires. New machines then use the new CA for their whole life; machines of
/// the old one have a month left.
const LAST_MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Timeout of `config`'s wait for another process that is making certificates. The caller has only seconds to find out
/// whether the machine is alive.
const IN_PASSING: Duration = Duration::from_secs(1);

/// File that keeps the key of the previous CA, for a manual rollback.
const OLD_KEY: &str = "ca-key-old.pem";

/// Returns whether docker-machine made the store's CA; `false` if the user supplied it.
pub(crate) fn is_our_own_ca(library: &Library) -> bool {
    let own = CertificatePaths::of_store(&library.settings.store);
    let used = &library.settings.certificates;
    (&used.ca, &used.ca_key) == (&own.ca, &own.ca_key)
}

/// Returns whether docker-machine made the store's client certificate; `false` if the user supplied it.
pub(crate) fn is_our_own_client(library: &Library) -> bool {
    let own = CertificatePaths::of_store(&library.settings.store);
    let used = &library.settings.certificates;
    (&used.client, &used.client_key) == (&own.client, &own.client_key)
}

/// Returns whether docker-machine made the CA and it is due for replacement.
pub(crate) fn authority_is_ending(library: &Library) -> bool {
    let files = &library.settings.certificates;
    if !is_our_own_ca(library) {
        return false;
    }
    match trusts_old_authorities(library) {
        // Among several, only the key identifies the signing one.
        true => authority(library, &files.ca, &files.ca_key)
            .is_ok_and(|signing| is_ending(library, signing.certificate(), LAST_MONTH)),
        false => ends_within(library, &files.ca, LAST_MONTH),
    }
}

/// Returns whether the client certificate is missing, or docker-machine made it and it is about to expire or does not
/// match its key.
pub(crate) fn client_is_ending(library: &Library) -> bool {
    let files = &library.settings.certificates;
    let is_there = files.client.exists() && files.client_key.exists();
    !is_there
        || is_our_own_client(library)
            && (ends_within(library, &files.client, LAST_DAY)
                || matches!(
                    identity(library, &files.ca, &files.client, &files.client_key),
                    Err(error) if error.is_of_torn_pair()
                ))
}

/// Returns `false` for an unreadable certificate: the operation that uses it reports the file.
fn ends_within(library: &Library, path: &Path, time: Duration) -> bool {
    certificate(library, path).is_ok_and(|certificate| is_ending(library, &certificate, time))
}

fn is_ending(library: &Library, certificate: &Certificate, time: Duration) -> bool {
    match Age::of(certificate, library.ambient.now()) {
        Age::Valid(left) | Age::Ending(left) => left < time,
        Age::Over(_) => true,
        Age::NotBegun => false,
    }
}

/// Makes the CA and the client certificate if they are missing or about to expire. Safe to call from many processes at
/// once: one makes them, the others use them.
pub(crate) async fn bootstrap_certificates(library: &Library, cx: &Cx) -> Result<(), Error> {
    let files = &library.settings.certificates;
    let will_do =
        || files.ca.exists() && !authority_is_ending(library) && !client_is_ending(library);
    if will_do() && !trusts_old_authorities(library) {
        return Ok(());
    }
    let _lock = library.store.lock_bootstrap(BOOTSTRAP, cx).await?;
    if !files.ca.exists() {
        check_that_no_authority_is_lost(library)?;
        cx.say(format!("Creating CA: {}", files.ca.display()));
        let made = new_authority(library)?;
        // The key first: after a crash in between it has signed nothing and is replaced.
        write_shared(library, &files.ca_key, made.key.expose(), Access::Private)?;
        write_shared(library, &files.ca, &made.certificate, Access::Public)?;
    } else if authority_is_ending(library) {
        replace_authority(library, cx)?;
    } else {
        forget_old_authorities(library, cx)?;
    }
    if client_is_ending(library) {
        issue_client_certificate(library, cx)?;
    }
    Ok(())
}

/// Refuses to replace the key of a CA whose certificate is missing if the key signed anything, or may have.
fn check_that_no_authority_is_lost(library: &Library) -> Result<(), Error> {
    let files = &library.settings.certificates;
    if !files.ca_key.exists() {
        return Ok(());
    }
    let has_certificate = |name| library.store.file(name, MachineFile::Server).exists();
    if is_our_own_ca(library)
        && !files.client.exists()
        && !library.store.names()?.iter().any(has_certificate)
    {
        return Ok(());
    }
    Err(Error::AuthorityIncomplete {
        certificate: files.ca.clone(),
        key: files.ca_key.clone(),
    })
}

/// Renews existing certificates that are about to expire. Makes none if there are none: a machine may use others than
/// the store's.
pub(crate) async fn renew_shared_certificates(library: &Library, cx: &Cx) -> Result<(), Error> {
    match library.settings.certificates.ca.exists() {
        true => bootstrap_certificates(library, cx).await,
        false => Ok(()),
    }
}

/// Replaces the CA that is about to expire, and issues a client certificate from the new one. The caller holds the
/// lock.
///
/// A crash in between leaves the old key with a `ca.pem` that has the new certificate first and also the old one. The
/// old CA then keeps signing, and the next call starts over.
pub(crate) fn replace_authority(library: &Library, cx: &Cx) -> Result<(), Error> {
    let files = &library.settings.certificates;
    let signing = authority(library, &files.ca, &files.ca_key)?;
    let old_key = library.store.read_text(&files.ca_key)?;
    let mut trusted = old_authorities_in_use(library, signing.certificate())?;
    trusted.insert(0, signing.certificate().clone());
    let made = new_authority(library)?;
    let kept = all_to_pem(&trusted)?;
    let pem = format!("{}{kept}", made.certificate);
    write_shared(
        library,
        &files.directory.join(OLD_KEY),
        &old_key,
        Access::Private,
    )?;
    write_shared(library, &files.ca, &pem, Access::Public)?;
    write_shared(library, &files.ca_key, made.key.expose(), Access::Private)?;
    let when = match Age::of(signing.certificate(), library.ambient.now()) {
        Age::Over(since) => format!("ended {} ago", days(since)),
        Age::Valid(left) | Age::Ending(left) => format!("ends in {}", days(left)),
        Age::NotBegun => "has not begun".to_owned(),
    };
    cx.alert(format!(
        "WARNING: the CA {} {when}: a NEW CA was made. Machines that exist go on with the old one, which is trusted until the last of them is gone; provision, upgrade, regenerate-certs, start and restart bring a machine to the new one",
        files.ca.display()
    ));
    issue_client_certificate(library, cx)
}

/// Returns whether `ca.pem` holds CAs that no longer sign.
pub(crate) fn trusts_old_authorities(library: &Library) -> bool {
    let text = library.store.read_text(&library.settings.certificates.ca);
    let all = text.map(|text| Certificate::all_from_pem(&text));
    is_our_own_ca(library) && matches!(all, Ok(Ok(all)) if all.len() > 1)
}

/// Removes CAs from `ca.pem` from which no machine has a certificate. The caller holds the lock.
pub(crate) fn forget_old_authorities(library: &Library, cx: &Cx) -> Result<(), Error> {
    if !trusts_old_authorities(library) {
        return Ok(());
    }
    let files = &library.settings.certificates;
    let signing = authority(library, &files.ca, &files.ca_key)?;
    let used = old_authorities_in_use(library, signing.certificate())?;
    let all: Vec<Certificate> = std::iter::once(signing.certificate().clone())
        .chain(used)
        .collect();
    let pem = all_to_pem(&all)?;
    if library.store.read_text(&files.ca)? != pem {
        library.store.write(&files.ca, &pem, Access::Public)?;
        cx.debug("a CA of which no machine is left is trusted no more");
    }
    Ok(())
}

/// Lists the CAs in `ca.pem`, except the signing one, from which a machine has its certificate. A machine whose CA
/// cannot be determined counts for each of them.
fn old_authorities_in_use(
    library: &Library,
    signing: &Certificate,
) -> Result<Vec<Certificate>, Error> {
    let text = library.store.read_text(&library.settings.certificates.ca)?;
    let all = Certificate::all_from_pem(&text).map_err(Error::Certificates)?;
    let mut servers = Vec::new();
    for name in library.store.names()? {
        servers.push(certificate(library, &library.store.file(&name, MachineFile::Server)).ok());
    }
    let is_used = |authority: &Certificate| {
        let of_it = |server: &Option<Certificate>| {
            server
                .as_ref()
                .is_none_or(|server| server.is_signed_by(authority))
        };
        servers.iter().any(of_it)
    };
    Ok(all
        .into_iter()
        .filter(|authority| authority != signing && is_used(authority))
        .collect())
}

/// Copies the shared client certificate to a machine whose own copy is about to expire. Without it the machine's engine
/// would refuse the connection, and GitLab Runner would remove the machine. Returns whether the machine has a new one.
pub(crate) async fn renew_own_client_certificate(
    library: &Library,
    machine: &Machine,
    cx: &Cx,
) -> Result<bool, Error> {
    let own = library.store.file(&machine.name, MachineFile::Cert);
    match ends_within(library, &own, LAST_DAY) {
        true => bring_client_certificate(library, machine, cx).await,
        false => Ok(false),
    }
}

/// Copies the shared client certificate into a machine's directory. If that is about to expire too, the same CA issues
/// a new one first. Returns whether the machine has it.
pub(crate) async fn bring_client_certificate(
    library: &Library,
    machine: &Machine,
    cx: &Cx,
) -> Result<bool, Error> {
    if !is_our_own_client(library) {
        return Ok(false);
    }
    // The machine's engine trusts only the CAs that it was given.
    let trusted = all_certificates(library, &library.store.file(&machine.name, MachineFile::Ca))?;
    let is_trusted = || {
        let shared = certificate(library, &library.settings.certificates.client)?;
        Ok::<bool, Error>(trusted.iter().any(|ca| shared.is_signed_by(ca)))
    };
    if !client_is_ending(library) && !is_trusted()? {
        return Ok(false);
    }
    let _lock = library.store.lock_bootstrap(IN_PASSING, cx).await?;
    if client_is_ending(library) {
        issue_client_certificate(library, cx)?;
    }
    let is_trusted = is_trusted()?;
    if is_trusted {
        copy_client_certificate(library, machine)?;
    }
    Ok(is_trusted)
}

/// Warns about shared certificates that expire within 60 days, once a day each. Ignores unreadable files: the operation
/// that needs the certificate reports them.
pub fn warn_of_age(library: &Library) {
    let files = &library.settings.certificates;
    let then = match is_our_own_ca(library) {
        true => {
            "from its last 30 days on the next create, provision, upgrade, regenerate-certs, start or restart makes a new one, and the old one stays trusted; all but create bring the machine over"
        }
        false => "replace it, then run docker-machine regenerate-certs for every machine",
    };
    warn_of(library, "ca-ends", "CA", &files.ca, then);
    let then = match is_our_own_client(library) {
        true => "a new one of the same CA is issued in its last day",
        false => "replace it",
    };
    warn_of(
        library,
        "client-ends",
        "client certificate",
        &files.client,
        then,
    );
}

fn warn_of(library: &Library, mark: &str, what: &str, path: &Path, then: &str) {
    let Ok(certificate) = certificate(library, path) else {
        return;
    };
    let when = match Age::of(&certificate, library.ambient.now()) {
        Age::Ending(left) => format!("ends in {}", days(left)),
        Age::Over(since) => format!("ended {} ago", days(since)),
        Age::Valid(_) | Age::NotBegun => return,
    };
    if library.store.is_due(mark) {
        let path = path.display();
        let line = format!("WARNING: the {what} {path} {when}: {then}");
        library.context().alert(line);
    }
}

fn all_to_pem(certificates: &[Certificate]) -> Result<String, Error> {
    let each = certificates.iter().map(Certificate::to_pem);
    each.collect::<Result<_, _>>().map_err(Error::Certificates)
}
