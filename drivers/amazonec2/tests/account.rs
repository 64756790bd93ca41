//! The account of the credentials: EC2's proof of it, and the account on record.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, Cidr, Effect, Fault, Lab, OTHER_ACCOUNT, Rule};
use fixture::fleet::Fleet;
use fixture::{Fixture, REGION};
use machine_ops::{Journal as _, Phase};

/// Returns every account in the journal.
fn on_record(fixture: &Fixture) -> Vec<String> {
    let entries = fixture.journal.entries().unwrap().into_iter();
    let named = entries.filter_map(|entry| match entry.phase {
        Phase::Intent { intent } => intent.scope.get("account").map(str::to_owned),
        Phase::Made { scope, .. } => scope.get("account").map(str::to_owned),
        _ => None,
    });
    named.collect()
}

#[tokio::test]
async fn the_description_of_a_fleets_instance_puts_its_account_on_record() {
    // An access key that this process has not used yet.
    let lab = Lab::builder().access_key(ACCESS_KEY, ACCOUNT);
    let fleet = Fleet::with(lab.access_key("AKIDSECOND", ACCOUNT)).await;
    let lab = &fleet.fixture.lab;
    // No call before the launch returns the account.
    for action in ["DescribeSecurityGroups", "DescribeInstances"] {
        lab.inject(Fault::error(action, "UnauthorizedOperation"));
    }
    let before = on_record(&fleet.fixture).len();
    let mut machine = fleet.machine(&[("access-key", "AKIDSECOND")]);
    machine.preflight(&fleet.fixture.cx).await.unwrap();
    let key = machine_driver::KeyMaterial {
        public: fixture::PUBLIC.into(),
    };
    machine.create(&key, &fleet.fixture.cx).await.unwrap();
    assert_eq!(on_record(&fleet.fixture).len(), before);
    machine.await_address(&fleet.fixture.cx).await.unwrap();
    assert_eq!(on_record(&fleet.fixture)[before..], [ACCOUNT]);
    let open = fleet.fixture.resources();
    let launched = open.iter().rfind(|open| open.intent.kind == "instance");
    let scope = &launched.unwrap().intent.scope;
    assert_eq!(scope.get("account"), Some(ACCOUNT));
}

#[tokio::test]
async fn the_account_is_on_record_before_the_answer_to_a_fleet() {
    let fleet = Fleet::new().await;
    let before = on_record(&fleet.fixture).len();
    let lost = Fault::on("CreateFleet", Effect::Drop).always();
    fleet.fixture.lab.inject(lost);
    let mut machine = fleet.machine(&[("retries", "0")]);
    fleet.fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(on_record(&fleet.fixture)[before..], [ACCOUNT]);
}

#[tokio::test]
async fn shared_resources_of_another_account_do_not_prove_the_account() {
    let fixture = Fixture::with(Lab::builder()).await;
    let (lab, block) = (&fixture.lab, Cidr::parse("10.8.0.0/16").unwrap());
    let vpc = lab.add_vpc(OTHER_ACCOUNT, REGION, block);
    let subnet = lab.add_subnet(OTHER_ACCOUNT, REGION, &vpc, "us-east-1a", block);
    let group = lab.add_security_group(OTHER_ACCOUNT, REGION, &vpc, "central", Vec::<Rule>::new());
    assert!(lab.share_vpc(OTHER_ACCOUNT, REGION, &vpc, ACCOUNT));
    assert!(lab.share_security_group(OTHER_ACCOUNT, REGION, &group, ACCOUNT));
    for group in ["central", group.as_str()] {
        let flags = [
            ("vpc-id", vpc.as_str()),
            ("subnet-id", &subnet),
            ("security-group", group),
            ("security-group-readonly", "true"),
        ];
        let machine = fixture.created(&flags).await;
        let named = on_record(&fixture);
        assert!(
            !named.is_empty() && named.iter().all(|own| own == ACCOUNT),
            "{group}: {named:?}"
        );
        assert!(fixture.undo(&*machine).await.is_clean());
    }
}
