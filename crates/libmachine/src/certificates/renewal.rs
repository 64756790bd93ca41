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

impl Library {
    /// Tells whether the CA is the store's own, made here, and not one that the user brought.
    pub(crate) fn is_our_own_ca(&self) -> bool {
        let own = CertificatePaths::of_store(&self.settings.store);
        let used = &self.settings.certificates;
        (&used.ca, &used.ca_key) == (&own.ca, &own.ca_key)
    }

    /// Tells the same of the client certificate.
    pub(crate) fn is_our_own_client(&self) -> bool {
        let own = CertificatePaths::of_store(&self.settings.store);
        let used = &self.settings.certificates;
        (&used.client, &used.client_key) == (&own.client, &own.client_key)
    }

    /// Tells whether the CA is ours to replace, and it is time.
    pub(crate) fn authority_is_ending(&self) -> bool {
        let files = &self.settings.certificates;
        if !self.is_our_own_ca() {
            return false;
        }
        match self.trusts_old_authorities() {
            // Of several only the key tells which one signs.
            true => self
                .authority(&files.ca, &files.ca_key)
                .is_ok_and(|signing| self.is_ending(signing.certificate(), LAST_MONTH)),
            false => self.ends_within(&files.ca, LAST_MONTH),
        }
    }

    /// Tells whether the client's certificate is missing, or ours to replace, and it is time or its key is another
    /// one's.
    pub(crate) fn client_is_ending(&self) -> bool {
        let files = &self.settings.certificates;
        let is_there = files.client.exists() && files.client_key.exists();
        !is_there
            || self.is_our_own_client()
                && (self.ends_within(&files.client, LAST_DAY)
                    || matches!(
                        self.identity(&files.ca, &files.client, &files.client_key),
                        Err(error) if error.is_of_torn_pair()
                    ))
    }

    /// What cannot be read does not end: it fails where it is used, with its name.
    fn ends_within(&self, path: &Path, time: Duration) -> bool {
        self.certificate(path)
            .is_ok_and(|certificate| self.is_ending(&certificate, time))
    }

    fn is_ending(&self, certificate: &Certificate, time: Duration) -> bool {
        match Age::of(certificate, self.ambient.now()) {
            Age::Valid(left) | Age::Ending(left) => left < time,
            Age::Over(_) => true,
            Age::NotBegun => false,
        }
    }

    /// Brings certificates that are there, and come to their end, up to date. Makes none where there are none:
    /// a machine may have others than the store's.
    pub(crate) async fn renew_shared_certificates(&self, cx: &Cx) -> Result<(), Error> {
        match self.settings.certificates.ca.exists() {
            true => self.bootstrap_certificates(cx).await,
            false => Ok(()),
        }
    }

    /// Makes a new CA in the place of the one that ends, and a client certificate of it. The caller holds
    /// the lock.
    ///
    /// A crash in between leaves the old key beside a `ca.pem` that begins with the new certificate and holds
    /// the old one too: the old CA goes on signing, and the next call begins again.
    pub(crate) fn replace_authority(&self, cx: &Cx) -> Result<(), Error> {
        let files = &self.settings.certificates;
        let signing = self.authority(&files.ca, &files.ca_key)?;
        let old_key = self.store.read_text(&files.ca_key)?;
        let mut trusted = self.old_authorities_in_use(signing.certificate())?;
        trusted.insert(0, signing.certificate().clone());
        let made = self.new_authority()?;
        let kept = all_to_pem(&trusted)?;
        let pem = format!("{}{kept}", made.certificate);
        self.write_shared(&files.directory.join(OLD_KEY), &old_key, Access::Private)?;
        self.write_shared(&files.ca, &pem, Access::Public)?;
        self.write_shared(&files.ca_key, made.key.expose(), Access::Private)?;
        let when = match Age::of(signing.certificate(), self.ambient.now()) {
            Age::Over(since) => format!("ended {} ago", days(since)),
            Age::Valid(left) | Age::Ending(left) => format!("ends in {}", days(left)),
            Age::NotBegun => "has not begun".to_owned(),
        };
        cx.alert(format!(
            "WARNING: the CA {} {when}: a NEW CA was made. Machines that exist go on with the old one, which is trusted until the last of them is gone; provision, upgrade, regenerate-certs, start and restart bring a machine to the new one",
            files.ca.display()
        ));
        self.issue_client_certificate(cx)
    }

