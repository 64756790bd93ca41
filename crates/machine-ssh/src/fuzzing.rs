//! Responses of a hostile host, for the fuzz targets `sftp` and `peer` and for bounded tests.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use machine_ops::{Cx, MemoryJournal};
use machine_types::SshEndpoint;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

use crate::listing::Listing;
use crate::sftp::begin;
use crate::sftp_stream::{OpenFile, Reader, Writer};
use crate::{Credentials, HostKeys, KeyType, connect, generate_key_pair};

/// Longer than any run takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Time to wait for a silent peer.
const SILENCE: Duration = Duration::from_millis(50);

/// Maximum size of the SFTP response in a run.
const LONGEST: usize = 300;

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    let ended = runtime.block_on(async { tokio::time::timeout(TIMEOUT, work).await });
    assert!(ended.is_ok(), "it does not end");
}

/// Answers each SFTP request with a packet of these bytes: its type, length and content. The request ID is correct,
/// because a response with another ID is discarded unread.
pub fn sftp(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    run(async move {
        let (ours, theirs) = duplex(1 << 20);
        let server = tokio::spawn(answer(theirs, bytes));
        let config = Config {
            request_timeout_secs: 1,
            ..Config::default()
        };
        use_files(RawSftpSession::new_with_config(ours, config)).await;
        server.abort();
    });
}

/// Performs each operation of a copy once. Failures are ignored.
async fn use_files(mut files: RawSftpSession) {
    if let Ok(able) = begin(&files).await {
        files.set_limits(able.limits);
    }
    let files = Arc::new(files);
    if let Ok(directory) = files.opendir(".").await {
        let mut listing = Listing::default();
        while let Ok(answer) = files.readdir(directory.handle.as_str()).await {
            let names = answer.files.into_iter().map(|entry| entry.filename);
            if listing.add(names).is_err() {
                break;
            }
        }
    }
    let _ = files.stat("a").await;
    let flags = OpenFlags::READ | OpenFlags::WRITE;
    if let Ok(opened) = files.open("a", flags, FileAttributes::empty()).await {
        let file = OpenFile::new(files.clone(), opened.handle);
        let mut read = Vec::new();
        let _ = Reader::new(file, 100)
            .take(10_000)
            .read_to_end(&mut read)
            .await;
    }
    if let Ok(opened) = files.open("a", flags, FileAttributes::empty()).await {
        let file = OpenFile::new(files.clone(), opened.handle);
        let mut writer = Writer::new(file, 100);
        let _ = writer.write_all(&[0; 1000]).await;
        let _ = writer.shutdown().await;
    }
}

async fn answer(mut stream: DuplexStream, bytes: Vec<u8>) -> std::io::Result<()> {
    let mut bytes = bytes.into_iter();
    loop {
        let length = stream.read_u32().await?;
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await?;
        let (Some(kind), Some(length)) = (bytes.next(), bytes.next()) else {
            // The session has ended.
            return Ok(());
        };
        const KINDS: [u8; 8] = [2, 101, 102, 103, 104, 105, 201, 101];
        let kind = KINDS[usize::from(kind) % KINDS.len()];
        let length = (usize::from(length) * 2).min(LONGEST);
        let mut packet = vec![kind];
        if kind != 2 {
            packet.extend(request.get(1..5).unwrap_or_default());
        }
        packet.extend(bytes.by_ref().take(length));
        stream.write_u32(packet.len() as u32).await?;
        stream.write_all(&packet).await?;
    }
}

/// Connects to a peer that sends these bytes, whatever it receives.
pub fn peer(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    run(async move {
        let (Ok(listener), Ok(pair)) = (
            TcpListener::bind("127.0.0.1:0").await,
            generate_key_pair(KeyType::Ed25519),
        ) else {
            return;
        };
        let Ok(address) = listener.local_addr() else {
            return;
        };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(&bytes).await?;
            std::future::pending::<std::io::Result<()>>().await
        });
        let key =
            std::env::temp_dir().join(format!("fuzz-{}-{}", std::process::id(), address.port()));
        let written = std::fs::write(&key, pair.private.expose());
        let endpoint = SshEndpoint {
            host: "127.0.0.1".to_owned(),
            port: address.port(),
            user: "ubuntu".to_owned(),
            key: None,
        };
        let credentials = Credentials::KeyFile(key.clone());
        let cx = Cx::new(Arc::new(MemoryJournal::default()));
        let connected = connect(&endpoint, &credentials, &HostKeys::AcceptAny, &cx, SILENCE).await;
        let _ = std::fs::remove_file(&key);
        server.abort();
        assert!(
            written.is_err() || connected.is_err(),
            "bytes do not know the keys"
        );
    });
}

#[cfg(test)]
mod tests {
    /// Marsaglia's xorshift64*: the same bytes in every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
        }

        fn bytes(&mut self, length: usize) -> Vec<u8> {
            (0..length).map(|_| self.below(256) as u8).collect()
        }
    }

    #[test]
    fn any_answers_of_sftp_are_read_to_their_end() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        // A version, a handle, and names: so that the bytes after them are parsed.
        let begin = [0, 2, 0, 0, 0, 3, 2, 3, 0, 0, 0, 1, b'h'];
        for round in 0..300 {
            let mut bytes = match round % 3 {
                0 => Vec::new(),
                _ => begin.to_vec(),
            };
            let length = random.below(600);
            bytes.extend(random.bytes(length));
            super::sftp(&bytes);
        }
    }

    #[test]
    fn any_bytes_of_a_peer_are_an_error() {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for round in 0..60 {
            let mut bytes = match round % 4 {
                0 => Vec::new(),
                _ => b"SSH-2.0-x\r\n".to_vec(),
            };
            if round % 4 > 1 {
                // A packet of key exchange, whose lists are the random bytes that follow.
                bytes.extend([0, 0, 1, 4, 10, 20]);
            }
            let length = random.below(400);
            bytes.extend(random.bytes(length));
            super::peer(&bytes);
        }
    }
}
