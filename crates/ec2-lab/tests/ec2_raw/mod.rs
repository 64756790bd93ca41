//! A raw client of the lab's endpoint that shows details which a client library would hide.

#![allow(dead_code, reason = "each test file uses a different part")]

use std::time::Duration;

use ec2_lab::ec2::{ACCESS_KEY, Lab};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An image of the lab's own catalogue.
pub(crate) const IMAGE: &str = "ami-1e749f67";
/// The parameters of a launch without prerequisites.
pub(crate) const LAUNCH: [(&str, &str); 4] = [
    ("ImageId", IMAGE),
    ("InstanceType", "t3.micro"),
    ("MinCount", "1"),
    ("MaxCount", "1"),
];

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// Returns the texts of all elements of this name.
    pub(crate) fn all(&self, element: &str) -> Vec<&str> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let after = self.body.split(&open).skip(1);
        after.filter_map(|s| s.split(&close).next()).collect()
    }

    /// Returns the text of the first element of this name.
    pub(crate) fn one(&self, element: &str) -> &str {
        self.all(element).first().copied().unwrap_or_default()
    }

    /// Returns the error's code and HTTP status.
    pub(crate) fn error(&self) -> (&str, u16) {
        (self.one("Code"), self.status)
    }
}

/// A caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) address: String,
    pub(crate) access_key: String,
    pub(crate) region: String,
}

impl Caller {
    pub(crate) fn new(lab: &Lab) -> Self {
        Self {
            address: lab.endpoint().trim_start_matches("http://").to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            region: "us-east-1".to_owned(),
        }
    }

    /// Makes a call; `None` if the connection ended without a complete answer.
    pub(crate) async fn try_call(&self, action: &str, params: &[(&str, &str)]) -> Option<Answer> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", "2016-11-15")
            .extend_pairs(params)
            .finish();
        self.post("/", form).await
    }

    /// Makes a call that must be answered.
    pub(crate) async fn call(&self, action: &str, params: &[(&str, &str)]) -> Answer {
        self.try_call(action, params).await.expect("an answer")
    }

    /// Sends a command to the control endpoint.
    pub(crate) async fn control(&self, command: &str, json: &str) -> Answer {
        let path = format!("/_lab/{command}");
        self.post(&path, json.to_owned()).await.expect("an answer")
    }

    /// Launches and returns the instance's id.
    pub(crate) async fn launch(&self) -> String {
        let answer = self.call("RunInstances", &LAUNCH).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.one("instanceId").to_owned()
    }

    /// Describes one instance by id.
    pub(crate) async fn look(&self, id: &str) -> Answer {
        self.call("DescribeInstances", &[("InstanceId.1", id)])
            .await
    }

    async fn post(&self, path: &str, body: String) -> Option<Answer> {
        let stream = TcpStream::connect(&self.address).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .ok()?;
        tokio::spawn(connection);
        let scope = format!(
            "{}/20260101/{}/ec2/aws4_request",
            self.access_key, self.region
        );
        let request = Request::post(path)
            .header("host", &self.address)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, Signature=0"),
            )
            .body(Full::new(bytes::Bytes::from(body)))
            .ok()?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Some(Answer { status, body })
    }
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
