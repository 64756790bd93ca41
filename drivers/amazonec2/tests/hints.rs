//! Hints of errors when AWS refuses a call.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use ec2_lab::ec2::{Denial, Effect, Fault};
use fixture::{AMI, Fixture, REGION};
use machine_driver::DriverError;

fn refusal(action: &str, code: &str, message: &str) -> Fault {
    let (code, message) = (code.to_owned(), message.to_owned());
    Fault::on(
        action,
        Effect::Error {
            code,
            message,
            status: None,
        },
    )
}

/// The error of a create with this fault.
async fn refused(fault: Fault) -> DriverError {
    let fixture = Fixture::new().await;
    fixture.lab.inject(fault.always());
    fixture.create(&mut fixture.machine(&[])).await.unwrap_err()
}

#[tokio::test]
async fn the_hint_follows_from_action_and_text_of_a_refusal() {
    // EC2 API Reference, "Error codes"; EC2 User Guide, "Allowed AMIs".
    let not_mine = format!("Not authorized for images: [{AMI}]");
    let not_validated = "AWS was not able to validate the provided access credentials";
    let unknown = format!("The image id '[{AMI}]' does not exist");
    for (action, code, message, advice) in [
        ("DescribeImages", "AuthFailure", not_mine.as_str(), "shared"),
        ("RunInstances", "AuthFailure", &not_mine, "shared"),
        ("DescribeImages", "AuthFailure", not_validated, REGION),
        (
            "RunInstances",
            "InvalidAMIID.NotFound",
            &unknown,
            "Allowed AMIs",
        ),
        (
            "DescribeImages",
            "InvalidAMIID.NotFound",
            &unknown,
            "Allowed AMIs",
        ),
        (
            "RunInstances",
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
            "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
            "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        ),
        (
            "RunInstances",
            "Client.InvalidKMSKey.InvalidState",
            "The KMS key is disabled",
            "kms:CreateGrant",
        ),
    ] {
        let error = refused(refusal(action, code, message)).await;
        let hint = error.hint.as_deref().unwrap_or_default();
        assert!(hint.contains(advice), "{action} {code}: {error}: {hint}");
        if advice == "shared" {
            assert!(!hint.contains("clock"), "{hint}");
        }
    }
}

#[tokio::test]
async fn only_debug_shows_the_encoded_authorization_message() {
    let fixture = Fixture::new().await;
    fixture.lab.deny(Denial::of("ec2:RunInstances"));
    let error = fixture.create(&mut fixture.machine(&[])).await.unwrap_err();
    let encoded = "Encoded authorization failure message";
    assert!(!error.to_string().contains(encoded), "{error}");
    assert!(!fixture.told.lines().contains(encoded));
    assert!(fixture.told.everything().contains(encoded));
}
