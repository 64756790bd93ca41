//! Hostile answers of EC2 or of a system between: they cause no panic, no excessive memory use, and no forgotten
//! machine.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ec2_lab::ec2::{Effect, Fault};
use machine_tests::flows::Flow;
use machine_tests::web::Web;
use machine_tests::{attack, tell};

/// The limit of a run's mapped memory: several times its need, and far less than the size of the answers here.
const MEMORY_KIB: u64 = 1024 * 1024;

/// The largest answer: more than the memory limit of a run.
const HUGE: u64 = 4 << 30;

/// The hostile answers.
fn hostile_answers() -> [Effect; 6] {
    [
        Effect::Huge(HUGE),
        Effect::Garble(String::new()),
        Effect::Garble("<html><body>Sign in to the network</body></html>".into()),
        Effect::Garble("\u{1b}]0;owned\u{7}\u{1b}[2J".into()),
        Effect::Garble("<a>".repeat(100_000)),
        Effect::Truncate(120),
    ]
}

#[tokio::test]
async fn no_answer_to_a_read_crashes_a_command() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let binary = machine_tests::binary();
    for effect in hostile_answers() {
        flow.lab
            .inject(Fault::on("DescribeInstances", effect.clone()).always());
        let line = format!("ulimit -v {MEMORY_KIB}; {} ls", binary.display());
        let listed = flow.home.shell(&line).await;
        assert!(!listed.err.contains("this is a bug"), "{listed}");
        assert_eq!(listed.code, Some(0), "{effect:?}: {listed}");
        assert!(listed.out.contains("m1"), "{effect:?}: {listed}");
        let said = format!("{}{}", listed.out, listed.err);
        assert!(!said.contains('\u{1b}'), "{effect:?}: {said:?}");
        // A machine that answers is reachable, even if EC2's answers are invalid.
        flow.home.run(["config", "m1"]).await.ok();
        flow.lab.heal();
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test]
async fn no_answer_to_a_termination_forgets_a_machine() {
    let flow = Flow::start().await;
    for effect in hostile_answers() {
        flow.create("m1", &[]).await.ok();
        flow.lab
            .inject(Fault::on("TerminateInstances", effect).always());
        let line = format!(
            "ulimit -v {MEMORY_KIB}; {} rm -y m1",
            machine_tests::binary().display()
        );
        let removed = flow.home.shell(&line).await;
        assert!(!removed.err.contains("this is a bug"), "{removed}");
        flow.lab.heal();
        // EC2 has terminated the instance each time. Whatever rm made of the answer, a second rm finds it gone.
        if flow.home.machine("m1").exists() {
            flow.home.run(["rm", "-y", "m1"]).await.ok();
        }
        flow.assert_clean();
    }
}

#[tokio::test]
async fn an_answer_that_confirms_no_removal_forgets_no_machine() {
    let flow = Flow::start().await;
    let ending = |id: &str, state: &str| {
        format!(
            "<TerminateInstancesResponse><instancesSet><item><instanceId>{id}</instanceId><currentState>\
             <name>{state}</name></currentState></item></instancesSet></TerminateInstancesResponse>"
        )
    };
    let refused = "<DeleteKeyPairResponse><return>false</return></DeleteKeyPairResponse>";
    for lie in 0..5 {
        flow.create("m1", &[]).await.ok();
        let id = flow.lab.live_instances().remove(0).id;
        let (action, body) = match lie {
            0 => (
                "TerminateInstances",
                ending("i-0123456789abcdef0", "shutting-down"),
            ),
            1 => ("TerminateInstances", ending(&id, "running")),
            2 => (
                "TerminateInstances",
                "<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>".into(),
            ),
            3 => ("TerminateInstances", "<TerminateInstancesResponse>".into()),
            _ => ("DeleteKeyPair", refused.to_owned()),
        };
        flow.lab
            .inject(Fault::on(action, Effect::Garble(body.clone())).always());
        let removed = flow.home.run(["rm", "-y", "m1"]).await;
        removed.failed(1, &[action]);
        assert!(flow.home.machine("m1").exists(), "{body}");
        flow.lab.heal();
        flow.home.run(["rm", "-y", "m1"]).await.ok();
        flow.assert_clean();
    }
}

#[tokio::test]
async fn a_listing_that_breaks_off_or_has_a_huge_token_is_no_listing() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let token = "a".repeat(20 << 10);
    for (body, said) in [
        (
            "<DescribeInstancesResponse><reservationSet>".to_owned(),
            "it breaks off",
        ),
        (
            format!(
                "<DescribeInstancesResponse><reservationSet/><nextToken>{token}</nextToken></DescribeInstancesResponse>"
            ),
            "a token of more than 16 KiB",
        ),
    ] {
        flow.lab
            .inject(Fault::on("DescribeInstances", Effect::Garble(body)).always());
        flow.home.run(["status", "m1"]).await.failed(1, &[said]);
        let listed = flow.home.run(["ls"]).await.ok();
        assert!(listed.out.contains(said), "{listed}");
        assert!(!listed.out.contains("docker-machine rm"), "{listed}");
        flow.lab.heal();
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

/// The time limit for an endless listing.
const LISTING: Duration = Duration::from_secs(60);

/// An EC2 with an endless listing of instances. Each page has this number of instances and this amount of text, and the
/// token of another page. After `cycle` pages, the tokens repeat.
async fn endless(instances: usize, text: usize, cycle: usize) -> Web {
    let (page, text) = (Arc::new(AtomicUsize::new(0)), "x".repeat(text));
    Web::serve(move |_| {
        let page = page.fetch_add(1, Ordering::Relaxed) % cycle;
        let item = format!("<item><instanceId>i-0{page:08x}</instanceId></item>");
        let body = format!(
            r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>{text}</requestId>
            <reservationSet><item><ownerId>123456789012</ownerId><instancesSet>{}</instancesSet></item></reservationSet>
            <nextToken>page-{page}</nextToken></DescribeInstancesResponse>"#,
            item.repeat(instances)
        );
        async move { (200, "Content-Type: text/xml", body) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_listing_is_an_error_within_limits() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let file = flow.home.machine("m1").join("config.json");
    let config = std::fs::read_to_string(&file).unwrap();
    for (what, instances, text, cycle, said) in [
        ("many instances", 1000, 0, usize::MAX, "items"),
        ("empty pages", 0, 0, usize::MAX, "pages"),
        ("large pages", 1, 1 << 20, usize::MAX, "MiB"),
        ("repeated pages", 1, 0, 3, "the same page again"),
    ] {
        let ec2 = endless(instances, text, cycle).await;
        std::fs::write(&file, config.replace(&flow.lab.endpoint(), &ec2.url())).unwrap();
        let asked = flow.home.run(["status", "m1"]).await;
        assert!(asked.took < LISTING, "{what}: {asked}");
        asked.failed(1, &["does not come to an end", said]);
        tell(&format!("{what}: {} pages", ec2.requests().len()));
        for argv in [&["status", "m1"][..], &["ls"]] {
            attack::run(&flow.home, argv)
                .await
                .row(&format!("EC2 lists {what}: {}", argv[0]), "2.5 GiB in 8 s");
        }
    }
    std::fs::write(&file, config).unwrap();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
