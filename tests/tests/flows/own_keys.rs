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

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_is_derived_if_its_file_is_missing() {
    let flow = Flow::start().await;
    let key = own_key(&flow, 0o600, 0o644).await;
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::remove_file(key.with_extension("pub")).unwrap();
    let flag = format!("--amazonec2-ssh-keypath={}", key.display());
    flow.create("m1", &[&flag]).await.ok();
    assert_eq!(
        flow.home.run(["ssh", "m1", "hostname"]).await.ok().out,
        "m1\n"
    );
    let derived = fs::read_to_string(flow.home.machine("m1").join("id_rsa.pub")).unwrap();
    assert_eq!(derived.trim(), public.trim().trim_end_matches(" me"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_private_key_is_refused_before_anything_is_created() {
    let flow = Flow::start().await;
    let key = own_key(&flow, 0o600, 0o644).await;
    let (folder, public) = (flow.home.path().display(), key.with_extension("pub"));
    let meant = format!("is a public key: give the private key, {}", key.display());
    for (path, by_ec2, by_generic) in [
        (
            format!("{folder}"),
            "Is a directory",
            "is not a regular file",
        ),
        (
            format!("{folder}/none"),
            "No such file or directory",
            "SSH key does not exist",
        ),
        (public.display().to_string(), meant.as_str(), meant.as_str()),
    ] {
        let ec2 = format!("--amazonec2-ssh-keypath={path}");
        let generic = format!("--generic-ssh-key={path}");
        let argv = [
            "create",
            "-d=generic",
            "--generic-ip-address=127.0.0.1",
            &generic,
            "m1",
        ];
        for (ended, said) in [
            (flow.create("m1", &[&ec2]).await, by_ec2),
            (flow.home.run(argv).await, by_generic),
        ] {
            assert!(
                ended.code != Some(0) && ended.err.contains(said),
                "{said}: {ended}"
            );
            assert!(!flow.home.machine("m1").exists(), "{ended}");
        }
    }
    assert_eq!(flow.changes(), Vec::<String>::new());
}
