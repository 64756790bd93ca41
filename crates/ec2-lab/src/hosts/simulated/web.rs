//! `curl` and `wget` of a simulated host.
//!
//! Owns the pages that a host can fetch: those that a test provides, and HTTP on loopback. No other server is
//! contacted, so that no test reaches the internet by mistake.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::calls::{Answer, Call};
use super::host::Host;
use super::systemd_unit::within;

/// Options with a value in the next word, of both programs.
const WITH_VALUE: &[&str] = &[
    "--connect-timeout",
    "--max-time",
    "-m",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "-H",
    "--header",
    "-A",
    "--user-agent",
    "-x",
    "--proxy",
    "--proto",
    "--cacert",
    "-T",
    "-t",
    "--timeout",
    "--tries",
    "--ciphers",
];

/// Fetches the last URL of the command line.
pub(super) async fn fetch(host: &Arc<Host>, call: &Call) -> Answer {
    let wget = call.program == "wget";
    let (mut url, mut output) = (None, None);
    let mut words = call.args.iter();
    while let Some(word) = words.next() {
        if let Some(name) = word
            .strip_prefix("--output=")
            .or(word.strip_prefix("--output-document="))
        {
            output = Some(name.to_owned());
        } else if word == "--output" || word == "--output-document" {
            output = words.next().cloned();
        } else if WITH_VALUE.contains(&word.as_str()) {
            words.next();
        } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
            // -fsSLo FILE and -qO- alike: the letter for the file ends the word.
            let letter = if wget { 'O' } else { 'o' };
            if let Some((_, rest)) = letters.split_once(letter) {
                output = if rest.is_empty() {
                    words.next().cloned()
                } else {
                    Some(rest.to_owned())
                };
            }
        } else if !word.starts_with('-') {
            url = Some(word.clone());
        }
    }
    let Some(url) = url else {
        return Answer::fails(2, format!("{}: no URL specified", call.program));
    };
    let body = match page(host, &url).await {
        Ok(body) => body,
        Err(failure) => {
            let (curl, others) = failure.statuses();
            let line = format!("{}: ({curl}) {}", call.program, failure.text(&url));
            return Answer::fails(if wget { others } else { curl }, line);
        }
    };
    match output.filter(|name| name != "-") {
        Some(name) => {
            let path = if name.starts_with('/') {
                within(&host.root, &name)
            } else {
                std::path::Path::new(&call.directory).join(&name)
            };
            match fs::write(&path, body) {
                Ok(()) => Answer::default(),
                Err(error) => Answer::fails(23, format!("{}: {name}: {error}", call.program)),
            }
        }
        // wget without -O would write a file; with `-`, and for curl, the output is standard output.
        None => Answer::says(body),
    }
}

enum Failure {
    Resolve,
    Connect,
    Status(u16),
}

impl Failure {
    /// Returns the exit status of curl (its EXIT CODES) and of wget (its Exit Status).
    fn statuses(&self) -> (u8, u8) {
        match self {
            Self::Resolve => (6, 4),
            Self::Connect => (7, 4),
            Self::Status(_) => (22, 8),
        }
    }

    fn text(&self, url: &str) -> String {
        match self {
            Self::Resolve => format!("Could not resolve host: {url}"),
            Self::Connect => format!("Failed to connect: {url}"),
            Self::Status(status) => format!("The requested URL returned error: {status}"),
        }
    }
}

async fn page(host: &Host, url: &str) -> Result<Vec<u8>, Failure> {
    let known = {
        let options = host.options();
        let trimmed = url.trim_end_matches('/');
        options
            .web
            .get(url)
            .or_else(|| options.web.get(trimmed))
            .cloned()
    };
    if let Some(body) = known {
        return Ok(body);
    }
    if let Some(path) = url.strip_prefix("file://") {
        return fs::read(within(&host.root, path)).map_err(|_| Failure::Connect);
    }
    let uri: Uri = url.parse().map_err(|_| Failure::Resolve)?;
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = match name {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        name => name.parse().ok(),
    };
    let address = address
        .filter(IpAddr::is_loopback)
        .ok_or(Failure::Resolve)?;
    if uri.scheme_str() != Some("http") {
        return Err(Failure::Connect);
    }
    let address = SocketAddr::new(address, uri.port_u16().unwrap_or(80));
    get(address, &uri).await
}

async fn get(address: SocketAddr, uri: &Uri) -> Result<Vec<u8>, Failure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|_| Failure::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::Connect)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header("Host", uri.authority().map_or("", |name| name.as_str()))
        .header("User-Agent", "curl/7.88.1")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Failure::Connect)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|_| Failure::Connect)?;
    let status = response.status();
    if !status.is_success() {
        return Err(Failure::Status(status.as_u16()));
    }
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|_| Failure::Connect)?;
    connection.abort();
    Ok(body.to_bytes().to_vec())
}
