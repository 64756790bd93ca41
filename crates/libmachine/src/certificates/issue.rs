//! The shared CA and client certificate, and each machine's own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use machine_ops::Cx;
use machine_store::{Access, MachineFile};
use machine_tls::{Authority, Certificate, CertificateError, Dialer, Identity, Issued, Pins};
use machine_types::{MachineName, Secret};

use crate::machine::Machine;
use crate::{Error, Library};

/// Identities, each beside the texts that it was read from: key, CA and certificate.
pub(crate) type Identities = Mutex<Vec<((Secret, String, String), Identity)>>;

/// The certificates that are on their way to the machine: they count beside `server.pem` until a
/// rotation is over, so that a crash in between cuts nobody off.
const NEXT_SERVER_CERTIFICATE: &str = ".server-next.pem";

/// How many of them count at most: each stands for a rotation that was cut off.
const MOST_ON_THEIR_WAY: usize = 16;

/// The last line of a certificate in PEM (RFC 7468).
const PEM_END: &str = "-----END CERTIFICATE-----";

/// How long a process waits for another one that is making the CA: a key pair and three files.
pub(crate) const BOOTSTRAP: Duration = Duration::from_secs(30);

/// A server certificate is replaced a day before its end: a host's clock may be ahead.
pub(crate) const LAST_DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Library {
    /// Makes the CA and the client's certificate where they are missing, or about to end. Any number of
    /// processes may do so at once: one makes them, the others find them made.
    pub(crate) async fn bootstrap_certificates(&self, cx: &Cx) -> Result<(), Error> {
        let files = &self.settings.certificates;
        let will_do =
            || files.ca.exists() && !self.authority_is_ending() && !self.client_is_ending();
        if will_do() && !self.trusts_old_authorities() {
            return Ok(());
        }
        let _lock = self.store.lock_bootstrap(BOOTSTRAP, cx).await?;
        if !files.ca.exists() {
            self.check_that_no_authority_is_lost()?;
            cx.say(format!("Creating CA: {}", files.ca.display()));
            let made = self.new_authority()?;
            // The key first: after a crash in between it has signed nothing, and is replaced.
            self.write_shared(&files.ca_key, made.key.expose(), Access::Private)?;
            self.write_shared(&files.ca, &made.certificate, Access::Public)?;
        } else if self.authority_is_ending() {
            self.replace_authority(cx)?;
        } else {
            self.forget_old_authorities(cx)?;
        }
        if self.client_is_ending() {
            self.issue_client_certificate(cx)?;
        }
        Ok(())
    }

    /// Refuses to replace the key of a CA whose certificate is missing, if it has signed anything, or may have.
    fn check_that_no_authority_is_lost(&self) -> Result<(), Error> {
        let files = &self.settings.certificates;
        if !files.ca_key.exists() {
            return Ok(());
        }
        let has_certificate = |name| self.store.file(name, MachineFile::Server).exists();
        if self.is_our_own_ca()
            && !files.client.exists()
            && !self.store.names()?.iter().any(has_certificate)
        {
            return Ok(());
        }
        Err(Error::AuthorityIncomplete {
            certificate: files.ca.clone(),
            key: files.ca_key.clone(),
        })
    }

    /// Refuses shared certificates that cannot be used, before anything is made that would need them.
    pub(crate) fn check_shared_certificates(&self, will_sign: bool) -> Result<(), Error> {
        let files = &self.settings.certificates;
        self.all_certificates(&files.ca)?;
        self.certificate(&files.client)?;
        if will_sign {
            self.authority(&files.ca, &files.ca_key)?;
            self.identity(&files.ca, &files.client, &files.client_key)?;
        }
        Ok(())
    }

    pub(crate) fn new_authority(&self) -> Result<Issued, Error> {
        Authority::make(&self.settings.user, self.ambient.now()).map_err(Error::Certificates)
    }

    /// Issues a new client certificate of the CA that is there.
    pub(crate) async fn renew_client_certificate(&self, cx: &Cx) -> Result<(), Error> {
        let _lock = self.store.lock_bootstrap(BOOTSTRAP, cx).await?;
        self.issue_client_certificate(cx)
    }

    /// The caller holds the lock.
    pub(crate) fn issue_client_certificate(&self, cx: &Cx) -> Result<(), Error> {
        let files = &self.settings.certificates;
        cx.say(format!(
            "Creating client certificate: {}",
            files.client.display()
        ));
        let made = self
            .authority(&files.ca, &files.ca_key)?
            .client(&self.settings.user, self.ambient.now())
            .map_err(Error::Certificates)?;
        self.write_shared(&files.client_key, made.key.expose(), Access::Private)?;
        self.write_shared(&files.client, &made.certificate, Access::Public)
    }

    /// Writes a file of the shared certificates.
    pub(crate) fn write_shared(
        &self,
        path: &Path,
        text: &str,
        access: Access,
    ) -> Result<(), Error> {
        let written = self.store.write(path, text, access);
        written.map_err(Error::CertificatesUnwritten)
    }

    /// Returns the machine's server certificate: the one it has, if that still fits, else a new one,
    /// which [`Library::keep_server_certificate`] makes its own once the machine has it.
    pub(crate) fn server_certificate(
        &self,
        machine: &Machine,
        address: &str,
        anew: bool,
    ) -> Result<Issued, Error> {
        let auth = &machine.record.host_options.auth_options;
        let authority = self.authority(
            auth.ca_cert_path.as_ref(),
            auth.ca_private_key_path.as_ref(),
        )?;
        let mut hosts = vec![address.to_owned()];
        hosts.extend(auth.server_cert_sans.iter().flatten().cloned());
        if !anew && let Some(current) = self.current_certificate(machine, &authority, &hosts) {
            return Ok(current);
        }
        let user = &self.settings.user;
        let issued = authority
            .server(user, machine.name.as_str(), &hosts, self.ambient.now())
            .map_err(Error::Certificates)?;
        let next = self.next_server_certificate(&machine.name);
        // Of a rotation that was cut off nobody knows how far it came: its certificate goes on counting.
        let mut on_their_way = self.on_their_way(&machine.name);
        on_their_way.push(issued.certificate.clone());
        let first = on_their_way.len().saturating_sub(MOST_ON_THEIR_WAY);
        self.store
            .write(&next, &on_their_way[first..].concat(), Access::Public)?;
        Ok(issued)
    }

    /// Returns the certificates, one PEM text each, that rotations which were cut off may have put on the
    /// machine.
    fn on_their_way(&self, name: &MachineName) -> Vec<String> {
        let next = self.next_server_certificate(name);
        let text = self.store.read_text(&next).unwrap_or_default();
        let each = text.split_inclusive(PEM_END).map(str::trim_start);
        each.filter(|pem| Certificate::from_pem(pem).is_ok())
            .map(|pem| format!("{}\n", pem.trim_end()))
            .collect()
    }

    /// Returns the certificate that the machine has, if it can stay.
    fn current_certificate(
        &self,
        machine: &Machine,
        authority: &Authority,
        hosts: &[String],
    ) -> Option<Issued> {
        let read = |file| {
            self.store
                .read_text(&self.store.file(&machine.name, file))
                .ok()
        };
        let (pem, key) = (
            read(MachineFile::Server)?,
            Secret::from(read(MachineFile::ServerKey)?),
        );
        let certificate = Certificate::from_pem(&pem).ok()?;
        let stays = certificate.is_signed_by(authority.certificate())
            && certificate.is_valid_at(self.ambient.now() + LAST_DAY)
            && certificate.has_key(&key).unwrap_or(false)
            && hosts.iter().all(|host| certificate.carries(host));
        stays.then_some(Issued {
            certificate: pem,
            key,
        })
    }

    /// Makes the certificate that the machine now uses its own.
    pub(crate) fn keep_server_certificate(
        &self,
        machine: &Machine,
        issued: &Issued,
    ) -> Result<(), Error> {
        let file = |file| self.store.file(&machine.name, file);
        let (key, pem) = (issued.key.expose(), &issued.certificate);
        self.store
            .write(&file(MachineFile::ServerKey), key, Access::Private)?;
        self.store
            .write(&file(MachineFile::Server), pem, Access::Public)?;
        self.store
            .remove_file(&self.next_server_certificate(&machine.name))?;
        Ok(())
    }

    /// Has the machine's directory trust the shared CAs, beside those that it trusts already.
    pub(crate) fn trust_shared_authorities(&self, machine: &Machine) -> Result<(), Error> {
        let shared: &Path = machine
            .record
            .host_options
            .auth_options
            .ca_cert_path
            .as_ref();
        let own = self.store.file(&machine.name, MachineFile::Ca);
        let trusted = self.all_certificates(shared)?;
        // Of one that is missing or broken there is nothing to keep.
        let kept = self.all_certificates(&own).unwrap_or_default();
        let mut pem = self.store.read_text(shared)?;
        for authority in kept.iter().filter(|kept| !trusted.contains(kept)) {
            if !pem.ends_with('\n') {
                pem.push('\n');
            }
            pem.push_str(&authority.to_pem().map_err(Error::Certificates)?);
        }
        Ok(self.store.write(&own, &pem, Access::Public)?)
    }

    /// Copies the shared certificates into the machine's directory, where the runner reads them. Locked, so that
    /// nobody replaces the client's certificate between it and its key.
    pub(crate) async fn copy_shared_certificates(
        &self,
        machine: &Machine,
        cx: &Cx,
    ) -> Result<(), Error> {
        let _lock = self.store.lock_bootstrap(BOOTSTRAP, cx).await?;
        let shared = &machine.record.host_options.auth_options.ca_cert_path;
        self.copy_shared(machine, shared, MachineFile::Ca, Access::Public)?;
        self.copy_client_certificate(machine)
    }

    /// Copies the client's certificate and key alone. The caller holds the lock.
    pub(crate) fn copy_client_certificate(&self, machine: &Machine) -> Result<(), Error> {
        let auth = &machine.record.host_options.auth_options;
        let (cert, key) = (&auth.client_cert_path, &auth.client_key_path);
        self.copy_shared(machine, cert, MachineFile::Cert, Access::Public)?;
        self.copy_shared(machine, key, MachineFile::Key, Access::Private)
    }

    fn copy_shared(
        &self,
        machine: &Machine,
        from: &str,
        to: MachineFile,
        access: Access,
    ) -> Result<(), Error> {
        let text = self.store.read_text(from.as_ref())?;
        let to = self.store.file(&machine.name, to);
        Ok(self.store.write(&to, &text, access)?)
    }

    /// Makes a dialer out of the machine's own copies of the certificates, as the runner uses
    /// them; of a machine that never had any (driver `none`), of the shared ones, without a pin.
    pub(crate) fn dialer(&self, machine: &Machine, within: Duration) -> Result<Dialer, Error> {
        let file = |file| self.store.file(&machine.name, file);
        let auth = &machine.record.host_options.auth_options;
        let server = file(MachineFile::Server);
        let (identity, pins) = if server.exists() {
            let identity = self.identity(
                &file(MachineFile::Ca),
                &file(MachineFile::Cert),
                &file(MachineFile::Key),
            )?;
            let mut pins = vec![self.certificate(&server)?];
            for pem in self.on_their_way(&machine.name) {
                pins.push(Certificate::from_pem(&pem).map_err(Error::Certificates)?);
            }
            (identity, Pins::new(&pins))
        } else {
            let identity = self.identity(
                auth.ca_cert_path.as_ref(),
                auth.client_cert_path.as_ref(),
                auth.client_key_path.as_ref(),
            )?;
            (identity, Pins::none())
        };
        Dialer::tls(&identity, &pins, self.ambient.now(), within).map_err(Error::Certificates)
    }

    /// Reads who we are to an engine. Most machines have copies of the same three files: what they say is worked
    /// out once.
    pub(crate) fn identity(&self, ca: &Path, cert: &Path, key: &Path) -> Result<Identity, Error> {
        let text = |path| self.store.read_text(path);
        let texts = (Secret::from(text(key)?), text(ca)?, text(cert)?);
        // Whoever panicked with it had nothing half done.
        let mut known = self
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

    pub(crate) fn certificate(&self, path: &Path) -> Result<Certificate, Error> {
        Certificate::from_pem(&self.store.read_text(path)?).map_err(in_file(path))
    }

    pub(crate) fn all_certificates(&self, path: &Path) -> Result<Vec<Certificate>, Error> {
        Certificate::all_from_pem(&self.store.read_text(path)?).map_err(in_file(path))
    }

    pub(crate) fn authority(&self, certificate: &Path, key: &Path) -> Result<Authority, Error> {
        let text = |path| self.store.read_text(path);
        let key_text = Secret::from(text(key)?);
        Authority::from_pem(&text(certificate)?, &key_text).map_err(in_file(certificate))
    }

    fn next_server_certificate(&self, name: &MachineName) -> PathBuf {
        self.store.directory(name).join(NEXT_SERVER_CERTIFICATE)
    }
}

fn in_file(path: &Path) -> impl FnOnce(CertificateError) -> Error {
    let path = path.to_owned();
    |source| Error::CertificateFile { path, source }
}
