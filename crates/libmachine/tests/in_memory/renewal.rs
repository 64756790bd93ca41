//! The shared certificates are created once and renewed in time. The user's own certificates are never replaced.

use std::fs;
use std::time::Duration;

use libmachine::CertificatePaths;

use crate::fixture::{BARE, Fixture};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The validity of a CA.
const VALID: Duration = Duration::from_secs(1080 * 24 * 3600);

fn texts(paths: &CertificatePaths) -> [String; 4] {
    [&paths.ca, &paths.ca_key, &paths.client, &paths.client_key]
        .map(|path| fs::read_to_string(path).unwrap())
}

async fn create(fixture: &Fixture, name: &str) {
    fixture.create_with(name, BARE, &[]).await.unwrap();
}

#[tokio::test]
async fn certificates_are_created_once_and_kept_until_their_last_month() {
    let fixture = Fixture::new();
    create(&fixture, "m1").await;
    let first = texts(&fixture.certificates);
    fixture.advance(VALID - 31 * DAY);
    create(&fixture, "m2").await;
    assert_eq!(texts(&fixture.certificates), first);
}

#[tokio::test]
async fn a_ca_in_its_last_month_is_replaced_and_stays_trusted() {
    let fixture = Fixture::new();
    create(&fixture, "m1").await;
    let [ca, ca_key, client, _] = texts(&fixture.certificates);
    fixture.advance(VALID - 29 * DAY);
    create(&fixture, "m2").await;
    let [new_ca, new_key, new_client, _] = texts(&fixture.certificates);
    assert!(new_ca != ca && new_ca.ends_with(&ca), "{new_ca}");
    assert_ne!((new_key, new_client), (ca_key, client));
    assert!(
        fixture.told().contains("a NEW CA was made"),
        "{}",
        fixture.told()
    );
}

#[tokio::test]
async fn a_ca_that_the_user_supplied_is_never_replaced() {
    let theirs = Fixture::new();
    create(&theirs, "m1").await;
    let mut fixture = Fixture::new();
    fixture.certificates = theirs.certificates.clone();
    let before = texts(&fixture.certificates);
    for age in [VALID - 29 * DAY, 28 * DAY] {
        fixture.advance(age);
        create(&fixture, &format!("m{}", age.as_secs())).await;
    }
    assert_eq!(texts(&fixture.certificates), before);
}
