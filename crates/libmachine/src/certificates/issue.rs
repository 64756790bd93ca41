//! The shared CA and client certificate, and the server certificate of each machine.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use machine_ops::Cx;
use machine_store::{Access, MachineFile};
use machine_tls::{
    Authority, Certificate, CertificateError, DialError, Dialer, Identity, Issued, Pins,
};
use machine_types::{MachineName, Secret};

use crate::machine::Machine;
use crate::{Error, Library};

/// Identities, each with the texts that it was parsed from: key, CA and certificate.
pub(crate) type Identities = Mutex<Vec<((Secret, String, String), Identity)>>;

/// Server certificates of unfinished rotations. They are accepted in addition to `server.pem` until the rotation
/// completes, so that a crash in between locks no client out.
const NEXT_SERVER_CERTIFICATE: &str = ".server-next.pem";

/// Maximum number of such certificates. Each one is from one interrupted rotation.
const MOST_ON_THEIR_WAY: usize = 16;

/// The last line of a certificate in PEM (RFC 7468).
const PEM_END: &str = "-----END CERTIFICATE-----";

/// Timeout of the wait for another process that is making the CA: a key pair and three files.
pub(crate) const BOOTSTRAP: Duration = Duration::from_secs(30);

/// A server certificate is replaced a day before it expires, since a host's clock may be ahead.
pub(crate) const LAST_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Rejects unusable shared certificates before anything that needs them is created.
pub(crate) fn check_shared_certificates(library: &Library, will_sign: bool) -> Result<(), Error> {
    let files = &library.settings.certificates;
    all_certificates(library, &files.ca)?;
    certificate(library, &files.client)?;
    if will_sign {
        authority(library, &files.ca, &files.ca_key)?;
        identity(library, &files.ca, &files.client, &files.client_key)?;
    }
    Ok(())
}

pub(crate) fn new_authority(library: &Library) -> Result<Issued, Error> {
    Authority::make(&library.settings.user, library.ambient.now()).map_err(Error::Certificates)
}

/// Issues a new client certificate from the existing CA.
pub(crate) async fn renew_client_certificate(library: &Library, cx: &Cx) -> Result<(), Error> {
    let _lock = library.store.lock_bootstrap(BOOTSTRAP, cx).await?;
    issue_client_certificate(library, cx)
}

/// Issues a client certificate. The caller holds the lock.
pub(crate) fn issue_client_certificate(library: &Library, cx: &Cx) -> Result<(), Error> {
    let files = &library.settings.certificates;
    cx.say(format!(
        "Creating client certificate: {}",
        files.client.display()
    ));
    let made = authority(library, &files.ca, &files.ca_key)?
        .client(&library.settings.user, library.ambient.now())
        .map_err(Error::Certificates)?;
    write_shared(
        library,
        &files.client_key,
        made.key.expose(),
        Access::Private,
    )?;
    write_shared(library, &files.client, &made.certificate, Access::Public)
}

/// Writes one file of the shared certificates.
pub(crate) fn write_shared(
    library: &Library,
    path: &Path,
    text: &str,
    access: Access,
) -> Result<(), Error> {
    let written = library.store.write(path, text, access);
    written.map_err(Error::CertificatesUnwritten)
}

/// Returns the machine's server certificate: the current one if it is still valid for the machine, else a new one.
/// `keep_server_certificate` saves a new one once the machine has it.
pub(crate) fn server_certificate(
    library: &Library,
    machine: &Machine,
    address: &str,
    anew: bool,
) -> Result<Issued, Error> {
    let auth = &machine.record.host_options.auth_options;
    let authority = authority(
        library,
        auth.ca_cert_path.as_ref(),
        auth.ca_private_key_path.as_ref(),
    )?;
    let mut hosts = vec![address.to_owned()];
    hosts.extend(auth.server_cert_sans.iter().flatten().cloned());
    if !anew && let Some(current) = current_certificate(library, machine, &authority, &hosts) {
        return Ok(current);
    }
    let user = &library.settings.user;
    let issued = authority
        .server(user, machine.name.as_str(), &hosts, library.ambient.now())
        .map_err(Error::Certificates)?;
    let next = next_server_certificate(library, &machine.name);
    // The progress of an interrupted rotation is unknown: its certificate stays accepted.
    let mut on_their_way = on_their_way(library, &machine.name);
    on_their_way.push(issued.certificate.clone());
    let first = on_their_way.len().saturating_sub(MOST_ON_THEIR_WAY);
    library
        .store
        .write(&next, &on_their_way[first..].concat(), Access::Public)?;
    Ok(issued)
}

