//! Public-key authentication.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use machine_ops::Cx;
use russh::client::{AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::keys::{public_half, read_private_key};
use crate::{Credentials, KeyError};

/// Timeout for the agent to list its keys. A signature has no timeout of its own but that of the login: the agent may
/// prompt the user.
const AGENT_LISTS: Duration = Duration::from_secs(5);

/// The keys read for a login.
pub(crate) struct Keyring {
    agent: Option<PathBuf>,
    files: Vec<(PathBuf, Arc<PrivateKey>)>,
    /// Selects the agent's keys to offer.
    of_agent: OfAgent,
}

enum OfAgent {
    /// All keys, with those of these files first.
    All { first: Vec<(PathBuf, KeyData)> },
    /// Only the key of this encrypted file.
    One { file: PathBuf, key: KeyData },
}

/// Result of a login.
pub(crate) enum Login {
    /// The server accepted a key, which is that of this file, if it is of one.
    Accepted(Option<PathBuf>),
    /// The server refused all available keys.
    Refused,
    /// The connection ended.
    HungUp(russh::Error),
    /// The agent does not hold the key.
    Unusable(KeyError),
}

/// Keys that were offered and refused on the connections of one login. OpenSSH ends a connection after six refusals
/// (sshd_config(5), `MaxAuthTries`); the next connection continues with the remaining keys.
#[derive(Default)]
pub(crate) struct Offers {
    refused: Vec<String>,
    of_agent: usize,
    held_back: usize,
}

impl Offers {
    /// Returns the number of refused keys.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Returns whether some keys were not offered yet.
    pub(crate) fn has_more(&self) -> bool {
        self.held_back > 0
    }
}

/// A key that can be offered.
enum Offer {
    OfAgent(Box<AgentIdentity>),
    OfFile(PathBuf, Arc<PrivateKey>),
}

impl Keyring {
    /// Reads the key files.
    pub(crate) fn read(credentials: &Credentials, cx: &Cx) -> Result<Self, KeyError> {
        let all = |agent| Self {
            agent,
            files: Vec::new(),
            of_agent: OfAgent::All { first: Vec::new() },
        };
        match credentials {
            Credentials::KeyFile(file) => {
                let key = Arc::new(read_private_key(file)?);
                Ok(Self {
                    files: vec![(file.clone(), key)],
                    ..all(None)
                })
            }
            Credentials::KeyFileWithAgent { file, agent } => match read_private_key(file) {
                Err(KeyError::Encrypted { .. }) => Ok(Self {
                    of_agent: OfAgent::One {
                        file: file.clone(),
                        key: public_half(file)?.key_data().clone(),
                    },
                    ..all(Some(agent.clone()))
                }),
                read => Ok(Self {
                    files: vec![(file.clone(), Arc::new(read?))],
                    ..all(None)
                }),
            },
            Credentials::AgentThenKeyFiles {
                agent,
                files: names,
            } => {
                let (mut files, mut first) = (Vec::new(), Vec::new());
                for file in names {
                    if let Ok(public) = public_half(file) {
                        first.push((file.clone(), public.key_data().clone()));
                    }
                    match read_private_key(file) {
                        Ok(key) => files.push((file.clone(), Arc::new(key))),
                        Err(error) => cx.debug(format!("passed over: {error}")),
                    }
                }
                Ok(Self {
                    agent: agent.clone(),
                    files,
                    of_agent: OfAgent::All { first },
                })
            }
        }
    }

    /// Offers the keys that were not refused yet, in order, until the server accepts one.
    pub(crate) async fn log_in<H: Handler>(
        &self,
        handle: &mut Handle<H>,
        user: &str,
        offers: &mut Offers,
    ) -> Login {
        let (mut agent, identities) = match self.agent_keys().await {
            Some((agent, identities)) => (Some(agent), identities),
            None => (None, Vec::new()),
        };
        let identities = match self.chosen(identities) {
            Ok(identities) => identities,
            Err(error) => return Login::Unusable(error),
        };
        let of_agent = identities
            .into_iter()
            .map(|identity| Offer::OfAgent(Box::new(identity)));
        let of_files = self.files.iter();
        let of_files = of_files.map(|(file, key)| Offer::OfFile(file.clone(), key.clone()));
        let mut fresh: Vec<(String, Offer)> = of_agent
            .chain(of_files)
            .map(|offer| (offer.id(), offer))
            .collect();
        fresh.retain(|(id, _)| !offers.refused.contains(id));
        offers.held_back = fresh.len();
        for (id, offer) in fresh {
            offers.held_back -= 1;
            offers.of_agent += usize::from(matches!(offer, Offer::OfAgent(_)));
            // The key counts as offered, whatever the response is.
            offers.refused.push(id);
            match (offer, &mut agent) {
                (Offer::OfAgent(identity), Some(agent)) => {
                    let file = self.file_of(&identity);
                    if offer_agent_key(handle, user, agent, *identity).await == Some(true) {
                        return Login::Accepted(file);
                    }
                }
                (Offer::OfAgent(_), None) => {}
                (Offer::OfFile(file, key), _) => match offer_key(handle, user, key).await {
                    Ok(true) => return Login::Accepted(Some(file)),
                    Ok(false) => {}
                    Err(error) => return Login::HungUp(error),
                },
            }
            if handle.is_closed() {
                return Login::HungUp(russh::Error::Disconnect);
            }
        }
        Login::Refused
    }

    async fn agent_keys(&self) -> Option<(AgentClient<UnixStream>, Vec<AgentIdentity>)> {
        agent_keys(self.agent.as_deref()?).await
    }

    /// Returns the agent's keys to offer, in order.
    fn chosen(&self, mut identities: Vec<AgentIdentity>) -> Result<Vec<AgentIdentity>, KeyError> {
        match &self.of_agent {
            OfAgent::All { first } => {
                identities.sort_by_key(|identity| {
                    let key = key_of(identity);
                    let place = first.iter().position(|(_, named)| *named == key);
                    place.unwrap_or(first.len())
                });
            }
            OfAgent::One { file, key } => {
                identities.retain(|identity| key_of(identity) == *key);
                if identities.is_empty() {
                    return Err(KeyError::Encrypted { file: file.clone() });
                }
            }
        }
        Ok(identities)
    }

    /// Returns the file of a key of the agent, if it is known. A certificate has none.
    fn file_of(&self, identity: &AgentIdentity) -> Option<PathBuf> {
        let AgentIdentity::PublicKey { key, .. } = identity else {
            return None;
        };
        match &self.of_agent {
            OfAgent::One { file, .. } => Some(file.clone()),
            OfAgent::All { first } => first
                .iter()
                .find(|(_, named)| named == key.key_data())
                .map(|(file, _)| file.clone()),
        }
    }

    /// Describes the offered keys, for the error.
    pub(crate) fn offered(&self, offers: &Offers) -> String {
        let plural = |count, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let of_files = offers.refused.len().saturating_sub(offers.of_agent);
        let files = match self.files.as_slice() {
            _ if of_files == 0 => None,
            [(file, _)] => Some(format!("the key {}", file.display())),
            _ => Some(plural(of_files, "key file")),
        };
        let offered = match (&self.of_agent, offers.of_agent, files) {
            (OfAgent::One { file, .. }, ..) => {
                format!("the key {}, for which the agent signs", file.display())
            }
            (_, 0, None) => {
                "any key: the agent has none, and no key file could be read: give the driver a \
                          key file, as with --generic-ssh-key"
                    .into()
            }
            (_, 0, Some(files)) => files,
            (_, count, None) => format!("{} of the agent", plural(count, "key")),
            (_, count, Some(files)) => {
                format!("{} of the agent, nor with {files}", plural(count, "key"))
            }
        };
        match offers.held_back {
            0 => offered,
            held_back => format!(
                "{offered}; the server closes the connection after a few keys (MaxAuthTries), {held_back} more were not \
                 offered: use a key file"
            ),
        }
    }
}

impl Offer {
    /// Returns an identifier that distinguishes keys. A certificate differs from the key that it certifies.
    fn id(&self) -> String {
        match self {
            Self::OfAgent(identity) => match &**identity {
                AgentIdentity::Certificate { certificate, .. } => {
                    let key = certificate.public_key().fingerprint(HashAlg::Sha256);
                    format!("certificate {} {key}", certificate.serial())
                }
                AgentIdentity::PublicKey { key, .. } => {
                    key.fingerprint(HashAlg::Sha256).to_string()
                }
            },
            Self::OfFile(_, key) => key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }
}

fn key_of(identity: &AgentIdentity) -> KeyData {
    match identity {
        AgentIdentity::PublicKey { key, .. } => key.key_data().clone(),
        AgentIdentity::Certificate { certificate, .. } => certificate.public_key().clone(),
    }
}

async fn agent_keys(socket: &Path) -> Option<(AgentClient<UnixStream>, Vec<AgentIdentity>)> {
    let listing = async {
        let mut agent = AgentClient::connect_uds(socket).await.ok()?;
        let identities = agent.request_identities().await.ok()?;
        Some((agent, identities))
    };
    timeout(AGENT_LISTS, listing).await.ok().flatten()
}

/// Checks that a private key can be used for a login: it is readable, and either not encrypted or held by the agent.
/// Connects only to the agent.
///
/// # Errors
/// [`KeyError`] names the file.
pub async fn check_private_key(file: &Path, agent: Option<&Path>) -> Result<(), KeyError> {
    match (read_private_key(file), agent) {
        (Err(KeyError::Encrypted { file }), Some(agent)) => {
            let key = public_half(&file)?;
            let identities = agent_keys(agent).await.map(|(_, identities)| identities);
            match identities
                .unwrap_or_default()
                .iter()
                .any(|identity| key_of(identity) == *key.key_data())
            {
                true => Ok(()),
                false => Err(KeyError::Encrypted { file }),
            }
        }
        (read, _) => read.map(drop),
    }
}

async fn offer_key<H: Handler>(
    handle: &mut Handle<H>,
    user: &str,
    key: Arc<PrivateKey>,
) -> Result<bool, russh::Error> {
    let hash = signature_hash(handle, key.algorithm().is_rsa()).await?;
    let key = PrivateKeyWithHashAlg::new(key, hash);
    let result = handle.authenticate_publickey(user, key).await?;
    Ok(result == AuthResult::Success)
}

/// Returns `None` if the agent fails: it does not sign with this key.
async fn offer_agent_key<H: Handler>(
    handle: &mut Handle<H>,
    user: &str,
    agent: &mut AgentClient<UnixStream>,
    identity: AgentIdentity,
) -> Option<bool> {
    let result = match identity {
        AgentIdentity::PublicKey { key, .. } => {
            let hash = signature_hash(handle, key.algorithm().is_rsa())
                .await
                .ok()?;
            handle
                .authenticate_publickey_with(user, key, hash, agent)
                .await
        }
        AgentIdentity::Certificate { certificate, .. } => {
            let rsa = certificate.public_key().algorithm().is_rsa();
            let hash = signature_hash(handle, rsa).await.ok()?;
            handle
                .authenticate_certificate_with(user, certificate, hash, agent)
                .await
        }
    };
    result.ok().map(|result| result == AuthResult::Success)
}

/// Returns the hash for signatures of an RSA key. A server that does not announce its algorithms (RFC 8308) is assumed
/// to support rsa-sha2-256, as all servers do that are still maintained.
async fn signature_hash<H: Handler>(
    handle: &Handle<H>,
    rsa: bool,
) -> Result<Option<HashAlg>, russh::Error> {
    match rsa {
        false => Ok(None),
        true => Ok(handle
            .best_supported_rsa_hash()
            .await?
            .unwrap_or(Some(HashAlg::Sha256))),
    }
}
