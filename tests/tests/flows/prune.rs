//! `prune`: what no machine of the store owns is found by its tags, and removed only when told to.

#![allow(clippy::unwrap_used)]

use ec2_lab::ec2::{
    ACCESS_KEY, ACCOUNT, Effect, Fault, Gate, KeyState, OTHER_ACCESS_KEY, OTHER_ACCOUNT,
};
use machine_tests::flows::{Flow, endpoint_flags};

/// Loses a machine: its create is killed once EC2 has launched it, and its directory goes away with
/// what was on record.
async fn lose(flow: &Flow, name: &str, more: &[&str]) {
    let gate = Gate::new();
    flow.lab
        .inject(Fault::on("RunInstances", Effect::HoldAnswer(gate.clone())));
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.extend(more.iter().map(|flag| (*flag).to_owned()));
    argv.push(name.to_owned());
    let mut child = flow.home.start(argv);
    gate.arrived(1).await;
    child.kill().await.unwrap();
    gate.open();
    std::fs::remove_dir_all(flow.home.machine(name)).unwrap();
}

/// A store with a machine that lives and one that was lost, both of them long ago.
async fn one_lives_one_is_lost(flags: &[&str]) -> Flow {
    let flow = Flow::start().await;
    flow.create("lives", flags).await.ok();
    lose(&flow, "lost", flags).await;
    flow
}

#[tokio::test]
async fn what_no_machine_owns_is_listed_and_removed_only_by_force() {
    let flow = one_lives_one_is_lost(&[]).await;
    let before = flow.lab.left_over();
    let listed = flow.home.run(["prune", "--older-than", "0s"]).await.ok();
    let table = listed.table();
    let rows: Vec<_> = table
        .iter()
        .filter(|row| row.contains(&"lost"))
        .map(|row| row[0])
        .collect();
    assert_eq!(rows, ["instance", "key"], "{listed}");
    assert!(!listed.out.contains("lives"), "{listed}");
    assert_eq!(flow.lab.left_over(), before, "listing removes nothing");

    let removed = flow
        .home
        .run(["prune", "--force", "--older-than", "0s"])
        .await;
    assert!(removed.ok().out.contains("Removed 2"));
    flow.home.run(["rm", "-y", "lives"]).await.ok();
    flow.assert_clean();
}

#[tokio::test]
async fn a_living_spot_machine_keeps_its_request_its_key_and_its_instance() {
    let flow = Flow::start().await;
    flow.create("spot", &["--amazonec2-request-spot-instance"])
        .await
        .ok();
    let before = flow.lab.left_over();
    let pruned = flow
        .home
        .run(["prune", "--force", "--older-than", "0s"])
        .await
        .ok();
    assert!(pruned.out.contains("Removed 0"), "{pruned}");
    assert_eq!(flow.lab.left_over(), before);
}

#[tokio::test]
async fn what_is_young_is_left_alone() {
    let flow = one_lives_one_is_lost(&[]).await;
    let before = flow.lab.left_over();
    let pruned = flow.home.run(["prune", "--force"]).await.ok();
    assert!(pruned.out.contains("Removed 0"), "{pruned}");
    assert_eq!(flow.lab.left_over(), before);
}

#[tokio::test]
async fn what_bears_no_tags_of_ours_is_never_touched() {
    let flow = one_lives_one_is_lost(&["--amazonec2-no-owner-tags"]).await;
    let before = flow.lab.left_over();
    let pruned = flow
        .home
        .run(["prune", "--force", "--older-than", "0s"])
        .await;
    assert_eq!(flow.lab.left_over(), before, "{pruned}");
}

#[tokio::test]
async fn a_store_without_an_id_or_without_machines_is_refused() {
    let flow = Flow::start().await;
    flow.home
        .run(["prune"])
        .await
        .failed(1, &["has no id", "mounted"]);
    flow.create("m1", &[]).await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.home
        .run(["prune", "--force"])
        .await
        .failed(1, &["neither machines nor tombstones", "mounted"]);
}

