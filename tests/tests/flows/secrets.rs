//! Secrets in the values of options: no output, log, trace or metric shows one, whether the option is accepted or not.

use std::sync::Arc;

use ec2_lab::hosts::HostOptions;
use machine_tests::flows::Flow;
use tokio::sync::Semaphore;

/// The secret of these tests.
const SECRET: &str = "MARKED0SECRET";

/// Number of concurrent creates.
const AT_ONCE: usize = 4;

/// The options of `create` that take a text, from the binary's help.
async fn options(flow: &Flow, driver: &str) -> Vec<String> {
    let help = flow
        .home
        .run(["create", "--driver", driver, "--help"])
        .await;
    let option = regex::Regex::new(r"(?m)^ +(?:-\w, )?--([a-z0-9-]+) <(\w[^>]*)>").unwrap();
    let found = option.captures_iter(&help.out);
    let texts = found.filter(|found| !["NUMBER", "INT"].contains(&&found[2]));
    texts.map(|found| found[1].to_owned()).collect()
}

/// The values that contain the secret.
fn values(option: &str) -> Vec<String> {
    let url = format!("https://user:{SECRET}@127.0.0.1:1/x?sig={SECRET}");
    let named = format!("log-opt=splunk-token={SECRET}");
    let mut values = vec![url, named];
    let is_secret = ["secret", "session-token"];
    if is_secret.iter().any(|word| option.contains(word)) {
        values = vec![SECRET.to_owned()];
    }
    values
}

/// Creates a machine with an option, and returns the output line that contains the secret, if there is one.
async fn told(option: String, value: String, json: bool) -> Option<String> {
    let mut flow = Flow::with_hosts(HostOptions::default()).await;
    let trace = flow.home.path().join("trace");
    let metrics = flow.home.path().join("metrics");
    flow.home.set("MACHINE_TRACE", &trace);
    flow.home.set("MACHINE_METRICS_FILE", &metrics);
    let mut argv = vec!["--debug".to_owned()];
    argv.extend(flow.creating("m1", &["--dry-run", &format!("--{option}={value}")]));
    let mut told = String::new();
    if json {
        flow.home.set("MACHINE_LOG", "json");
    }
    let created = flow.home.run(&argv).await;
    told.push_str(&format!("{}\n{}\n", created.out, created.err));
    if created.code == Some(0) {
        for command in [&["--debug", "ls"][..], &["--debug", "rm", "-y", "m1"]] {
            let ended = flow.home.run(command).await;
            told.push_str(&format!("{}\n{}\n", ended.out, ended.err));
        }
    }
    for file in [trace, metrics] {
        told.push_str(&std::fs::read_to_string(file).unwrap_or_default());
    }
    let line = told.lines().find(|line| line.contains(SECRET))?;
    Some(format!("--{option}={value}: {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_option_tells_a_secret() {
    let flow = Flow::start().await;
    let mut options = options(&flow, "amazonec2").await;
    // A volume type is an enum of EC2's API: the check against the API model counts any other value as a fault.
    options.retain(|option| !["driver", "amazonec2-volume-type"].contains(&&**option));
    assert!(options.len() > 50, "{options:?}");
    for known in ["engine-opt", "engine-registry-mirror", "amazonec2-endpoint"] {
        assert!(options.iter().any(|option| option == known), "{known}");
    }
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tried = Vec::new();
    for option in options {
        for (index, value) in values(&option).into_iter().enumerate() {
            let (turns, option) = (turns.clone(), option.clone());
            tried.push(tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                told(option, value, index == 1).await
            }));
        }
    }
    let mut wrong = Vec::new();
    for one in tried {
        wrong.extend(one.await.unwrap());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
