//! Keys that AWS refuses, and the keys that replace them. No key appears in any output.

use std::collections::VecDeque;

use ec2_lab::ec2::{ACCESS_KEY, Fault, KeyState};
use machine_tests::flows::Flow;
use machine_tests::keys::{FOUND, SECRET, TOKEN, all_files, change_keys, flow};

/// Creates `m1` with keys that its configuration saves.
async fn create_with_saved_keys(flow: &Flow) {
    let keys = [
        format!("--amazonec2-access-key={ACCESS_KEY}"),
        "--amazonec2-secret-key=SAVEDSECRET".to_owned(),
    ];
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    flow.create("m1", &keys).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_keys_of_the_same_account_replace_refused_saved_keys() {
    let mut flow = flow().await;
    create_with_saved_keys(&flow).await;
    flow.lab.set_key_state(ACCESS_KEY, KeyState::Expired);

    // Without other keys, the commands report the refusal, and nothing is forgotten.
    let home = &flow.home;
    home.run(["stop", "m1"])
        .await
        .failed(1, &["RequestExpired"]);
    home.run(["rm", "-y", "m1"])
        .await
        .failed(1, &["RequestExpired"]);
    assert_eq!(home.directories(), ["m1"]);

    // Keys of another account: the same result.
    flow.home.set("AWS_ACCESS_KEY_ID", "AKIDOTHER");
    flow.home.set("AWS_SECRET_ACCESS_KEY", "x");
    let home = &flow.home;
    home.run(["stop", "m1"])
        .await
        .failed(1, &["RequestExpired"]);
    home.run(["rm", "-y", "m1"])
        .await
        .failed(1, &["RequestExpired"]);
    assert_eq!(flow.lab.live_instances().len(), 1);

    // Keys of the same account: all commands work, with a note.
    flow.home.set("AWS_ACCESS_KEY_ID", FOUND);
    flow.home.set("AWS_SECRET_ACCESS_KEY", SECRET);
    flow.home.set("AWS_SESSION_TOKEN", TOKEN);
    let home = &flow.home;
    let note = "AWS refuses the saved credentials";
    let mut commands = VecDeque::from([
        vec!["status", "m1"],
        vec!["ls"],
        vec!["update-labels", "m1", "--label", "a=b"],
        vec!["stop", "m1"],
        vec!["start", "m1"],
        vec!["restart", "m1"],
        vec!["kill", "m1"],
        vec!["rm", "-y", "m1"],
    ]);
    while let Some(argv) = commands.pop_front() {
        let ended = home.run(&argv).await.ok();
        assert!(ended.to_string().contains(note), "{ended}");
        if argv == ["ls"] {
            assert!(ended.out.contains("Running"), "{ended}");
        }
        if argv[0] != "rm" {
            let config = std::fs::read_to_string(home.machine("m1").join("config.json")).unwrap();
            assert!(
                !config.contains(SECRET) && config.contains("SAVEDSECRET"),
                "{argv:?}"
            );
        }
    }
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_keys_may_be_refused_during_a_command() {
    let mut flow = flow().await;
    create_with_saved_keys(&flow).await;
    flow.home.set("AWS_ACCESS_KEY_ID", FOUND);
    flow.home.set("AWS_SECRET_ACCESS_KEY", SECRET);
    for (command, action) in [
        ("stop", "StopInstances"),
        ("start", "StartInstances"),
        ("restart", "RebootInstances"),
        ("kill", "StopInstances"),
    ] {
        let expired = Fault::error(action, "RequestExpired")
            .when(|call| call.access_key == ACCESS_KEY)
            .always();
        let expired = flow.lab.inject(expired);
        let ended = flow.home.run([command, "m1"]).await.ok();
        let note = "AWS refuses the saved credentials";
        assert!(ended.to_string().contains(note), "{ended}");
        flow.lab.remove_fault(expired);
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn sts_names_the_account_of_a_saved_key_without_a_journal() {
    let mut flow = flow().await;
    flow.home.set("AWS_ACCESS_KEY_ID", FOUND);
    flow.home.set("AWS_SECRET_ACCESS_KEY", SECRET);
    flow.create("m1", &[]).await.ok();
    // The Go binary kept no journal and thus no account.
    std::fs::remove_file(flow.home.machine("m1").join(".journal")).unwrap();
    change_keys(&flow.home, "m1", ACCESS_KEY, "SAVEDSECRET");
    flow.lab.set_key_state(ACCESS_KEY, KeyState::Inactive);
    let home = &flow.home;
    home.run(["stop", "m1"]).await.ok();
    assert_eq!(flow.lab.count("GetAccessKeyInfo"), 1);
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_appears_in_any_output() {
    let mut flow = flow().await;
    flow.home.set("AWS_ACCESS_KEY_ID", FOUND);
    flow.home.set("AWS_SECRET_ACCESS_KEY", SECRET);
    flow.home.set("AWS_SESSION_TOKEN", TOKEN);
    flow.home.set("MACHINE_DEBUG", "true");
    let told = flow.home.path().join("told");
    std::fs::create_dir(&told).unwrap();
    flow.home.set("MACHINE_METRICS_FILE", told.join("metrics"));
    flow.home.set("MACHINE_TRACE", told.join("trace"));
    let mut text = String::new();
    for log in ["", "json"] {
        flow.home.set("MACHINE_LOG", log);
        flow.lab.set_key_state(FOUND, KeyState::Active);
        text += &flow.create("m1", &[]).await.ok().to_string();
        for argv in [
            &["--debug", "status", "m1"][..],
            &["--debug", "ls"],
            &["--debug", "config", "m1"],
            &["--debug", "env", "m1"],
            &["--debug", "ssh", "m1", "env"],
            &["--debug", "stop", "m1"],
            &["--debug", "start", "m1"],
        ] {
            text += &flow.home.run(argv).await.ok().to_string();
        }
        // AWS refuses the keys: errors contain no keys either.
        flow.lab.set_key_state(FOUND, KeyState::Inactive);
        for argv in [
            &["--debug", "stop", "m1"][..],
            &["--debug", "rm", "-y", "m1"],
        ] {
            text += &flow
                .home
                .run(argv)
                .await
                .failed(1, &["AuthFailure"])
                .to_string();
        }
        text += &flow
            .create("m2", &[])
            .await
            .failed(1, &["AuthFailure"])
            .to_string();
        flow.lab.set_key_state(FOUND, KeyState::Active);
        text += &flow.home.run(["rm", "-y", "m1"]).await.ok().to_string();
    }
    assert!(
        text.contains("RunInstances"),
        "no calls in the debug output"
    );
    let kept = all_files(&told);
    assert!(
        kept.contains("RunInstances"),
        "no calls in trace and metrics"
    );
    for never in [FOUND, SECRET, TOKEN] {
        assert!(
            !text.contains(never) && !kept.contains(never),
            "{never} appears in the output"
        );
    }
}
