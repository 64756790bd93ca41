//! `prune`: what no machine of the store owns is found by its tags, and removed only when told to.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use ec2_lab::ec2::{
    ACCESS_KEY, ACCOUNT, Effect, Fault, Gate, KeyState, OTHER_ACCESS_KEY, OTHER_ACCOUNT,
};
use machine_tests::flows::{Flow, REGION, endpoint_flags};

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

/// The client token of an instance that the console or Auto Scaling launched: a UUID.
const FOREIGN: &str = "6dea7c8a-d3ee-43d4-a4cc-6ec45d7a1d3e";

/// The instance whose tag `Name` says this.
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
async fn of_a_crowded_account_exactly_the_dead_are_listed_and_removed() {
    let mut flow = one_lives_one_is_lost(&["--amazonec2-tags=team,build"]).await;
    let lab = &flow.lab;
    let (lives, lost) = (
        instance_named(&flow, "lives"),
        instance_named(&flow, "lost"),
    );
    // Somebody's own, and those of an Auto Scaling group.
    lab.launch_like(&lives, FOREIGN, &tags(&[("Name", "production-db")]));
    let group = [("Name", "web"), ("aws:autoscaling:groupName", "web")];
    for _ in 0..2 {
        lab.launch_like(&lives, FOREIGN, &tags(&group));
    }
    for source in [&lives, &lost] {
        // Restored by AWS Backup with its tags, as another machine; and as one that is managed.
        let mut copied = lab.tags(source);
        copied.insert("Name".into(), "payments-db".into());
        lab.launch_like(source, FOREIGN, &copied).unwrap();
        copied.insert("aws:autoscaling:groupName".into(), "workers".into());
        lab.launch_like(source, FOREIGN, &copied).unwrap();
    }
    // Root volumes that were detached: the living one's is its own.
    lab.detach_root_volume(&lives).unwrap();
    let volume = lab.detach_root_volume(&lost).unwrap();
    // Another store, with its living and its dead.
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
    let dead = [
        "instance ".to_owned() + &lost,
        format!("key pair {pair}"),
        "volume ".to_owned() + &volume,
    ];
    assert_eq!(rows, dead, "{listed}");
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

    // A second look finds nothing more.
    let listed = flow.home.run(["prune", "--older-than=0s"]).await.ok();
    assert!(!listed.out.contains("no machine here"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_ignores_filters_has_nothing_removed() {
    let mut flow = one_lives_one_is_lost(&[]).await;
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

    // A machine whose files are broken, and an instance of the same name.
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
    // Where they count, it goes, and nothing besides.
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
    assert_eq!(live.len(), 2, "mine, and the one of build-prod");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_the_one_that_the_launch_named() {
    let flow = one_lives_one_is_lost(&[]).await;
    // Earlier versions took the owner of a shared security group for the account of all that they were about to make.
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
async fn a_volume_is_listed_once_it_has_been_seen_detached_for_long_enough() {
    let flow = one_lives_one_is_lost(&[]).await;
    let lost = instance_named(&flow, "lost");
    flow.lab.detach_root_volume(&lost).unwrap();
    let listed = flow.home.run(["prune"]).await.ok();
    assert!(listed.out.contains("Left alone: 3"), "{listed}");
    let seen = std::fs::read_to_string(flow.home.store().join(".sightings.json")).unwrap();
    assert!(seen.contains("volume vol-"), "{seen}");
    // Three hours ago, as the record says.
    let now: u64 = seen
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .max()
        .unwrap();
    let earlier = seen.replace(&now.to_string(), &(now - 3 * 3_600_000).to_string());
    std::fs::write(flow.home.store().join(".sightings.json"), earlier).unwrap();
    let listed = flow.home.run(["prune"]).await.ok();
    assert!(
        listed.out.contains("volume vol-") && listed.out.contains("3h"),
        "{listed}"
    );
}