/// Returns the certificates, one PEM text each, that interrupted rotations may have installed on the machine.
fn on_their_way(library: &Library, name: &MachineName) -> Vec<String> {
    let next = next_server_certificate(library, name);
    let text = library.store.read_text(&next).unwrap_or_default();
    let each = text.split_inclusive(PEM_END).map(str::trim_start);
    each.filter(|pem| Certificate::from_pem(pem).is_ok())
        .map(|pem| format!("{}\n", pem.trim_end()))
        .collect()
}

/// Returns the machine's current certificate if it can be kept.
fn current_certificate(
    library: &Library,
    machine: &Machine,
    authority: &Authority,
    hosts: &[String],
) -> Option<Issued> {
    let read = |file| {
        library
            .store
            .read_text(&library.store.file(&machine.name, file))
            .ok()
    };
    let (pem, key) = (
        read(MachineFile::Server)?,
        Secret::from(read(MachineFile::ServerKey)?),
    );
    let certificate = Certificate::from_pem(&pem).ok()?;
    let stays = certificate.is_signed_by(authority.certificate())
        && certificate.is_valid_at(library.ambient.now() + LAST_DAY)
        && certificate.has_key(&key).unwrap_or(false)
        && hosts.iter().all(|host| certificate.carries(host));
    stays.then_some(Issued {
        certificate: pem,
        key,
    })
}

/// Saves the certificate that the machine now uses as its own.
pub(crate) fn keep_server_certificate(
    library: &Library,
    machine: &Machine,
    issued: &Issued,
) -> Result<(), Error> {
    let file = |file| library.store.file(&machine.name, file);
    let (key, pem) = (issued.key.expose(), &issued.certificate);
    library
        .store
        .write(&file(MachineFile::ServerKey), key, Access::Private)?;
    library
        .store
        .write(&file(MachineFile::Server), pem, Access::Public)?;
    library
        .store
        .remove_file(&next_server_certificate(library, &machine.name))?;
    Ok(())
}

/// Adds the shared CAs to the CAs that the machine's directory trusts.
pub(crate) fn trust_shared_authorities(library: &Library, machine: &Machine) -> Result<(), Error> {
    let shared: &Path = machine
        .record
        .host_options
        .auth_options
        .ca_cert_path
        .as_ref();
    let own = library.store.file(&machine.name, MachineFile::Ca);
    let trusted = all_certificates(library, shared)?;
    // A missing or broken file has nothing to keep.
    let kept = all_certificates(library, &own).unwrap_or_default();
    let mut pem = library.store.read_text(shared)?;
    for authority in kept.iter().filter(|kept| !trusted.contains(kept)) {
        if !pem.ends_with('\n') {
            pem.push('\n');
        }
        pem.push_str(&authority.to_pem().map_err(Error::Certificates)?);
    }
    Ok(library.store.write(&own, &pem, Access::Public)?)
}

/// Copies the shared certificates into the machine's directory, where GitLab Runner reads them. Takes the lock, so that
/// no other process replaces the client certificate between its two files.
pub(crate) async fn copy_shared_certificates(
    library: &Library,
    machine: &Machine,
    cx: &Cx,
) -> Result<(), Error> {
    let _lock = library.store.lock_bootstrap(BOOTSTRAP, cx).await?;
    let shared = &machine.record.host_options.auth_options.ca_cert_path;
    copy_shared(library, machine, shared, MachineFile::Ca, Access::Public)?;
    copy_client_certificate(library, machine)
}

/// Copies only the client certificate and key. The caller holds the lock.
pub(crate) fn copy_client_certificate(library: &Library, machine: &Machine) -> Result<(), Error> {
    let auth = &machine.record.host_options.auth_options;
    let (cert, key) = (&auth.client_cert_path, &auth.client_key_path);
    copy_shared(library, machine, cert, MachineFile::Cert, Access::Public)?;
    copy_shared(library, machine, key, MachineFile::Key, Access::Private)
}

