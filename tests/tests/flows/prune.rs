//! `prune`: finds orphaned resources by their tags, and removes them only with `--force`.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use ec2_lab::ec2::{
    ACCESS_KEY, ACCOUNT, Effect, Fault, Gate, KeyState, OTHER_ACCESS_KEY, OTHER_ACCOUNT,
};
use machine_tests::flows::{Flow, REGION, endpoint_flags};

/// Loses a machine: kills its create after EC2 launched the instance, then removes the machine's directory with its
/// records.
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

/// A store with one live and one lost machine.
async fn with_live_and_lost_machine(flags: &[&str]) -> Flow {
    let flow = Flow::start().await;
    flow.create("lives", flags).await.ok();
    lose(&flow, "lost", flags).await;
    flow
}

#[tokio::test]
async fn orphans_are_listed_and_removed_only_with_force() {
    let flow = with_live_and_lost_machine(&[]).await;
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
    assert_eq!(flow.lab.left_over(), before, "listing must remove nothing");

    let removed = flow
        .home
        .run(["prune", "--force", "--older-than", "0s"])
        .await;
    assert!(removed.ok().out.contains("Removed 2"));
    flow.home.run(["rm", "-y", "lives"]).await.ok();
    flow.assert_clean();
}

#[tokio::test]
async fn a_live_spot_machine_keeps_its_request_its_key_and_its_instance() {
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
async fn recent_resources_are_kept() {
    let flow = with_live_and_lost_machine(&[]).await;
    let before = flow.lab.left_over();
    let pruned = flow.home.run(["prune", "--force"]).await.ok();
    assert!(pruned.out.contains("Removed 0"), "{pruned}");
    assert_eq!(flow.lab.left_over(), before);
}

#[tokio::test]
async fn resources_without_owner_tags_are_never_changed() {
    let flow = with_live_and_lost_machine(&["--amazonec2-no-owner-tags"]).await;
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
async fn a_new_manager_finds_the_orphans_of_a_lost_one_by_a_tag() {
    let mut flow = Flow::start().await;
    let tagged = ["--amazonec2-tags=fleet,blue"];
    flow.create("left", &tagged).await.ok();
    flow.create("other", &["--amazonec2-tags=fleet,red"])
        .await
        .ok();
    // Its disk is lost too. The new manager has its own store, with an id and without machines.
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
        "its key pair must be removed too: {pruned}"
    );
    flow.home.run(["rm", "-y", "mine"]).await.ok();

    // Without machines, a driver's flags select the place.
    let place = endpoint_flags(&flow.lab.endpoint());
    let argv = everything.map(str::to_owned).into_iter().chain(place);
    let argv = argv.chain(["--tag=fleet=red".to_owned()]);
    let pruned = flow.home.run(argv).await.ok();
    assert!(pruned.out.contains("Removed 2"), "{pruned}");
    assert_eq!(flow.lab.left_over(), Vec::<String>::new());
}

/// Makes the provider chain supply this access key, which is in no machine's configuration.
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
async fn prune_in_the_wrong_account_is_refused() {
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
async fn refused_credentials_are_reported_and_nothing_is_forgotten() {
    let flow = with_live_and_lost_machine(&[]).await;
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
async fn an_unreadable_machine_is_reported_and_stops_prune() {
    let flow = with_live_and_lost_machine(&[]).await;
    let before = flow.lab.left_over();
    let broken = flow.home.store().join("machines/broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("config.json"), "{").unwrap();
    flow.home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .failed(1, &["broken"]);
    assert_eq!(flow.lab.left_over(), before);

    // A machine of a driver that is not in this binary carries no owner tags. It does not stop prune.
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
async fn an_unreadable_tombstone_is_reported_and_does_not_stop_prune() {
    let flow = with_live_and_lost_machine(&[]).await;
    let tombstone = |name: &str, config: &str| {
        let directory = flow.home.store().join(".tombstones").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.json"), config).unwrap();
    };
    tombstone(
        "elsewhere-0000000000000001",
        r#"{"ConfigVersion":3,"Name":"elsewhere","DriverName":"google","Driver":{},"HostOptions":{}}"#,
    );
    // prune ignores a tombstone of a driver that is not in this binary.
    let listed = flow.home.run(["prune", "--older-than=0s"]).await.ok();
    assert!(listed.out.contains("lost"), "{listed}");

    tombstone("broken-0000000000000002", "{");
    for argv in [
        vec!["prune", "--older-than=0s"],
        vec!["prune", "--force", "--older-than=0s"],
    ] {
        let pruned = flow.home.run(argv).await.failed(1, &["broken"]);
        assert!(pruned.out.contains("lost"), "{pruned}");
        let told = pruned.err.matches("whatever was made for broken").count();
        assert_eq!(told, 1, "{pruned}");
    }
    assert_eq!(
        flow.lab.live_instances().len(),
        1,
        "the lost instance must be gone"
    );
    assert_eq!(flow.home.tombstones(), 2);
}

/// The client token of an instance that the console or Auto Scaling launched: a UUID.
const FOREIGN: &str = "6dea7c8a-d3ee-43d4-a4cc-6ec45d7a1d3e";

/// The instance with this tag `Name`.
fn instance_named(flow: &Flow, name: &str) -> String {
    let mut live = flow.lab.live_instances().into_iter();
    let found = live.find(|instance| {
        let tags = flow.lab.tags(&instance.id);
        tags.get("Name").map(String::as_str) == Some(name)
    });
    found.unwrap().id
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_orphans_of_a_shared_account_are_listed_and_removed() {
    let mut flow = with_live_and_lost_machine(&["--amazonec2-tags=team,build"]).await;
    let lab = &flow.lab;
    let (lives, lost) = (
        instance_named(&flow, "lives"),
        instance_named(&flow, "lost"),
    );
    // An unrelated instance, and those of an Auto Scaling group.
    lab.launch_like(&lives, FOREIGN, &tags(&[("Name", "production-db")]));
    let group = [("Name", "web"), ("aws:autoscaling:groupName", "web")];
    for _ in 0..2 {
        lab.launch_like(&lives, FOREIGN, &tags(&group));
    }
    for source in [&lives, &lost] {
        // Restored by AWS Backup with its tags, as another machine and as a managed one.
        let mut copied = lab.tags(source);
        copied.insert("Name".into(), "payments-db".into());
        lab.launch_like(source, FOREIGN, &copied).unwrap();
        copied.insert("aws:autoscaling:groupName".into(), "workers".into());
        lab.launch_like(source, FOREIGN, &copied).unwrap();
    }
    // Detached root volumes: the live machine's volume belongs to it.
    lab.detach_root_volume(&lives).unwrap();
    let volume = lab.detach_root_volume(&lost).unwrap();
    // Another store, with a live machine and a lost one.
    let own = flow.home.store();
    flow.home
        .set("MACHINE_STORAGE_PATH", flow.home.path().join("other"));
    flow.create("others", &["--amazonec2-tags=team,build"])
        .await
        .ok();
    lose(&flow, "others-lost", &[]).await;
    flow.home.set("MACHINE_STORAGE_PATH", own);

    let before: BTreeSet<String> = flow.lab.left_over().into_iter().collect();
    let listed = flow.home.run(["prune", "--older-than=0s"]).await.ok();
    let table = listed.table();
    let mut rows: Vec<_> = table
        .iter()
        .filter(|row| row.contains(&REGION))
        .map(|row| {
            row.iter()
                .take_while(|word| **word != "in")
                .copied()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    rows.sort_unstable();
    let pairs = flow.lab.key_pairs();
    let pair = &pairs.iter().find(|pair| pair.name == "lost").unwrap().id;
    let orphans = [
        "instance ".to_owned() + &lost,
        format!("key pair {pair}"),
        "volume ".to_owned() + &volume,
    ];
    assert_eq!(rows, orphans, "{listed}");
    for told in ["AGE", "REASON", "no machine here has the ID", "detached"] {
        assert!(listed.out.contains(told), "{told}: {listed}");
    }
    assert!(listed.out.contains("left alone"), "{listed}");
    assert_eq!(before, flow.lab.left_over().into_iter().collect());

    let interfaces = flow.lab.instance(&lost).unwrap().interfaces;
    let removed = flow
        .home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .ok();
    assert!(removed.out.contains("Removed 3"), "{removed}");
    let after: BTreeSet<String> = flow.lab.left_over().into_iter().collect();
    let gone = before.difference(&after).map(String::as_str);
    let expected = |line: &&str| {
        [&lost, &volume, &"key pair lost ".to_owned()]
            .iter()
            .any(|part| line.contains(*part))
            || interfaces.iter().any(|interface| line.contains(interface))
    };
    let (expected, taken): (Vec<&str>, Vec<&str>) = gone.partition(expected);
    assert_eq!(taken, Vec::<&str>::new());
    assert!(expected.len() >= 3, "{expected:?}");
    assert!(after.is_subset(&before), "{after:?}");

    // A second run finds nothing more.
    let listed = flow.home.run(["prune", "--older-than=0s"]).await.ok();
    assert!(!listed.out.contains("no machine here"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_ignores_filters_has_nothing_removed() {
    let mut flow = with_live_and_lost_machine(&[]).await;
    let lives = instance_named(&flow, "lives");
    flow.lab
        .launch_like(&lives, FOREIGN, &tags(&[("Name", "production-db")]));
    let ignores = flow
        .lab
        .inject(Fault::on("Describe*", Effect::Unfiltered).always());
    let before = flow.lab.left_over();
    flow.home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .failed(1, &["whatever is in us-east-1", "cannot rely on"]);
    assert_eq!(flow.lab.left_over(), before);

    // A machine with broken files, and an instance of the same name.
    flow.lab
        .launch_like(&lives, FOREIGN, &tags(&[("Name", "lives")]));
    let before = flow.lab.left_over();
    let machine = flow.home.machine("lives");
    std::fs::write(machine.join("config.json"), "").unwrap();
    std::fs::remove_file(machine.join(".journal")).unwrap();
    flow.home.set("AWS_ENDPOINT", flow.lab.endpoint());
    flow.home.set("AWS_DEFAULT_REGION", REGION);
    flow.home
        .run(["rm", "-y", "lives"])
        .await
        .failed(1, &["whatever was made for lives", "cannot rely on"]);
    assert_eq!(flow.lab.left_over(), before);
    assert!(machine.exists());
    // With working filters, it is removed, and nothing else.
    flow.lab.remove_fault(ignores);
    let count = flow.lab.live_instances().len();
    flow.home.run(["rm", "-y", "lives"]).await.ok();
    assert_eq!(flow.lab.live_instances().len(), count - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_tags_are_literal() {
    let flow = Flow::start().await;
    flow.create("mine", &[]).await.ok();
    let other = format!(
        "--storage-path={}",
        flow.home.path().join("other").display()
    );
    for team in ["build-*", "build-prod", r"a\?b"] {
        let mut argv = vec![other.clone(), "create".to_owned()];
        argv.extend(flow.flags());
        argv.push(format!("--amazonec2-tags=team,{team}"));
        argv.push(format!("m{}", flow.lab.live_instances().len()));
        flow.home.run(argv).await.ok();
    }
    for (team, removed) in [("build-?", 0), ("build-*", 2), (r"a\?b", 2), ("*", 0)] {
        let pruned = flow
            .home
            .run([
                "prune",
                "--all-stores",
                "--force",
                "--older-than=0s",
                &format!("--tag=team={team}"),
            ])
            .await
            .ok();
        assert!(
            pruned.out.contains(&format!("Removed {removed}")),
            "{pruned}"
        );
    }
    let live = flow.lab.live_instances();
    assert_eq!(live.len(), 2, "the user's instance and that of build-prod");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_launch_determines_the_account_on_record() {
    let flow = with_live_and_lost_machine(&[]).await;
    // Earlier versions recorded the owner of a shared security group as the account of every intended resource.
    let file = flow.home.machine("lives").join(".journal");
    let journal = std::fs::read_to_string(&file).unwrap();
    let intents = |line: &str| match line.contains(r#""phase":"intent""#) {
        true => line.replace(ACCOUNT, OTHER_ACCOUNT),
        false => line.to_owned(),
    };
    let shared: Vec<String> = journal.lines().map(intents).collect();
    assert!(
        shared.iter().any(|line| line.contains(OTHER_ACCOUNT)),
        "{journal}"
    );
    std::fs::write(&file, shared.join("\n") + "\n").unwrap();
    let pruned = flow
        .home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .ok();
    assert!(pruned.out.contains("Removed 2"), "{pruned}");
    flow.home.run(["rm", "-y", "lives"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_listed_after_it_has_been_seen_detached_for_two_hours() {
    let flow = with_live_and_lost_machine(&[]).await;
    let lost = instance_named(&flow, "lost");
    flow.lab.detach_root_volume(&lost).unwrap();
    let listed = flow.home.run(["prune"]).await.ok();
    assert!(listed.out.contains("Left alone: 3"), "{listed}");
    let seen = std::fs::read_to_string(flow.home.store().join(".sightings.json")).unwrap();
    assert!(seen.contains("volume vol-"), "{seen}");
    // Moves the recorded time back by three hours.
    // Behind colons only: an ID may contain a larger number.
    let values = seen.split(':').skip(1).map(|value| {
        let digits = value.trim_start().split(|c: char| !c.is_ascii_digit());
        digits.take(1).collect::<String>()
    });
    let now: u64 = values.filter_map(|it| it.parse().ok()).max().unwrap();
    let earlier = seen.replace(&now.to_string(), &(now - 3 * 3_600_000).to_string());
    std::fs::write(flow.home.store().join(".sightings.json"), earlier).unwrap();
    let listed = flow.home.run(["prune"]).await.ok();
    assert!(
        listed.out.contains("volume vol-") && listed.out.contains("3h"),
        "{listed}"
    );
}