#[tokio::test]
async fn a_new_manager_finds_by_a_tag_what_a_lost_one_left() {
    let mut flow = Flow::start().await;
    let tagged = ["--amazonec2-tags=fleet,blue"];
    flow.create("left", &tagged).await.ok();
    flow.create("other", &["--amazonec2-tags=fleet,red"])
        .await
        .ok();
    // Its disk went with it; the new one has a store of its own, with an id and no machines.
    flow.home
        .set("MACHINE_STORAGE_PATH", flow.home.path().join("new"));
    flow.create("mine", &tagged).await.ok();

    let everything = ["prune", "--all-stores", "--force", "--older-than", "0s"];
    flow.home
        .run(everything)
        .await
        .failed(1, &["--tag KEY=VALUE"]);
    let pruned = flow
        .home
        .run(everything.into_iter().chain(["--tag", "fleet=blue"]))
        .await
        .ok();
    assert!(pruned.out.contains("left"), "{pruned}");
    assert!(pruned.out.contains("Removed 2"), "{pruned}");
    for spared in ["mine", "other"] {
        assert!(!pruned.out.contains(spared), "{pruned}");
    }
    assert!(
        pruned.out.contains("key pair"),
        "its key pair goes with it: {pruned}"
    );
    flow.home.run(["rm", "-y", "mine"]).await.ok();

    // Without machines the place is told by a driver's flags.
    let place = endpoint_flags(&flow.lab.endpoint());
    let argv = everything.map(str::to_owned).into_iter().chain(place);
    let argv = argv.chain(["--tag=fleet=red".to_owned()]);
    let pruned = flow.home.run(argv).await.ok();
    assert!(pruned.out.contains("Removed 2"), "{pruned}");
    assert_eq!(flow.lab.left_over(), Vec::<String>::new());
}

/// Has the provider chain find this access key, which no machine's configuration keeps.
fn log_in_as(flow: &mut Flow, access_key: &str) {
    let profile = format!(
        "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = SECRETEXAMPLE\n"
    );
    let file = flow.home.file("credentials", profile);
    flow.home.set("AWS_SHARED_CREDENTIALS_FILE", file);
    flow.home.unset("AWS_ACCESS_KEY_ID");
    flow.home.unset("AWS_SECRET_ACCESS_KEY");
}

#[tokio::test]
async fn the_wrong_account_finds_nothing_and_says_so() {
    let mut flow = Flow::start().await;
    log_in_as(&mut flow, ACCESS_KEY);
    flow.create("lives", &[]).await.ok();
    lose(&flow, "lost", &[]).await;
    let before = flow.lab.left_over();
    log_in_as(&mut flow, OTHER_ACCESS_KEY);
    for argv in [vec!["prune"], vec!["prune", "--force", "--older-than=0s"]] {
        let said = ["whatever is in us-east-1", ACCOUNT, OTHER_ACCOUNT];
        flow.home.run(argv).await.failed(1, &said);
    }
    assert_eq!(flow.lab.left_over(), before);
}

#[tokio::test]
async fn refused_credentials_are_told_and_nothing_is_forgotten() {
    let flow = one_lives_one_is_lost(&[]).await;
    let before = flow.lab.left_over();
    flow.lab.set_key_state(ACCESS_KEY, KeyState::Expired);
    flow.home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .failed(1, &["whatever is in us-east-1"]);
    assert_eq!(flow.lab.left_over(), before);
    flow.lab.heal();
    let pruned = flow
        .home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .ok();
    assert!(pruned.out.contains("Removed 2"), "{pruned}");
}

#[tokio::test]
async fn what_cannot_be_made_out_is_named_and_nothing_is_pruned_around_it() {
    let flow = one_lives_one_is_lost(&[]).await;
    let before = flow.lab.left_over();
    let broken = flow.home.store().join("machines/broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("config.json"), "{").unwrap();
    flow.home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .failed(1, &["broken"]);
    assert_eq!(flow.lab.left_over(), before);

    // One of a driver that this binary does not have carries none of our tags: it is in nobody's way.
    std::fs::write(
        broken.join("config.json"),
        r#"{"ConfigVersion":3,"Name":"broken","DriverName":"google","Driver":{},"HostOptions":{}}"#,
    )
    .unwrap();
    let pruned = flow
        .home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .ok();
    assert!(pruned.out.contains("Removed 2"), "{pruned}");
}

#[tokio::test]
async fn a_tombstone_that_cannot_be_opened_is_named_and_keeps_nobody_from_pruning() {
    let flow = one_lives_one_is_lost(&[]).await;
    let grave = |name: &str, config: &str| {
        let directory = flow.home.store().join(".tombstones").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.json"), config).unwrap();
    };
    grave(
        "elsewhere-0000000000000001",
        r#"{"ConfigVersion":3,"Name":"elsewhere","DriverName":"google","Driver":{},"HostOptions":{}}"#,
    );
    // One of a driver that this binary does not have is nothing that it could settle.
    let listed = flow.home.run(["prune", "--older-than=0s"]).await.ok();
    assert!(listed.out.contains("lost"), "{listed}");

    grave("broken-0000000000000002", "{");
    for argv in [
        vec!["prune", "--older-than=0s"],
        vec!["prune", "--force", "--older-than=0s"],
    ] {
        let pruned = flow.home.run(argv).await.failed(1, &["broken"]);
        assert!(pruned.out.contains("lost"), "{pruned}");
        let told = pruned.err.matches("whatever was made for broken").count();
        assert_eq!(told, 1, "{pruned}");
    }
    assert_eq!(flow.lab.live_instances().len(), 1, "the lost one went");
    assert_eq!(flow.home.tombstones(), 2);
}
