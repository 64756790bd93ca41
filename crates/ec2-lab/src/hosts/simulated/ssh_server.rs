//! sshd of a simulated host.
//!
//! Owns the listener, the connections and the protocol's requests: authentication (only keys in the user's
//! `authorized_keys` under the root prefix), channel requests, and the faults of a request. [`exec`] runs commands,
//! [`pty`](super::pty) provides terminals and [`sftp`] files.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, Sig, SshId};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::disk::{home, may_use_docker};
use super::docker_api;
use super::exec::{self, Control, Job, Work};
use super::host::{Gates, Host, lock};
use super::listening::Listening;
use super::options::{Attack, ExecFault};
use super::pty::Size;
use super::sftp;

/// Binds sshd's address, without retries.
pub(super) fn listen(address: SocketAddr) -> io::Result<Listening> {
    Listening::on(address)
}

/// Accepts connections until it is dropped or its socket closed; ends its connections too.
pub(super) async fn serve(host: Arc<Host>, listener: Listening, gates: Gates) {
    let mut connections = JoinSet::new();
    loop {
        let Some((stream, peer)) = listener.accept().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        lock(&host.counts).ssh_connections += 1;
        let (host, gates) = (Arc::clone(&host), gates.clone());
        connections.spawn(async move {
            // The client notices a broken connection.
            let _ = connection(host, stream, peer, gates).await;
        });
    }
}

async fn connection(
    host: Arc<Host>,
    stream: TcpStream,
    peer: SocketAddr,
    gates: Gates,
) -> Result<(), russh::Error> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    // A second handle, to close the connection from outside.
    let line = Arc::new(stream.try_clone()?);
    let stream = TcpStream::from_std(stream)?;
    if !host.connected(&line) {
        return Ok(());
    }
    let talk = async {
        gates.greets.opened().await;
        let config = Arc::new(config(&host));
        let login = Login {
            host: Arc::clone(&host),
            peer,
            user: String::new(),
            may_use_docker: false,
            line: Arc::clone(&line),
            channels: HashMap::new(),
        };
        russh::server::run_stream(config, stream, login)
            .await?
            .await
    };
    let result = talk.await;
    host.disconnect(&line);
    result
}

