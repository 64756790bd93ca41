//! Real Debian hosts for the flows, enabled by `LAB_REAL_HOSTS=1`, and a page server for them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use async_trait::async_trait;
use ec2_lab::hosts::{DebianHosts, DebianImage, DebianOptions, HostError, HostSpec, Hosts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Real hosts; each boots the image that is selected at that time.
#[derive(Debug)]
pub struct RealHosts {
    hosts: DebianHosts,
    next: Mutex<DebianImage>,
}

impl RealHosts {
    /// Prepares the hosts, or prints that the test is skipped.
    ///
    /// # Panics
    /// The hosts were requested but cannot be started.
    pub async fn prepare(what: &str) -> Option<Self> {
        Self::prepare_with(what, |options| options).await
    }

    /// Prepares the hosts with other options.
    ///
    /// # Panics
    /// The hosts were requested but cannot be started.
    pub async fn prepare_with(
        what: &str,
        change: impl FnOnce(DebianOptions) -> DebianOptions,
    ) -> Option<Self> {
        let variable = |name| std::env::var_os(name);
        if variable("LAB_REAL_HOSTS").is_none_or(|value| value != "1") {
            crate::left_out(what, "real hosts are for LAB_REAL_HOSTS=1");
            return None;
        }
        let directory = DebianOptions::cache_directory(
            variable("XDG_CACHE_HOME").as_deref(),
            variable("HOME").as_deref(),
        );
        let options = change(DebianOptions::in_directory(directory.unwrap()));
        let hosts = DebianHosts::prepare(options).await;
        let hosts = hosts.unwrap_or_else(|error| panic!("real hosts were asked for: {error:?}"));
        Some(Self {
            hosts,
            next: Mutex::new(DebianImage::WithDocker),
        })
    }

    /// Selects the image for later boots.
    pub fn choose(&self, image: DebianImage) {
        *self.next.lock().unwrap() = image;
    }

    /// Returns this machine's address in the hosts' network.
    pub fn gateway(&self) -> IpAddr {
        self.hosts.gateway()
    }

    /// Runs a line on a host as root, without sshd; returns its output.
    ///
    /// # Panics
    /// The line fails.
    pub async fn look(&self, instance_id: &str, line: &str) -> String {
        let output = self.hosts.exec(instance_id, &["sh", "-ec", line]).await;
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{line}\n{out}{err}");
        out
    }
}

#[async_trait]
impl Hosts for RealHosts {
    async fn boot(&self, host: HostSpec) -> Result<(), HostError> {
        let image = *self.next.lock().unwrap();
        let (instance_id, address) = (host.instance_id.clone(), host.address);
        let booted = self.hosts.boot_image(host, image).await;
        booted.map_err(|error| HostError {
            instance_id,
            address,
            reason: format!("{error:?}"),
        })
    }
    async fn stop(&self, instance_id: &str) {
        self.hosts.stop(instance_id).await;
    }
    async fn reboot(&self, instance_id: &str) {
        self.hosts.reboot(instance_id).await;
    }
    async fn terminate(&self, instance_id: &str) {
        self.hosts.terminate(instance_id).await;
    }
    async fn console(&self, instance_id: &str) -> String {
        self.hosts.console(instance_id).await
    }
}

/// One page, served over HTTP for every path. Dropping it ends the server.
#[derive(Debug)]
pub struct Page {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl Page {
    /// Serves the page on an address of this machine.
    ///
    /// # Panics
    /// The address cannot be bound.
    pub async fn serve(address: IpAddr, body: &'static str) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // One read is sufficient for a request without a body; larger requests get the page too.
                let _ = stream.read(&mut [0; 4096]).await;
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(body.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            address,
            _server: server,
        }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}
