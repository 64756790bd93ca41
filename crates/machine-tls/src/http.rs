//! One GET of HTTP/1.0: one response, no chunks, and the end of the connection ends the body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The maximum size of a response. `/version` of a real engine has 1 KB.
const LIMIT: u64 = 1 << 20;

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The cause of a missing response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the answer is not one of HTTP/1")]
    NotHttp,
    #[error("the answer is longer than {LIMIT} bytes")]
    TooLong,
    #[error("the answer ended early")]
    Torn,
}

/// Sends `GET path` and reads the response.
pub(crate) async fn get<S>(stream: &mut S, path: &str) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: docker\r\nUser-Agent: docker-machine\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    // An engine may close TCP without closing TLS first; the content length detects truncation.
    match stream.take(LIMIT + 1).read_to_end(&mut bytes).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !bytes.is_empty() => {}
        other => {
            other?;
        }
    }
    if bytes.len() as u64 > LIMIT {
        return Err(HttpError::TooLong);
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Answer, HttpError> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or(HttpError::NotHttp)?;
    let (head, body) = bytes.split_at(end);
    let body = body.get(4..).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| HttpError::NotHttp)?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1))
        .filter(|status| status.len() == 3)
        .and_then(|status| status.parse().ok())
        .ok_or(HttpError::NotHttp)?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    if length.is_some_and(|length| length > body.len()) {
        return Err(HttpError::Torn);
    }
    let body = body.get(..length.unwrap_or(body.len())).unwrap_or(body);
    Ok(Answer {
        status,
        body: body.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read() {
        let answer = parse(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}x").unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
        let answer = parse(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
        assert_eq!((answer.status, answer.body.len()), (403, 0));
    }

    #[test]
    fn malformed_responses_are_refused() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 99999 x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
            b"\xff\xfe\r\n\r\n",
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
