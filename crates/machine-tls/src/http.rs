//! One question over HTTP/1.0: the answer ends with the connection, so nothing of it needs counting.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest answer that is read: 1 MiB. `/version` is below 2 KiB.
const LONGEST: u64 = 1 << 20;

/// An answer.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Asks for a path.
///
/// # Errors
/// `Err(Ok(reason))` where the answer is not HTTP, `Err(Err(error))` where the connection fails.
pub(crate) async fn get<S>(
    mut stream: S,
    host: &str,
    path: &str,
) -> Result<Answer, Result<String, std::io::Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: docker-machine\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(Err)?;
    stream.flush().await.map_err(Err)?;
    let mut bytes = Vec::new();
    match stream.take(LONGEST).read_to_end(&mut bytes).await {
        Ok(_) => {}
        // A server that hangs up without TLS's goodbye has said all that it had to say.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !bytes.is_empty() => {}
        Err(error) => return Err(Err(error)),
    }
    parse(&bytes).ok_or_else(|| Ok("no HTTP".to_owned()))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let (head, body) = (
        std::str::from_utf8(bytes.get(..end)?).ok()?,
        bytes.get(end + 4..)?,
    );
    let mut words = head.lines().next()?.split(' ');
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    Some(Answer {
        status: words.next()?.parse().ok()?,
        body: body.to_vec(),
    })
}
