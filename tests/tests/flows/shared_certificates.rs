//! The CA and the client certificate that all machines share, broken or incomplete. Commands report this before they
//! create anything, and do not make it worse.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use machine_tests::flows::{Ended, Flow};

const NONE: [&str; 3] = ["create", "--driver=none", "--url=tcp://127.0.0.1:1"];

fn file(flow: &Flow, name: &str) -> PathBuf {
    flow.home.store().join("certs").join(name)
}

/// Contents of the directory of the shared certificates.
fn contents(flow: &Flow) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(flow.home.store().join("certs")).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

async fn create_none(flow: &Flow, name: &str) -> Ended {
    flow.home.run([&NONE[..], &[name]].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_certificates_are_reported_before_anything_is_created() {
    for (broken, matters_without_ssh) in [
        ("ca.pem", true),
        ("ca-key.pem", false),
        ("cert.pem", true),
        ("key.pem", false),
    ] {
        let flow = Flow::start().await;
        create_none(&flow, "n").await.ok();
        fs::write(file(&flow, broken), "x\n").unwrap();
        let before = contents(&flow);

        let ended = flow.create("m1", &[]).await;
        let ended = ended.failed(1, &["cannot be used"]);
        assert!(ended.err.contains("/certs/"), "{broken}: {ended}");
        assert_eq!(flow.changes(), Vec::<String>::new(), "{broken}: {ended}");
        let ended = create_none(&flow, "n2").await;
        assert_eq!(ended.code, Some(i32::from(matters_without_ssh)), "{ended}");

        assert_eq!(contents(&flow), before, "{broken}");
        flow.home.run(["rm", "-y", "n"]).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_ca_whose_certificate_is_missing_is_kept() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let certificate = fs::read(file(&flow, "ca.pem")).unwrap();
    fs::remove_file(file(&flow, "ca.pem")).unwrap();
    let before = contents(&flow);
    for without in ["", "cert.pem"] {
        let kept = (!without.is_empty()).then(|| fs::read(file(&flow, without)).unwrap());
        if kept.is_some() {
            fs::remove_file(file(&flow, without)).unwrap();
        }
        for ended in [flow.create("m2", &[]).await, create_none(&flow, "n").await] {
            let ended = ended.failed(1, &["certificate authority key already exists", "hint: "]);
            assert!(ended.err.contains("ca-key.pem"), "{ended}");
        }
        if let Some(kept) = kept {
            fs::write(file(&flow, without), kept).unwrap();
        }
    }
    assert_eq!(contents(&flow), before);

    // The remedy of the hint.
    let copy = flow.home.machine("m1").join("ca.pem");
    fs::copy(copy, file(&flow, "ca.pem")).unwrap();
    assert_eq!(fs::read(file(&flow, "ca.pem")).unwrap(), certificate);
    flow.create("m2", &[]).await.ok();
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_key_that_has_signed_nothing_is_replaced() {
    let flow = Flow::start().await;
    fs::create_dir_all(flow.home.store().join("certs")).unwrap();
    fs::write(file(&flow, "ca-key.pem"), "half a key").unwrap();
    flow.create("m1", &[]).await.ok();
    flow.home.run(["config", "m1"]).await.ok();

    // A key that the user names may have signed certificates.
    let own = flow.home.file("own-key.pem", "the user's");
    let missing = flow.home.path().join("own.pem");
    let (own, missing) = (own.to_str().unwrap(), missing.to_str().unwrap());
    let global = ["--tls-ca-cert", missing, "--tls-ca-key", own];
    let ended = flow
        .home
        .run([&global[..], &NONE[..], &["n"]].concat())
        .await;
    ended.failed(1, &["certificate authority key already exists", own]);
    assert_eq!(fs::read_to_string(own).unwrap(), "the user's");
}