fn copy_shared(
    library: &Library,
    machine: &Machine,
    from: &str,
    to: MachineFile,
    access: Access,
) -> Result<(), Error> {
    let text = library.store.read_text(from.as_ref())?;
    let to = library.store.file(&machine.name, to);
    Ok(library.store.write(&to, &text, access)?)
}

/// Returns a dialer with the machine's own copies of the certificates, the ones that GitLab Runner uses. A machine that
/// never had any (driver `none`) gets the shared ones and no pin.
pub(crate) fn dialer(
    library: &Library,
    machine: &Machine,
    within: Duration,
) -> Result<Dialer, Error> {
    let file = |file| library.store.file(&machine.name, file);
    let auth = &machine.record.host_options.auth_options;
    let server = file(MachineFile::Server);
    let mut pinned = Vec::new();
    if server.exists() {
        pinned.push(certificate(library, &server)?);
    }
    for pem in on_their_way(library, &machine.name) {
        pinned.push(Certificate::from_pem(&pem).map_err(Error::Certificates)?);
    }
    let (ca, cert, key) = match pinned.is_empty() {
        true => (
            PathBuf::from(&auth.ca_cert_path),
            PathBuf::from(&auth.client_cert_path),
            PathBuf::from(&auth.client_key_path),
        ),
        false => (
            file(MachineFile::Ca),
            file(MachineFile::Cert),
            file(MachineFile::Key),
        ),
    };
    let identity = identity(library, &ca, &cert, &key)?;
    let pins = match needs_pin(machine) {
        true => Pins::new(&pinned),
        false => Pins::none(),
    };
    Dialer::tls(&identity, &pins, library.ambient.now(), within).map_err(Error::Certificates)
}

/// Returns the error for an engine that cannot be verified because its certificate is no longer on record.
pub(crate) fn not_pinned(library: &Library, machine: &Machine, error: &DialError) -> Option<Error> {
    let path = library.store.file(&machine.name, MachineFile::Server);
    let is_missing =
        matches!(error, DialError::OtherMachine { .. }) && needs_pin(machine) && !path.exists();
    is_missing.then(|| Error::NotPinned {
        name: machine.name.to_string(),
        path,
    })
}

/// Returns whether docker-machine issued the engine's certificate. It did for every driver but `none`, whose engine
/// the user manages.
fn needs_pin(machine: &Machine) -> bool {
    machine.driver.ssh().is_some()
}

/// Reads the client identity for an engine. Caches it: most machines have copies of the same three files.
pub(crate) fn identity(
    library: &Library,
    ca: &Path,
    cert: &Path,
    key: &Path,
) -> Result<Identity, Error> {
    let text = |path| library.store.read_text(path);
    let texts = (Secret::from(text(key)?), text(ca)?, text(cert)?);
    // A panic leaves no partial entry in it.
    let mut known = library
        .identities
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some((_, identity)) = known.iter().find(|(read, _)| *read == texts) {
        return Ok(identity.clone());
    }
    let (key_text, ca_text, cert_text) = &texts;
    let made = Identity::from_pem(ca_text, cert_text, key_text).map_err(in_file(cert))?;
    known.push((texts, made.clone()));
    Ok(made)
}

pub(crate) fn certificate(library: &Library, path: &Path) -> Result<Certificate, Error> {
    Certificate::from_pem(&library.store.read_text(path)?).map_err(in_file(path))
}

pub(crate) fn all_certificates(library: &Library, path: &Path) -> Result<Vec<Certificate>, Error> {
    Certificate::all_from_pem(&library.store.read_text(path)?).map_err(in_file(path))
}

pub(crate) fn authority(
    library: &Library,
    certificate: &Path,
    key: &Path,
) -> Result<Authority, Error> {
    let text = |path| library.store.read_text(path);
    let key_text = Secret::from(text(key)?);
    Authority::from_pem(&text(certificate)?, &key_text).map_err(in_file(certificate))
}

fn next_server_certificate(library: &Library, name: &MachineName) -> PathBuf {
    library.store.directory(name).join(NEXT_SERVER_CERTIFICATE)
}

fn in_file(path: &Path) -> impl FnOnce(CertificateError) -> Error {
    let path = path.to_owned();
    |source| Error::CertificateFile { path, source }
}
