//! Key pairs, checked with OpenSSH.

use machine_ssh::{
    Credentials, HostKeys, KeyError, KeyType, connect, generate_key_pair, public_key_line,
};

use crate::need_openssh;
use crate::server::{Server, TIMEOUT, cx, keygen, told, tool};

#[tokio::test]
async fn openssh_reads_new_keys_and_accepts_them() {
    need_openssh!();
    let server = Server::started();
    for (kind, name, header, algorithm) in [
        (
            KeyType::default(),
            "new-ed25519",
            "-----BEGIN OPENSSH PRIVATE KEY-----\n",
            "ssh-ed25519 ",
        ),
        (
            KeyType::Rsa { bits: 2048 },
            "new-rsa",
            "-----BEGIN RSA PRIVATE KEY-----\n",
            "ssh-rsa ",
        ),
    ] {
        let pair = generate_key_pair(kind).unwrap();
        assert!(pair.private.expose().starts_with(header));
        assert!(pair.public.starts_with(algorithm) && pair.public.ends_with('\n'));
        assert_eq!(
            pair.public.split(' ').count(),
            2,
            "a comment in {:?}",
            pair.public
        );

        let file = server.path(name);
        std::fs::write(&file, pair.private.expose()).unwrap();
        tool("chmod", &["600", file.to_str().unwrap()]);
        let public = tool("ssh-keygen", &["-y", "-f", file.to_str().unwrap()]);
        assert_eq!(public.trim(), pair.public.trim());
        assert_eq!(public_key_line(&file).unwrap(), pair.public);

        std::fs::write(server.path("authorized"), &pair.public).unwrap();
        let credentials = Credentials::KeyFile(file);
        let session = connect(
            &server.endpoint,
            &credentials,
            &HostKeys::AcceptAny,
            &cx(),
            TIMEOUT,
        )
        .await;
        assert!(session.is_ok(), "{name}: {}", told(&session.err().unwrap()));
    }
    let one = generate_key_pair(KeyType::Ed25519).unwrap();
    let other = generate_key_pair(KeyType::Ed25519).unwrap();
    assert!(one.private != other.private && one.public != other.public);
}

#[test]
fn a_generated_rsa_key_is_valid() {
    need_openssh!();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rsa");
    let pair = generate_key_pair(KeyType::Rsa { bits: 2048 }).unwrap();
    std::fs::write(&file, pair.private.expose()).unwrap();
    let said = tool(
        "openssl",
        &["rsa", "-check", "-noout", "-in", file.to_str().unwrap()],
    );
    assert!(said.contains("RSA key ok"), "{said}");
}

#[test]
fn the_public_half_of_any_key_is_returned() {
    need_openssh!();
    let directory = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("pem", ["-t", "rsa", "-m", "PEM"]),
        ("pkcs8", ["-t", "ecdsa", "-m", "PKCS8"]),
        ("openssh", ["-t", "ed25519", "-C", "a comment"]),
    ] {
        let key = keygen(directory.path(), name, &options);
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let bare: Vec<_> = public.split_whitespace().take(2).collect();
        assert_eq!(
            public_key_line(&key).unwrap(),
            format!("{}\n", bare.join(" "))
        );
    }
    let error = public_key_line(&directory.path().join("none")).unwrap_err();
    assert!(matches!(error, KeyError::Read { .. }), "{error}");
    // Not a regular file: it is not read.
    let error = public_key_line(std::path::Path::new("/dev/zero")).unwrap_err();
    assert!(matches!(error, KeyError::Read { .. }), "{error}");
}

#[test]
fn weak_keys_are_not_generated() {
    for bits in [0, 1024, 2047, 8193, usize::MAX] {
        let error = generate_key_pair(KeyType::Rsa { bits }).err().unwrap();
        assert!(matches!(error, KeyError::Length { .. }), "{error}");
    }
}
