//! SSH keys that the user supplies: their copies in the machine's directory, as with the Go binary.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use machine_tests::flows::Flow;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A key pair in the home directory, under a user-defined name.
async fn own_key(flow: &Flow, private: u32, public: u32) -> PathBuf {
    let line = "ssh-keygen -q -t ed25519 -N '' -C me -f \"$HOME/work_key\"";
    flow.home.shell(line).await.ok();
    let path = flow.home.path().join("work_key");
    fs::set_permissions(&path, Permissions::from_mode(private)).unwrap();
    fs::set_permissions(path.with_extension("pub"), Permissions::from_mode(public)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn amazonec2_copies_the_key_with_the_owners_permissions_only() {
    for (private, public, copied) in [
        (0o600, 0o644, 0o600),
        (0o400, 0o640, 0o400),
        (0o644, 0o600, 0o600),
    ] {
        let flow = Flow::start().await;
        let key = own_key(&flow, private, public).await;
        let flag = format!("--amazonec2-ssh-keypath={}", key.display());
        flow.create("m1", &[&flag]).await.ok();
        let there = |file: &str| flow.home.machine("m1").join(file);
        assert_eq!(
            (mode(&there("id_rsa")), mode(&there("id_rsa.pub"))),
            (copied, public)
        );
        assert_eq!(fs::read(there("id_rsa")).unwrap(), fs::read(&key).unwrap());
        flow.home.run(["rm", "-y", "m1"]).await.ok();
        flow.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generic_copies_the_key_under_its_own_name_and_saves_the_path() {
    let flow = Flow::start().await;
    let key = own_key(&flow, 0o600, 0o644).await;
    let flag = format!("--amazonec2-ssh-keypath={}", key.display());
    flow.create("m1", &[&flag]).await.ok();
    let address = flow.home.run(["ip", "m1"]).await.ok().out;
    let home = &flow.home;
    let argv = [
        "create",
        "--driver=generic",
        &format!("--generic-ip-address={}", address.trim()),
        "--generic-ssh-port=2222",
        "--generic-ssh-user=ubuntu",
        &format!("--generic-ssh-key={}", key.display()),
        "g1",
    ];
    home.run(argv).await.ok();
    let copy = home.machine("g1").join("work_key");
    let saved = home
        .run(["inspect", "g1", "-f", "{{.Driver.SSHKeyPath}}"])
        .await
        .ok();
    assert_eq!(saved.out.trim(), copy.to_str().unwrap());
    assert_eq!(
        (mode(&copy), mode(&copy.with_extension("pub"))),
        (0o600, 0o600)
    );
    assert!(!home.machine("g1").join("id_rsa").exists());
    // From now on, the driver uses the copy.
    fs::remove_file(&key).unwrap();
    assert_eq!(home.run(["ssh", "g1", "hostname"]).await.ok().out, "g1\n");
    home.run(["rm", "-y", "g1"]).await.ok();
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
