//! The interactive shell.

use machine_ssh::{Command, Pty, WindowSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use crate::need_openssh;
use crate::server::{Server, TIMEOUT, cx};

/// The output of the terminal.
struct Screen {
    from: DuplexStream,
    seen: String,
}

impl Screen {
    /// Reads until the text appears, then discards it and everything before it.
    async fn expect(&mut self, wanted: &str) {
        let mut chunk = [0; 1024];
        loop {
            if let Some(place) = self.seen.find(wanted) {
                self.seen.drain(..place + wanted.len());
                return;
            }
            let length = self.from.read(&mut chunk).await.unwrap();
            assert!(length > 0, "{wanted:?} is not in {:?}", self.seen);
            let text = String::from_utf8_lossy(&chunk[..length]);
            self.seen.push_str(&text);
        }
    }
}

#[tokio::test]
async fn a_terminal_has_a_type_a_size_and_a_status() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let cx = cx();
    let (mut keyboard, stdin) = tokio::io::duplex(1024);
    let (stdout, from) = tokio::io::duplex(64 << 10);
    let mut screen = Screen {
        from,
        seen: String::new(),
    };
    let (window, resizes) = mpsc::channel(4);
    let pty = Pty {
        term: "vt220".into(),
        size: WindowSize {
            columns: 97,
            rows: 31,
        },
    };
    let command = Command::login_shell();
    let shell = session.on_terminal(&pty, &command, stdin, stdout, resizes, &cx);
    let person = async {
        // The quotes distinguish the terminal's echo from the output.
        keyboard
            .write_all(b"echo \"$TERM\"'-term'; stty size\n")
            .await
            .unwrap();
        screen.expect("vt220-term").await;
        screen.expect("31 97").await;
        window
            .send(WindowSize {
                columns: 120,
                rows: 50,
            })
            .await
            .unwrap();
        keyboard
            .write_all(b"until stty size | grep '50 120'; do :; done\n")
            .await
            .unwrap();
        screen.expect("50 120").await;
        // Control-C is sent to the remote side as a byte.
        keyboard
            .write_all(b"sleep 600; echo \"still\"-here\n")
            .await
            .unwrap();
        screen.expect("sleep 600").await;
        keyboard.write_all(b"\x03").await.unwrap();
        keyboard.write_all(b"\nexit 23\n").await.unwrap();
        let mut rest = Vec::new();
        screen.from.read_to_end(&mut rest).await.unwrap();
    };
    let both = async { tokio::join!(shell, person) };
    let (status, ()) = tokio::time::timeout(TIMEOUT, both).await.unwrap();
    assert_eq!(status.unwrap().code(), Some(23));
}
