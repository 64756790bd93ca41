//! The client's side of a connection: checks the host key, refuses channels, and records what the peer does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use machine_ops::Cx;
use machine_types::{SshEndpoint, printable};
use russh::client::{self, ChannelOpenHandle, DisconnectReason, Handle, Handler, Msg};
use russh::keys::{PublicKey, PublicKeyOrCertificate};

use crate::host_keys::Verdict;

/// A peer that has sent nothing for this long receives a keepalive request. After three more without a response, it
/// counts as dead.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(10);

/// Maximum number of channels that the machine may try to open. Each is rejected: nothing is forwarded, so none is
/// expected.
const UNEXPECTED_CHANNELS: usize = 16;

/// State observed by the protocol task, for the session's owner.
#[derive(Clone)]
pub(crate) struct Observed(Arc<Mutex<Seen>>);

struct Seen {
    verdict: Verdict,
    shown: Option<PublicKey>,
    refused: Option<crate::HostKeyError>,
    goodbye: Option<String>,
    unexpected_channels: usize,
}

impl Observed {
    pub(crate) fn new(verdict: Verdict) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            verdict,
            shown: None,
            refused: None,
            goodbye: None,
            unexpected_channels: 0,
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn refused(&self) -> Option<crate::HostKeyError> {
        self.with(|seen| seen.refused.take())
    }

    pub(crate) fn settle(
        &self,
        endpoint: &SshEndpoint,
        cx: &Cx,
    ) -> Result<(), crate::HostKeyError> {
        self.with(|seen| match &seen.shown {
            Some(key) => seen.verdict.settle(endpoint, key, cx),
            None => Ok(()),
        })
    }

    pub(crate) fn host_key(&self) -> Option<PublicKey> {
        self.with(|seen| seen.shown.clone())
    }

    /// Returns whether the server ended the connection because of too many keys (OpenSSH's message).
    pub(crate) fn had_enough(&self) -> bool {
        let goodbye = self.goodbye();
        goodbye.is_some_and(|goodbye| goodbye.contains("Too many authentication failures"))
    }

    /// Returns the reason for the end of the connection, printable, if it has ended.
    pub(crate) fn goodbye(&self) -> Option<String> {
        self.with(|seen| seen.goodbye.clone())
    }
}

/// Event handler of the protocol task.
pub(crate) struct Client(pub(crate) Observed);

impl Client {
    /// Counts a channel that the machine tries to open. Dropping the library's reply handle rejects the channel.
    ///
    /// # Errors
    /// Ends the connection if there are too many.
    fn unexpected_channel(&self) -> Result<(), russh::Error> {
        let count = self.0.with(|seen| {
            seen.unexpected_channels += 1;
            seen.unexpected_channels
        });
        match count > UNEXPECTED_CHANNELS {
            true => Err(std::io::Error::other("it opens channels to this computer").into()),
            false => Ok(()),
        }
    }
}

/// The connection's handle.
pub(crate) type ClientHandle = Handle<Client>;

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        Ok(self.0.with(|seen| match seen.verdict.on(key) {
            Ok(()) => {
                seen.shown = Some(key.clone());
                true
            }
            Err(error) => {
                seen.refused = Some(error);
                false
            }
        }))
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: russh::Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.unexpected_channel()
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: russh::Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.unexpected_channel()
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: russh::Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.unexpected_channel()
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: russh::Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.unexpected_channel()
    }

    async fn should_accept_unknown_server_channel(
        &mut self,
        _id: russh::ChannelId,
        _channel_type: &str,
    ) -> bool {
        false
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: russh::Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.unexpected_channel()
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: russh::Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.unexpected_channel()
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: russh::Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.unexpected_channel()
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let goodbye = match reason {
            DisconnectReason::ReceivedDisconnect(info) => printable(info.message.as_bytes()),
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                format!(
                    "it has given no sign of life for {} s",
                    KEEPALIVE.as_secs() * 4
                )
            }
            DisconnectReason::Error(error) => printable(error.to_string().as_bytes()),
        };
        self.0.with(|seen| seen.goodbye = Some(goodbye));
        Ok(())
    }
}
