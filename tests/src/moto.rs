//! moto, an independent EC2 implementation, and hosts that follow its state.
//!
//! moto has no hosts: nothing answers at its addresses. [`Moto::follow`] reads its instances and starts a host of the
//! lab for each one, at the address that moto assigned.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use ec2_lab::ec2::Cidr;
use ec2_lab::hosts::{HostSpec, Hosts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::flows::Home;

/// moto needs seconds to import; this allows for a machine under load.
const START: Duration = Duration::from_secs(60);
/// The polling interval of its state.
const LOOK: Duration = Duration::from_millis(100);

/// A moto server. Dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    address: SocketAddr,
    _server: Child,
}

/// An instance as described by moto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// `running`, `stopped`…
    pub state: String,
    /// Its private address; none once it is terminated.
    pub address: Option<IpAddr>,
    /// The name of its key pair.
    pub key: String,
}

impl Moto {
    /// Starts the program that `MOTO_SERVER` names, or prints that the test is skipped.
    ///
    /// # Panics
    /// The program does not start.
    pub async fn start(what: &str) -> Option<Self> {
        let Some(program) = std::env::var_os("MOTO_SERVER") else {
            crate::left_out(what, "MOTO_SERVER does not name moto's server");
            return None;
        };
        // It takes a port, not a socket: uses a port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let server = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let answers = async {
            let mut tick = tokio::time::interval(LOOK);
            while TcpStream::connect(address).await.is_err() {
                tick.tick().await;
            }
        };
        let started = tokio::time::timeout(START, answers).await;
        assert!(started.is_ok(), "moto does not listen on {address}");
        Some(Self {
            address,
            _server: server,
        })
    }

    /// Returns the URL of the endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls an action without parameters, and returns the XML.
    ///
    /// # Panics
    /// moto does not answer with status 200.
    pub async fn call(&self, action: &str) -> String {
        self.call_with(action, &[]).await
    }

    /// Calls an action with parameters that need no escaping, and returns the XML.
    ///
    /// # Panics
    /// moto does not answer with status 200.
    pub async fn call_with(&self, action: &str, params: &[(&str, &str)]) -> String {
        let mut body = format!("Action={action}&Version=2016-11-15");
        for (name, value) in params {
            body += &format!("&{name}={value}");
        }
        // moto takes the region and the service from the credential's scope, and verifies nothing.
        let scope = format!("20260101/{}/ec2/aws4_request", crate::flows::REGION);
        let request = format!(
            "POST / HTTP/1.0\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders=host, Signature=0\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split_whitespace().nth(1);
        assert_eq!(status, Some("200"), "{action}: {answer}");
        answer
    }

    /// Creates a VPC with a subnet in the flows' zone; returns the subnet's id.
    ///
    /// # Panics
    /// moto does not answer with status 200.
    pub async fn add_subnet(&self, block: Cidr) -> String {
        let vpc = self
            .call_with("CreateVpc", &[("CidrBlock", &block.to_string())])
            .await;
        let vpc = value(&vpc, "<vpcId>").unwrap_or_default().to_owned();
        let zone = format!("{}a", crate::flows::REGION);
        let params = [
            ("VpcId", vpc.as_str()),
            ("CidrBlock", &block.part(20, 0).to_string()),
            ("AvailabilityZone", &zone),
        ];
        let subnet = self.call_with("CreateSubnet", &params).await;
        value(&subnet, "<subnetId>").unwrap_or_default().to_owned()
    }

    /// Returns all instances.
    pub async fn instances(&self) -> Vec<Instance> {
        let xml = self.call("DescribeInstances").await;
        let instances = xml.split("<instanceId>").skip(1);
        instances
            .map(|text| Instance {
                id: text.split('<').next().unwrap_or_default().to_owned(),
                state: within(text, "<instanceState>")
                    .and_then(|state| within(state, "<name>"))
                    .and_then(|name| name.split('<').next())
                    .unwrap_or_default()
                    .to_owned(),
                address: value(text, "<privateIpAddress>").and_then(|text| text.parse().ok()),
                key: value(text, "<keyName>").unwrap_or_default().to_owned(),
            })
            .collect()
    }

    /// Runs a host for every instance, as long as it is polled. The host's public key is that of the machine in this
    /// home directory that has the key pair's name.
    ///
    /// # Panics
    /// A host cannot be made.
    pub async fn follow(&self, hosts: &dyn Hosts, home: &Home) {
        let mut seen: BTreeMap<String, Instance> = BTreeMap::new();
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            for instance in self.instances().await {
                let before = seen.insert(instance.id.clone(), instance.clone());
                let was_on = before.as_ref().is_some_and(Instance::is_on);
                if was_on == instance.is_on() && before.is_some() {
                    continue;
                }
                match (instance.is_on(), instance.state.as_str()) {
                    (true, _) => {
                        let file: PathBuf = home.machine(&instance.key).join("id_rsa.pub");
                        hosts.boot(instance.host(&file)).await.unwrap();
                    }
                    (false, "terminated" | "shutting-down") => hosts.terminate(&instance.id).await,
                    (false, _) => hosts.stop(&instance.id).await,
                }
            }
        }
    }
}

impl Instance {
    fn is_on(&self) -> bool {
        self.state == "running"
    }

    fn host(&self, public_key: &std::path::Path) -> HostSpec {
        HostSpec {
            instance_id: self.id.clone(),
            address: self.address.unwrap(),
            user: "ubuntu".to_owned(),
            public_key: Some(std::fs::read_to_string(public_key).unwrap()),
            user_data: Vec::new(),
        }
    }
}

/// Returns the text after a tag.
fn within<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    xml.split_once(tag).map(|(_, rest)| rest)
}

/// Returns the text between a tag and the next one.
fn value<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    within(xml, tag)?.split('<').next()
}
