//! Logging in with keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use machine_ops::Cx;
use russh::client::{AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::keys::read_private_key;
use crate::{Credentials, KeyError};

/// How long the agent may take to list its keys. Signing is bounded with the whole login: the
/// agent may ask its owner.
const AGENT_LISTS: Duration = Duration::from_secs(5);

/// The keys at hand, read.
pub(crate) struct Keyring {
    agent: Option<PathBuf>,
    files: Vec<(PathBuf, Arc<PrivateKey>)>,
}

/// How a login went.
pub(crate) enum Login {
    Accepted,
    /// Refused; what was offered.
    Refused(String),
    /// The connection ended.
    HungUp(russh::Error),
}

impl Keyring {
    /// Reads the key files.
    pub(crate) fn read(credentials: &Credentials, cx: &Cx) -> Result<Self, KeyError> {
        let mut files = Vec::new();
        match credentials {
            Credentials::KeyFile(file) => {
                files.push((file.clone(), Arc::new(read_private_key(file)?)));
                Ok(Self { agent: None, files })
            }
            Credentials::AgentThenKeyFiles {
                agent,
                files: names,
            } => {
                for file in names {
                    match read_private_key(file) {
                        Ok(key) => files.push((file.clone(), Arc::new(key))),
                        Err(error) => cx.debug(format!("passed over: {error}")),
                    }
                }
                let agent = agent.clone();
                Ok(Self { agent, files })
            }
        }
    }

    /// Offers one key after the other until one is accepted.
    pub(crate) async fn log_in<H: Handler>(&self, handle: &mut Handle<H>, user: &str) -> Login {
        let mut asked = 0;
        if let Some((mut agent, identities)) = self.agent_keys().await {
            for identity in identities {
                asked += 1;
                match offer_agent_key(handle, user, &mut agent, identity).await {
                    Some(true) => return Login::Accepted,
                    _ if handle.is_closed() => return Login::HungUp(russh::Error::Disconnect),
                    _ => {}
                }
            }
        }
        for (_, key) in &self.files {
            match offer_key(handle, user, key.clone()).await {
                Ok(true) => return Login::Accepted,
                Ok(false) if handle.is_closed() => return Login::HungUp(russh::Error::Disconnect),
                Ok(false) => {}
                Err(error) => return Login::HungUp(error),
            }
        }
        Login::Refused(self.offered(asked))
    }

    async fn agent_keys(&self) -> Option<(AgentClient<UnixStream>, Vec<AgentIdentity>)> {
        let socket = self.agent.as_ref()?;
        let listing = async {
            let mut agent = AgentClient::connect_uds(socket).await.ok()?;
            let identities = agent.request_identities().await.ok()?;
            Some((agent, identities))
        };
        timeout(AGENT_LISTS, listing).await.ok().flatten()
    }

    /// Names what was offered, for the error.
    fn offered(&self, of_agent: usize) -> String {
        let plural = |count, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let files = match self.files.as_slice() {
            [(file, _)] => Some(format!("the key {}", file.display())),
            [] => None,
            files => Some(plural(files.len(), "key file")),
        };
        match (of_agent, files) {
            (0, None) => "any key: the agent has none, and no key file could be read".into(),
            (0, Some(files)) => files,
            (count, None) => format!("{} of the agent", plural(count, "key")),
            (count, Some(files)) => {
                format!("{} of the agent, nor with {files}", plural(count, "key"))
            }
        }
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

/// Returns `None` where the agent itself failed: it does not sign with this key.
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

/// Chooses how an RSA key signs. A server that does not tell (RFC 8308) is taken to know
/// rsa-sha2-256, which all do that are still supported.
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
