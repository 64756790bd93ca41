//! Answers lost after the act: what a call has made is found, or stays on record.

#![allow(clippy::unwrap_used, clippy::panic)]

mod room;

use ec2_lab::ec2::{Denial, Effect, Fault, Gate};
use machine_driver::KeyMaterial;
use room::Room;

#[tokio::test]
async fn a_launch_whose_answer_is_lost_is_one_instance() {
    for effect in [
        Effect::LoseAnswer,
        Effect::ErrorAfterAct {
            code: "InternalError".into(),
        },
        Effect::Garble("<html>proxy</html>".into()),
        Effect::Truncate(200),
    ] {
        let room = Room::new().await;
        // More often than the SDK tries by itself.
        room.lab
            .inject(Fault::on("RunInstances", effect.clone()).times(8));
        let machine = room.created(&[]).await;
        assert_eq!(room.lab.live_instances().len(), 1, "{effect:?}");
        assert_eq!(
            machine.save()["InstanceId"],
            room.lab.live_instances()[0].id.as_str()
        );
        assert!(room.undo(&*machine).await.is_clean());
        assert!(room.lab.clean(), "{effect:?}: {:?}", room.lab.left_over());
    }
}

#[tokio::test]
async fn a_launch_that_is_repeated_when_the_create_is_cancelled_is_no_launch_not_made() {
    let room = Room::new().await;
    room.lab
        .inject(Fault::error("RunInstances", "InvalidKeyPair.NotFound"));
    let answer = Gate::new();
    let held = Fault::on("RunInstances", Effect::HoldAnswer(answer.clone())).after(1);
    room.lab.inject(held);
    let mut machine = room.machine(&[]);
    let cancelled = async {
        answer.arrived(1).await;
        room.cx.cancel.cancel("SIGTERM");
        tokio::task::yield_now().await;
        answer.open();
    };
    let (created, ()) = tokio::join!(room.create(&mut machine), cancelled);
    created.unwrap_err();
    let [instance] = &room.lab.live_instances()[..] else {
        panic!("one instance")
    };
    let open = room.resources();
    assert!(
        open.iter().any(|r| r.id.as_ref() == Some(&instance.id)),
        "{open:?}"
    );
}

#[tokio::test]
async fn a_refusal_says_nothing_about_the_launch_whose_answer_was_lost_before_it() {
    for code in [
        "RequestLimitExceeded",
        "UnauthorizedOperation",
        "ExpiredToken",
        "InvalidKeyPair.NotFound",
    ] {
        let room = Room::new().await;
        room.lab
            .inject(Fault::on("RunInstances", Effect::LoseAnswer));
        room.lab.inject(Fault::error("RunInstances", code).after(1));
        let machine = room.created(&[]).await;
        let [instance] = &room.lab.live_instances()[..] else {
            panic!("one instance: {code}")
        };
        assert_eq!(machine.save()["InstanceId"], instance.id.as_str(), "{code}");
        assert!(room.undo(&*machine).await.is_clean(), "{code}");
        assert!(room.lab.clean(), "{code}: {:?}", room.lab.left_over());
    }
}

#[tokio::test]
async fn a_key_pair_whose_import_may_be_ours_stays_on_record() {
    let room = Room::new().await;
    room.lab
        .inject(Fault::on("ImportKeyPair", Effect::LoseAnswer));
    room.lab.deny(Denial::of("ec2:DescribeKeyPairs"));
    let mut machine = room.machine(&[("retries", "2")]);
    machine.preflight(&room.cx).await.unwrap();
    let public = KeyMaterial {
        public: room::PUBLIC.into(),
    };
    machine.create(&public, &room.cx).await.unwrap_err();
    assert_eq!(room.lab.key_pairs().len(), 1);
    room.lab.heal();
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn a_refusal_says_nothing_about_the_import_whose_answer_was_lost_before_it() {
    for code in [
        "RequestLimitExceeded",
        "UnauthorizedOperation",
        "ExpiredToken",
        "InvalidKeyPair.Duplicate",
    ] {
        let room = Room::new().await;
        room.lab
            .inject(Fault::on("ImportKeyPair", Effect::LoseAnswer));
        room.lab
            .inject(Fault::error("ImportKeyPair", code).after(1));
        let machine = room.created(&[]).await;
        assert_eq!(room.lab.key_pairs().len(), 1, "{code}");
        assert!(room.undo(&*machine).await.is_clean(), "{code}");
        assert!(room.lab.clean(), "{code}: {:?}", room.lab.left_over());
    }
}

#[tokio::test]
async fn an_import_whose_outcome_nobody_tells_stays_on_record() {
    for (imports, looks) in [
        ("UnauthorizedOperation", "UnauthorizedOperation"),
        ("InternalError", "InternalError"),
    ] {
        let room = Room::new().await;
        room.lab
            .inject(Fault::on("ImportKeyPair", Effect::LoseAnswer));
        room.lab
            .inject(Fault::error("ImportKeyPair", imports).after(1).always());
        room.lab
            .inject(Fault::error("DescribeKeyPairs", looks).always());
        let mut machine = room.machine(&[("retries", "0")]);
        room.create(&mut machine).await.unwrap_err();
        assert_eq!(room.lab.key_pairs().len(), 1);
        let open = room.resources();
        let pair = open.iter().find(|r| r.intent.kind == "key-pair");
        assert!(pair.is_some_and(|pair| !pair.made), "{imports}: {open:?}");
        room.lab.heal();
        assert!(room.undo(&*machine).await.is_clean());
        assert!(room.lab.clean(), "{:?}", room.lab.left_over());
    }
}

#[tokio::test]
async fn an_import_that_never_arrived_is_sent_again() {
    let room = Room::new().await;
    room.lab
        .inject(Fault::on("ImportKeyPair", Effect::Drop).times(3));
    let machine = room.created(&[("retries", "0")]).await;
    assert_eq!(room.lab.count("ImportKeyPair"), 4);
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}
