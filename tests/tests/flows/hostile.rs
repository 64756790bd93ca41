//! The table of attacks: the attempts of hostile hosts, endpoints and stores, their effect before the fix, and their
//! effect now. `cargo test -p machine-tests --test flows hostile -- --nocapture` prints it.

use std::process::Command;
use std::time::{Duration, SystemTime};

use ec2_lab::ec2::{ACCESS_KEY, Effect, Fault};
use ec2_lab::hosts::{Attack, HostOptions};
use machine_tests::attack;
use machine_tests::flows::{Flow, REGION};
use machine_tests::sshd::new_key;
use machine_tests::web::Web;
use serde_json::json;

/// A flow with a machine `m1`.
async fn with_machine() -> Flow {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    flow
}

async fn clean(flow: Flow) {
    flow.host().change(|host| host.attack = None);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_opens_no_channels() {
    let flow = with_machine().await;
    let host = flow.host();
    host.change(|host| host.attack = Some(Attack::OpenChannels(7)));
    attack::run(&flow.home, &["ssh", "m1", "true"])
        .await
        .row("host opens one channel of each type", "all open")
        .ok();
    assert_eq!(host.counts().channels_opened, 0);
    host.change(|host| host.attack = Some(Attack::OpenChannels(100_000)));
    attack::run(&flow.home, &["ssh", "m1", "true"])
        .await
        .row("host opens 100,000 channels", "340 MiB")
        .failed(&["opens channels to this computer"]);
    assert_eq!(host.counts().channels_opened, 0);
    clean(flow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_and_files_of_a_host_end() {
    let flow = with_machine().await;
    for (hostile, path, before, said) in [
        (
            Attack::EndlessListing,
            "m1:x",
            "no end, quadratic",
            "more than 100000 entries",
        ),
        (
            Attack::EmptyListing,
            "m1:x",
            "no end",
            "answers without a name",
        ),
        (Attack::DeepTree, "m1:x", "no end", "too many files"),
        (Attack::EndlessFile, "m1:x", "disk full", "it does not end"),
        (
            Attack::Escapes,
            "m1:listed",
            "terminal obeys",
            r"\u{1b}]0;owned",
        ),
        (Attack::Escapes, "m1:x", "terminal obeys", r"\u{1b}]0;owned"),
    ] {
        flow.host().change(|host| host.attack = Some(hostile));
        let copy = format!("{hostile:?}");
        attack::run(&flow.home, &["scp", "-r", path, &copy])
            .await
            .row(&format!("SFTP: {hostile:?}"), before)
            .failed(&[said]);
        let written = flow.home.path().join(copy);
        if let Ok(file) = std::fs::metadata(&written) {
            assert!(file.len() < 100 << 20, "{hostile:?}: {}", file.len());
        }
    }
    clean(flow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_host_key_is_not_pinned() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("host");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "1024", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let flow = Flow::with_hosts(HostOptions {
        host_key: Some(std::fs::read_to_string(&key).unwrap()),
        ..HostOptions::default()
    })
    .await;
    let argv = flow.creating("m1", &[]);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    attack::run(&flow.home, &argv)
        .await
        .row("host key of RSA 1024", "pinned")
        .failed(&["RSA key of 1024 bits", "ssh-keygen -A"]);
    flow.assert_clean();

    new_key(&directory.path().join("good"));
    let good = std::fs::read_to_string(directory.path().join("good")).unwrap();
    let flow = Flow::with_hosts(HostOptions {
        host_key: Some(good),
        ..HostOptions::default()
    })
    .await;
    flow.create("m1", &[]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_its_certificate_on_record_is_not_believed() {
    let flow = with_machine().await;
    let pem = flow.home.machine("m1").join("server.pem");
    std::fs::remove_file(&pem).unwrap();
    for argv in [&["config", "m1"][..], &["env", "m1"], &["version", "m1"]] {
        attack::run(&flow.home, argv)
            .await
            .row(
                &format!("server.pem is missing: {}", argv[0]),
                "any engine of the CA is believed",
            )
            .failed(&["server.pem is missing", "docker-machine provision m1"]);
    }
    let listed = flow.home.run(["ls"]).await.ok();
    assert!(listed.out.contains("server.pem is missing"), "{listed}");
    flow.home.run(["provision", "m1"]).await.ok();
    assert!(pem.is_file());
    flow.home.run(["config", "m1"]).await.ok();
    clean(flow).await;
}

/// Returns a response of `bytes`, consisting of list items that are parsed as instances.
fn flood_of_instances(bytes: usize) -> String {
    let item = "<item/>";
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{}</instancesSet></item></reservationSet>\
         </DescribeInstancesResponse>",
        item.repeat(bytes / item.len())
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_bounded_before_it_is_parsed() {
    let flow = with_machine().await;
    for (what, answer, before, said) in [
        (
            "25 MiB of empty instances",
            flood_of_instances(25 << 20),
            "1.8 GiB",
            "it has more than 12 MiB",
        ),
        (
            "11 MiB of empty instances",
            flood_of_instances(11 << 20),
            "0.8 GiB",
            "it has more items than EC2 sends",
        ),
        (
            "11 MiB of nested elements",
            "<a>".repeat((11 << 20) / 3),
            "105 MiB, 15 s",
            "it has more than 100 levels of elements",
        ),
        (
            "11 MiB of text",
            format!("<a>{}</a>", "x".repeat(11 << 20)),
            "25 MiB",
            "m1",
        ),
    ] {
        let garbled = Effect::Garble(answer);
        flow.lab
            .inject(Fault::on("DescribeInstances", garbled).always());
        let outcome = attack::run(&flow.home, &["status", "m1"]).await;
        let outcome = outcome.row(&format!("EC2 answers {what}"), before);
        if said != "m1" {
            let first = outcome.err.lines().next().unwrap_or_default();
            assert!(first.ends_with(said), "the first line says what: {first}");
            outcome.failed(&["cannot read the answer to DescribeInstances in region us-east-1"]);
        }
        flow.lab.heal();
    }
    clean(flow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_ec2_are_cut_and_obeyed_by_no_terminal() {
    let flow = with_machine().await;
    let ec2 = Web::serve(async |_| {
        let text = format!(
            "no &#x1b;]0;owned&#x7;\u{9b}2J\u{202e} {} end",
            "x".repeat(100_000)
        );
        let body = format!(
            "<Response><Errors><Error><Code>Denied\u{9b}</Code><Message>{text}</Message></Error></Errors>\
             <RequestID>r\u{9b}</RequestID></Response>"
        );
        (400, "Content-Type: text/xml", body)
    })
    .await;
    let file = flow.home.machine("m1").join("config.json");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace(&flow.lab.endpoint(), &ec2.url())).unwrap();
    let outcome = attack::run(&flow.home, &["status", "m1"])
        .await
        .row("EC2's text: escapes, 100,000 characters", "terminal obeys")
        .failed(&[r"\u{9b}2J", r"\u{202e}"]);
    assert!(outcome.err.len() < 5000, "{}", outcome.err.len());
    let whole = attack::run(&flow.home, &["--debug", "status", "m1"]).await;
    assert!(whole.err.contains(" end"), "--debug tells the whole");
    std::fs::write(&file, config).unwrap();
    clean(flow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_queue_holds_up_no_reader() {
    let flow = with_machine().await;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let waiting: Vec<_> = (0..5000)
        .map(|ticket| json!({"ticket": ticket, "seen": now + 50_000}))
        .collect();
    let queue = json!([{
        "access_key": ACCESS_KEY, "region": REGION, "endpoint": flow.lab.endpoint(), "action": "DescribeInstances",
        "bucket": {
            "scale": 0.02, "level": 0.0, "at": now, "unproven": 0.0,
            "window": {"since": now, "was_full": false, "sent": 0.0},
            "correction": null, "waiting": waiting,
        },
    }]);
    let file = flow.home.store().join(".ec2-rate-limit.json");
    for argv in [&["status", "m1"][..], &["ls"], &["doctor"]] {
        std::fs::write(&file, queue.to_string()).unwrap();
        let outcome = attack::run(&flow.home, argv)
            .await
            .row(&format!("planted queue: {}", argv[0]), "10 min")
            .ok();
        let bounds = Duration::from_secs(2)..Duration::from_secs(8);
        assert!(bounds.contains(&outcome.took), "{outcome:?}");
    }
    std::fs::remove_file(&file).unwrap();
    clean(flow).await;
}
