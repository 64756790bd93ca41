//! Certificates that come to their end: the client's is issued anew by the same CA, the CA is replaced, and nobody
//! is cut off meanwhile.
//!
//! `ca.pem` then holds several certificates: the new CA's first, whose key `ca-key.pem` is (Go reads the
//! first one), and those of older CAs for as long as a machine has a certificate of theirs. A machine goes on
//! with the CA and client certificate in its own directory until it is set up again: by `provision`, `upgrade`,
//! `regenerate-certs`, `start` or `restart`.

use std::path::Path;
use std::time::Duration;

use machine_ops::Cx;
use machine_store::{Access, MachineFile};
use machine_tls::Certificate;

use crate::certificates::age::{Age, days};
use crate::certificates::issue::LAST_DAY;
use crate::certificates::issue::{
    all_certificates, authority, bootstrap_certificates, certificate, copy_client_certificate,
    identity, issue_client_certificate, new_authority, write_shared,
};
use crate::machine::Machine;
use crate::{CertificatePaths, Error, Library};

/// A CA is replaced so long before its end: machines made until then live to their own end under the new
/// one, and those of the old one have a month to go.
const LAST_MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long `config` waits for another process that is making certificates: whoever asks has seconds
/// to tell dead from alive.
const IN_PASSING: Duration = Duration::from_secs(1);

/// Where the key of the CA before this one is kept, for whoever wants to go back.
const OLD_KEY: &str = "ca-key-old.pem";

/// Tells whether the CA is the store's own, made here, and not one that the user brought.
pub(crate) fn is_our_own_ca(library: &Library) -> bool {
    let own = CertificatePaths::of_store(&library.settings.store);
    let used = &library.settings.certificates;
    (&used.ca, &used.ca_key) == (&own.ca, &own.ca_key)
}

/// Tells the same of the client certificate.
pub(crate) fn is_our_own_client(library: &Library) -> bool {
    let own = CertificatePaths::of_store(&library.settings.store);
    let used = &library.settings.certificates;
    (&used.client, &used.client_key) == (&own.client, &own.client_key)
}

/// Tells whether the CA is ours to replace, and it is time.
pub(crate) fn authority_is_ending(library: &Library) -> bool {
    let files = &library.settings.certificates;
    if !is_our_own_ca(library) {
        return false;
    }
    match trusts_old_authorities(library) {
        // Of several only the key tells which one signs.
        true => authority(library, &files.ca, &files.ca_key)
            .is_ok_and(|signing| is_ending(library, signing.certificate(), LAST_MONTH)),
        false => ends_within(library, &files.ca, LAST_MONTH),
    }
}

/// Tells whether the client's certificate is missing, or ours to replace, and it is time or its key is another
/// one's.
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

/// What cannot be read does not end: it fails where it is used, with its name.
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

/// Brings certificates that are there, and come to their end, up to date. Makes none where there are none:
/// a machine may have others than the store's.
pub(crate) async fn renew_shared_certificates(library: &Library, cx: &Cx) -> Result<(), Error> {
    match library.settings.certificates.ca.exists() {
        true => bootstrap_certificates(library, cx).await,
        false => Ok(()),
    }
}

/// Makes a new CA in the place of the one that ends, and a client certificate of it. The caller holds
/// the lock.
///
/// A crash in between leaves the old key beside a `ca.pem` that begins with the new certificate and holds
/// the old one too: the old CA goes on signing, and the next call begins again.
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

/// Tells whether `ca.pem` holds CAs that do not sign any more.
pub(crate) fn trusts_old_authorities(library: &Library) -> bool {
    let text = library.store.read_text(&library.settings.certificates.ca);
    let all = text.map(|text| Certificate::all_from_pem(&text));
    is_our_own_ca(library) && matches!(all, Ok(Ok(all)) if all.len() > 1)
}

/// Takes CAs out of `ca.pem` of which no machine has a certificate any more. The caller holds the lock.
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

/// Lists the CAs in `ca.pem`, but for the one that signs, of which a machine has its certificate. A machine
/// of which nobody can tell counts for each of them.
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

/// Brings the shared client certificate to a machine whose own copy comes to its end. Without it the machine's
/// engine would refuse us, and GitLab Runner remove the machine. Returns whether it has a new one.
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

/// Brings the shared client certificate into a machine's directory, having issued a new one of the same CA
/// where that is at its end, too. Returns whether the machine has it.
pub(crate) async fn bring_client_certificate(
    library: &Library,
    machine: &Machine,
    cx: &Cx,
) -> Result<bool, Error> {
    if !is_our_own_client(library) {
        return Ok(false);
    }
    // The machine's engine knows only the CAs that it was given.
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

fn all_to_pem(certificates: &[Certificate]) -> Result<String, Error> {
    let each = certificates.iter().map(Certificate::to_pem);
    each.collect::<Result<_, _>>().map_err(Error::Certificates)
}
