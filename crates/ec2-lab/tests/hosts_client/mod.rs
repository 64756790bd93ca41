//! An SSH client for the tests of hosts, and keys for it.
#![allow(dead_code, reason = "each test file uses a different part")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ec2_lab::hosts::HostSpec;
use russh::client::{self, Handle};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{ChannelMsg, Sig};

/// A key pair for tests.
pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// Returns an address of loopback that no other test of this machine uses at the same time.
pub(crate) fn address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // 127.64.0.0/10, by process and by test.
    let host = u32::from_be_bytes([0, high, low, 0]).wrapping_add(next) & 0x003f_ffff;
    IpAddr::V4(Ipv4Addr::from(u32::from_be_bytes([127, 64, 0, 0]) | host))
}

/// Returns the data that the endpoint would send for an instance.
pub(crate) fn spec(instance_id: &str) -> HostSpec {
    HostSpec {
        instance_id: instance_id.to_owned(),
        address: address(),
        user: "admin".to_owned(),
        public_key: Some(key(1).public_key().to_openssh().unwrap()),
        user_data: Vec::new(),
    }
}

/// The result of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: Option<u32>,
    pub(crate) signal: Option<String>,
}

impl Output {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Accepts any host key and records it.
#[derive(Default)]
pub(crate) struct Trusting {
    pub(crate) seen: Arc<std::sync::Mutex<Option<PublicKey>>>,
}

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        if let russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } = key {
            *self.seen.lock().unwrap() = Some(key.clone());
        }
        Ok(true)
    }
}

/// An authenticated session.
pub(crate) struct Client {
    pub(crate) session: Handle<Trusting>,
    pub(crate) host_key: PublicKey,
}

/// Connects and logs in; `None` if the key or user is refused.
pub(crate) async fn login(
    address: SocketAddr,
    user: &str,
    key: PrivateKey,
) -> Result<Option<Client>, russh::Error> {
    let trusting = Trusting::default();
    let seen = Arc::clone(&trusting.seen);
    let config = Arc::new(client::Config::default());
    let mut session = client::connect(config, address, trusting).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    if !session.authenticate_publickey(user, key).await?.success() {
        return Ok(None);
    }
    let host_key = seen.lock().unwrap().clone().unwrap();
    Ok(Some(Client { session, host_key }))
}

/// Logs in as the user of the spec with the key of the spec.
pub(crate) async fn connect(spec: &HostSpec, port: u16) -> Client {
    login(SocketAddr::new(spec.address, port), &spec.user, key(1))
        .await
        .unwrap()
        .expect("the key is refused")
}

impl Client {
    /// Runs a command to its end, with that input.
    pub(crate) async fn run(&self, command: &str, input: &[u8]) -> Output {
        self.try_run(command, input).await.unwrap()
    }

    /// Runs a command; the connection may break.
    pub(crate) async fn try_run(
        &self,
        command: &str,
        input: &[u8],
    ) -> Result<Output, russh::Error> {
        let channel = self.session.channel_open_session().await?;
        channel.exec(true, command).await?;
        let (mut answers, words) = channel.split();
        let input = input.to_vec();
        let sending = async move {
            words.data(&input[..]).await?;
            words.eof().await
        };
        let mut output = Output::default();
        let receiving = async {
            while let Some(answer) = answers.wait().await {
                match answer {
                    ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
                    ChannelMsg::ExtendedData { data, ext: 1 } => {
                        output.stderr.extend_from_slice(&data)
                    }
                    ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
                    ChannelMsg::ExitSignal { signal_name, .. } => {
                        output.signal = Some(name(&signal_name))
                    }
                    // The channel stays open, but no command will ever run on it.
                    ChannelMsg::Failure => {
                        output.stderr.extend_from_slice(b"request refused");
                        break;
                    }
                    _ => {}
                }
            }
        };
        // A command that ends without reading leaves the sender waiting for a window.
        let both = async {
            let _ = sending.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = receiving => {}
            () = both => {}
        }
        Ok(output)
    }
}

fn name(signal: &Sig) -> String {
    format!("{signal:?}")
}