    /// Tells whether `ca.pem` holds CAs that do not sign any more.
    pub(crate) fn trusts_old_authorities(&self) -> bool {
        let text = self.store.read_text(&self.settings.certificates.ca);
        let all = text.map(|text| Certificate::all_from_pem(&text));
        self.is_our_own_ca() && matches!(all, Ok(Ok(all)) if all.len() > 1)
    }

    /// Takes CAs out of `ca.pem` of which no machine has a certificate any more. The caller holds the lock.
    pub(crate) fn forget_old_authorities(&self, cx: &Cx) -> Result<(), Error> {
        if !self.trusts_old_authorities() {
            return Ok(());
        }
        let files = &self.settings.certificates;
        let signing = self.authority(&files.ca, &files.ca_key)?;
        let used = self.old_authorities_in_use(signing.certificate())?;
        let all: Vec<Certificate> = std::iter::once(signing.certificate().clone())
            .chain(used)
            .collect();
        let pem = all_to_pem(&all)?;
        if self.store.read_text(&files.ca)? != pem {
            self.store.write(&files.ca, &pem, Access::Public)?;
            cx.debug("a CA of which no machine is left is trusted no more");
        }
        Ok(())
    }

    /// Lists the CAs in `ca.pem`, but for the one that signs, of which a machine has its certificate. A machine
    /// of which nobody can tell counts for each of them.
    fn old_authorities_in_use(&self, signing: &Certificate) -> Result<Vec<Certificate>, Error> {
        let text = self.store.read_text(&self.settings.certificates.ca)?;
        let all = Certificate::all_from_pem(&text).map_err(Error::Certificates)?;
        let mut servers = Vec::new();
        for name in self.store.names()? {
            servers.push(
                self.certificate(&self.store.file(&name, MachineFile::Server))
                    .ok(),
            );
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
        &self,
        machine: &Machine,
        cx: &Cx,
    ) -> Result<bool, Error> {
        let own = self.store.file(&machine.name, MachineFile::Cert);
        match self.ends_within(&own, LAST_DAY) {
            true => self.bring_client_certificate(machine, cx).await,
            false => Ok(false),
        }
    }

    /// Brings the shared client certificate into a machine's directory, having issued a new one of the same CA
    /// where that is at its end, too. Returns whether the machine has it.
    pub(crate) async fn bring_client_certificate(
        &self,
        machine: &Machine,
        cx: &Cx,
    ) -> Result<bool, Error> {
        if !self.is_our_own_client() {
            return Ok(false);
        }
        // The machine's engine knows only the CAs that it was given.
        let trusted = self.all_certificates(&self.store.file(&machine.name, MachineFile::Ca))?;
        let is_trusted = || {
            let shared = self.certificate(&self.settings.certificates.client)?;
            Ok::<bool, Error>(trusted.iter().any(|ca| shared.is_signed_by(ca)))
        };
        if !self.client_is_ending() && !is_trusted()? {
            return Ok(false);
        }
        let _lock = self.store.lock_bootstrap(IN_PASSING, cx).await?;
        if self.client_is_ending() {
            self.issue_client_certificate(cx)?;
        }
        let is_trusted = is_trusted()?;
        if is_trusted {
            self.copy_client_certificate(machine)?;
        }
        Ok(is_trusted)
    }
}

fn all_to_pem(certificates: &[Certificate]) -> Result<String, Error> {
    let each = certificates.iter().map(Certificate::to_pem);
    each.collect::<Result<_, _>>().map_err(Error::Certificates)
}