fn config(host: &Host) -> Config {
    Config {
        server_id: SshId::Standard("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7".into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // No protection against guessing is needed; tests wait for refusals.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        // OpenSSH's MaxAuthTries.
        max_auth_attempts: 6,
        keys: vec![host.host_key().clone()],
        inactivity_timeout: None,
        // Sufficient for a client's pending messages, so that a channel that waits for its client's next message
        // never blocks the others.
        channel_buffer_size: 4096,
        event_buffer_size: 1024,
        ..Config::default()
    }
}

/// One client's connection.
struct Login {
    host: Arc<Host>,
    peer: SocketAddr,
    user: String,
    /// Whether the user may use Docker's socket: a new group counts from the next login on.
    may_use_docker: bool,
    line: Arc<std::net::TcpStream>,
    channels: HashMap<ChannelId, SessionChannel>,
}

/// A session channel.
struct SessionChannel {
    /// The channel, until a request starts a process on it.
    channel: Option<Channel<Msg>>,
    environment: Vec<(String, String)>,
    terminal: Option<(String, Size)>,
    /// The receiver of the client's messages once a process runs.
    control: Option<mpsc::UnboundedSender<Control>>,
}

impl Login {
    /// Returns whether the user's `authorized_keys` contains the key.
    fn knows(&self, user: &str, key: &PublicKey) -> bool {
        if user.is_empty() || user.contains('/') || user.starts_with('.') {
            return false;
        }
        let file = home(&self.host.root, user).join(".ssh/authorized_keys");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .filter_map(|line| PublicKey::from_openssh(line).ok())
            .any(|known| known.key_data() == key.key_data())
    }

    /// Starts a process on a channel; false if the channel is in use or unknown.
    fn start(&mut self, id: ChannelId, work: Work, session: &Session) -> bool {
        let Some(entry) = self.channels.get_mut(&id) else {
            return false;
        };
        let Some(channel) = entry.channel.take() else {
            return false;
        };
        let (control, orders) = mpsc::unbounded_channel();
        entry.control = Some(control);
        let job = Job {
            host: Arc::clone(&self.host),
            user: self.user.clone(),
            peer: self.peer,
            environment: std::mem::take(&mut entry.environment),
            terminal: entry.terminal.take(),
            work,
            line: Arc::clone(&self.line),
            session: session.handle(),
        };
        let client = session.handle();
        tokio::spawn(async move {
            let attack = job.host.options().attack;
            if let Some(Attack::OpenChannels(count)) = attack {
                open_channels(&job.host, &client, count).await;
            }
            exec::run(job, channel, orders).await;
        });
        true
    }

    fn tell(&self, id: ChannelId, control: Control) {
        if let Some(orders) = self
            .channels
            .get(&id)
            .and_then(|entry| entry.control.as_ref())
        {
            // The process has ended: there is no receiver any more.
            let _ = orders.send(control);
        }
    }
}

/// Opens channels to the client, of each type in turn, until the client ends the connection.
async fn open_channels(host: &Host, client: &russh::server::Handle, count: usize) {
    let mut open = Vec::new();
    for number in 0..count {
        let opened = match number % 7 {
            0 => client.channel_open_session().await,
            1 => client.channel_open_forwarded_tcpip("", 1, "", 1).await,
            2 => client.channel_open_direct_tcpip("", 1, "", 1).await,
            3 => client.channel_open_forwarded_streamlocal("/a").await,
            4 => client.channel_open_direct_streamlocal("/a").await,
            5 => client.channel_open_x11("", 1).await,
            _ => client.channel_open_agent().await,
        };
        match opened {
            Ok(channel) => {
                lock(&host.counts).channels_opened += 1;
                open.push(channel);
            }
            Err(russh::Error::ChannelOpenFailure(_)) => {}
            Err(_) => return,
        }
    }
}

/// Answers a channel request.
fn reply(session: &mut Session, id: ChannelId, granted: bool) -> Result<(), russh::Error> {
    if granted {
        session.channel_success(id)
    } else {
        session.channel_failure(id)
    }
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.knows(user, offer.public_key) {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        if !self.knows(user, key.public_key) {
            return Ok(Auth::reject());
        }
        self.user = user.to_owned();
        self.may_use_docker = may_use_docker(&self.host.root, user);
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let id = channel.id();
        let entry = SessionChannel {
            channel: Some(channel),
            environment: Vec::new(),
            terminal: None,
            control: None,
        };
        self.channels.insert(id, entry);
        reply.accept().await;
        Ok(())
    }

    /// Docker's socket; sshd's AllowStreamLocalForwarding is on by default.
    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let is_docker = matches!(socket_path, "/var/run/docker.sock" | "/run/docker.sock");
        let version = self.host.docker.version().await;
        match version.filter(|_| is_docker && self.may_use_docker) {
            Some(version) => {
                reply.accept().await;
                tokio::spawn(docker_api::http(channel.into_stream(), version));
            }
            None => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Debian's sshd_config: AcceptEnv LANG LC_*.
        let accepted = name == "LANG" || name.starts_with("LC_");
        if let Some(entry) = self.channels.get_mut(&id).filter(|_| accepted) {
            entry.environment.push((name.to_owned(), value.to_owned()));
        }
        reply(session, id, accepted)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _pixels_wide: u32,
        _pixels_high: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let size = Size::new(columns, rows);
        let entry = self
            .channels
            .get_mut(&id)
            .filter(|entry| entry.channel.is_some());
        let granted = entry
            .map(|entry| entry.terminal = Some((term.to_owned(), size)))
            .is_some();
        reply(session, id, granted)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        _pixels_wide: u32,
        _pixels_high: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.tell(id, Control::Resize(Size::new(columns, rows)));
        Ok(())
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let granted = self.start(id, Work::Shell, session);
        reply(session, id, granted)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let number = {
            let execs = &mut lock(&self.host.counts).execs;
            execs.push(String::from_utf8_lossy(command).into_owned());
            execs.len() as u64
        };
        let fault = self.host.options().exec_faults.get(&number).cloned();
        let command = command.to_vec();
        let work = match fault {
            Some(ExecFault::Refuse) => return session.channel_failure(id),
            Some(ExecFault::Hang) => Work::Hang,
            fault => Work::Command {
                command,
                drop_at_end: fault == Some(ExecFault::DropBeforeStatus),
            },
        };
        let granted = self.start(id, work, session);
        reply(session, id, granted)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let entry = self.channels.get_mut(&id).filter(|_| name == "sftp");
        let channel = entry.and_then(|entry| entry.channel.take());
        let granted = channel.is_some();
        reply(session, id, granted)?;
        if let Some(channel) = channel {
            let (root, user) = (self.host.root.clone(), self.user.clone());
            let attack = self.host.options().attack;
            let client = session.handle();
            tokio::spawn(async move {
                let mut stream = channel.into_stream();
                sftp::serve(&mut stream, root, user, attack).await;
                // OpenSSH's scp treats a subsystem without an exit status as a failure. The channel closes when the
                // stream is dropped.
                let _ = client.exit_status_request(id, 0).await;
            });
        }
        Ok(())
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.tell(id, Control::Signal(signal));
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.tell(id, Control::Input(bytes::Bytes::copy_from_slice(data)));
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.tell(id, Control::EndOfInput);
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // This drops the sender of the messages: the process learns that its client has disconnected.
        self.channels.remove(&id);
        Ok(())
    }
}
