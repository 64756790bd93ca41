//! The injectable faults, from a caller's point of view.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test helpers may panic"
)]

mod ec2_raw;

use ec2_lab::ec2::{
    ACCESS_KEY, Blindness, Denial, Effect, Fault, Gate, InstanceState, KeyState, Kind, Lab, Market,
    OTHER_ACCESS_KEY, Shortage,
};
use ec2_raw::{Caller, LAUNCH, seconds};

async fn lab() -> (Lab, Caller) {
    let lab = Lab::builder().start().await.unwrap();
    let caller = Caller::new(&lab);
    (lab, caller)
}

#[tokio::test]
async fn an_error_on_the_nth_call_has_no_effect() {
    let (lab, caller) = lab().await;
    let fault = lab.inject(Fault::error("RunInstances", "InternalError").after(1));
    caller.launch().await;
    let refused = caller.call("RunInstances", &LAUNCH).await;
    assert_eq!(refused.error(), ("InternalError", 500));
    caller.launch().await;
    assert_eq!((lab.hits(fault), lab.instances().len()), (1, 2));
    let acted: Vec<bool> = lab.calls().iter().map(|c| c.acted).collect();
    assert_eq!(acted, [true, false, true]);
}

#[tokio::test]
async fn a_fault_selects_calls_by_parameter_and_predicate() {
    let (lab, caller) = lab().await;
    let fault = Fault::error("Describe*", "Unavailable").always();
    lab.inject(
        fault
            .with_param("KeyName.1", "m*")
            .when(|c| c.region == "us-east-1"),
    );
    let ask = [("KeyName.1", "m1")];
    assert_eq!(
        caller.call("DescribeKeyPairs", &ask).await.error(),
        ("Unavailable", 503)
    );
    assert_eq!(caller.call("DescribeKeyPairs", &[]).await.status, 200);
    let elsewhere = Caller {
        region: "eu-west-1".to_owned(),
        ..caller
    };
    let unknown = elsewhere.call("DescribeKeyPairs", &ask).await;
    assert_eq!(unknown.error(), ("InvalidKeyPair.NotFound", 400));
}

#[tokio::test]
async fn a_call_delivered_twice_gets_the_second_answer() {
    let (lab, caller) = lab().await;
    lab.inject(Fault::on("*", Effect::Twice).times(2));
    let group = [("GroupName", "twice"), ("GroupDescription", "d")];
    let answer = caller.call("CreateSecurityGroup", &group).await;
    assert_eq!(answer.error().0, "InvalidGroup.Duplicate");
    caller.call("RunInstances", &LAUNCH).await;
    assert_eq!((lab.instances().len(), lab.count("RunInstances")), (2, 1));
}

#[tokio::test]
async fn a_lost_answer_was_executed_and_a_dropped_call_was_not() {
    let (lab, caller) = lab().await;
    lab.inject(Fault::on("RunInstances", Effect::LoseAnswer));
    lab.inject(Fault::on("RunInstances", Effect::Drop).after(1));
    assert!(caller.try_call("RunInstances", &LAUNCH).await.is_none());
    assert_eq!(lab.instances().len(), 1);
    assert!(caller.try_call("RunInstances", &LAUNCH).await.is_none());
    assert_eq!(lab.instances().len(), 1);
    let log: Vec<_> = lab.calls().iter().map(|c| (c.acted, c.status)).collect();
    assert_eq!(log, [(true, None), (false, None)]);
}

#[tokio::test]
async fn an_executed_call_can_return_an_error_or_garbage() {
    let (lab, caller) = lab().await;
    let code = "InternalError".to_owned();
    for effect in [
        Effect::ErrorAfterAct { code },
        Effect::Garble("<html>".to_owned()),
        Effect::Huge(1 << 20),
        Effect::Truncate(40),
    ] {
        lab.inject(Fault::on("RunInstances", effect));
        let before = lab.instances().len();
        let answer = caller.try_call("RunInstances", &LAUNCH).await;
        assert_eq!(lab.instances().len(), before + 1);
        match before {
            0 => assert_eq!(answer.unwrap().error(), ("InternalError", 500)),
            1 => assert_eq!(answer.unwrap().body, "<html>"),
            2 => assert!(answer.unwrap().body.len() > 1 << 20),
            _ => assert!(answer.is_none()),
        }
        lab.heal();
    }
}

#[tokio::test]
async fn a_held_call_executes_when_the_gate_opens_even_without_its_caller() {
    let (lab, caller) = lab().await;
    let gate = lab.hold("RunInstances");
    let calling = tokio::spawn(async move { caller.try_call("RunInstances", &LAUNCH).await });
    gate.arrived(1).await;
    assert_eq!(lab.instances().len(), 0);
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    gate.open();
    lab.until(|lab| lab.instances().len() == 1).await;
}

#[tokio::test]
async fn a_held_answer_follows_the_execution() {
    let (lab, caller) = lab().await;
    let gate = Gate::new();
    lab.inject(Fault::on("RunInstances", Effect::HoldAnswer(gate.clone())));
    let calling = tokio::spawn(async move { caller.launch().await });
    gate.arrived(1).await;
    assert_eq!(lab.instances().len(), 1);
    gate.open();
    assert_eq!(calling.await.unwrap(), lab.instances()[0].id);
}

#[tokio::test]
async fn shortages_apply_to_their_type_zone_and_market() {
    let (lab, caller) = lab().await;
    lab.shortage(
        Shortage::new("InsufficientInstanceCapacity")
            .of_type("t3.micro")
            .in_zone("us-east-1a")
            .on(Market::OnDemand),
    );
    let refused = caller.call("RunInstances", &LAUNCH).await;
    assert_eq!(refused.error(), ("InsufficientInstanceCapacity", 500));
    for other in [
        ("Placement.AvailabilityZone", "us-east-1b"),
        ("InstanceMarketOptions.MarketType", "spot"),
    ] {
        let params = [LAUNCH.as_slice(), &[other]].concat();
        assert_eq!(caller.call("RunInstances", &params).await.status, 200);
    }
}

#[tokio::test]
async fn a_late_shortage_ends_a_pending_instance_with_its_reason() {
    let (lab, caller) = lab().await;
    lab.shortage(
        Shortage::new("InsufficientInstanceCapacity")
            .after_launch()
            .times(1),
    );
    let id = caller.launch().await;
    let answer = caller.look(&id).await;
    assert_eq!(answer.one("name"), "terminated");
    let reason = answer.one("stateReason");
    assert!(
        reason.contains("<code>Server.InsufficientInstanceCapacity</code>"),
        "{reason}"
    );
    assert!(lab.clean(), "{:?}", lab.left_over());
    let next = caller.launch().await;
    assert_eq!(caller.look(&next).await.one("name"), "running");
}

#[tokio::test]
async fn denials_name_the_action_and_carry_an_encoded_message() {
    let (lab, caller) = lab().await;
    lab.deny(
        Denial::of("ec2:CreateTags")
            .on_resource("volume")
            .with_tag_key("owner*"),
    );
    let tagged = |kind, key| {
        let spec = [
            ("TagSpecification.1.ResourceType", kind),
            ("TagSpecification.1.Tag.1.Key", key),
            ("TagSpecification.1.Tag.1.Value", "x"),
        ];
        [LAUNCH.as_slice(), &spec].concat()
    };
    let refused = caller
        .call("RunInstances", &tagged("volume", "owner-id"))
        .await;
    assert_eq!(refused.error(), ("UnauthorizedOperation", 403));
    assert!(
        refused
            .one("Message")
            .contains("ec2:CreateTags on resource: arn:aws:ec2:us-east-1")
    );
    assert!(
        refused
            .one("Message")
            .contains("Encoded authorization failure message: ")
    );
    for allowed in [tagged("instance", "owner-id"), tagged("volume", "Name")] {
        assert_eq!(caller.call("RunInstances", &allowed).await.status, 200);
    }
    let untaggable = tagged("vpc", "Name");
    let refused = caller.call("RunInstances", &untaggable).await;
    assert_eq!(refused.error(), ("InvalidParameterValue", 400));
    assert_eq!(
        refused.one("Message"),
        "'vpc' is not a valid taggable resource type for this operation."
    );
    lab.deny(
        Denial::of("ec2:RunInstances")
            .on_resource("instance")
            .without_tag_key("team"),
    );
    for (kind, key, status) in [
        ("instance", "team", 200),
        ("instance", "Name", 403),
        ("volume", "team", 403),
    ] {
        let answer = caller.call("RunInstances", &tagged(kind, key)).await;
        assert_eq!(answer.status, status, "{kind} {key}");
        if status == 403 {
            let text = answer.one("Message");
            let denied = "instance/* with an explicit deny in a service control policy.";
            assert!(text.contains(denied), "{text}");
        }
    }
    lab.allow_only(OTHER_ACCESS_KEY, ["ec2:Describe*"]);
    let other = Caller {
        access_key: OTHER_ACCESS_KEY.to_owned(),
        ..caller
    };
    assert_eq!(other.call("DescribeInstances", &[]).await.status, 200);
    let refused = other.call("RunInstances", &LAUNCH).await;
    assert_eq!(refused.error(), ("UnauthorizedOperation", 403));
}

#[tokio::test]
async fn credentials_can_expire_and_be_revoked() {
    let (lab, caller) = lab().await;
    lab.set_key_state(ACCESS_KEY, KeyState::Expired);
    assert_eq!(
        caller.call("DescribeVpcs", &[]).await.error(),
        ("RequestExpired", 400)
    );
    assert_eq!(
        caller.call("GetCallerIdentity", &[]).await.error(),
        ("ExpiredToken", 403)
    );
    lab.set_key_state(ACCESS_KEY, KeyState::Inactive);
    assert_eq!(
        caller.call("DescribeVpcs", &[]).await.error(),
        ("AuthFailure", 401)
    );
    lab.set_key_state(ACCESS_KEY, KeyState::Active);
    assert_eq!(caller.call("DescribeVpcs", &[]).await.status, 200);
}

#[tokio::test]
async fn a_fresh_instance_flickers_by_reads_in_lists_and_by_id() {
    let (lab, caller) = lab().await;
    lab.blind(Kind::Instance, Blindness::Reads(vec![2, 1, 1]));
    let id = caller.launch().await;
    let mut seen = Vec::new();
    for n in 0..6 {
        let found = if n % 2 == 0 {
            caller.look(&id).await.status == 200
        } else {
            let filter = [
                ("Filter.1.Name", "instance-id"),
                ("Filter.1.Value.1", id.as_str()),
            ];
            caller
                .call("DescribeInstances", &filter)
                .await
                .one("instanceId")
                == id
        };
        seen.push(found);
    }
    assert_eq!(seen, [false, false, true, false, true, true]);
}

#[tokio::test]
async fn tags_are_invisible_for_the_whole_window_except_in_the_launch() {
    let (lab, caller) = lab().await;
    lab.blind(Kind::Tags, Blindness::whole_window());
    let spec = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "m1"),
    ];
    let made = caller
        .call("RunInstances", &[LAUNCH.as_slice(), &spec].concat())
        .await;
    assert!(made.one("tagSet").contains("<value>m1</value>"));
    let by_tag = [("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "m1")];
    let found = caller.call("DescribeInstances", &by_tag).await;
    assert_eq!(found.all("instanceId").len(), 0);
    lab.clock().advance(seconds(300));
    let found = caller.call("DescribeInstances", &by_tag).await;
    assert_eq!(found.all("instanceId").len(), 1);
}

#[tokio::test]
async fn the_control_endpoint_offers_the_functions_of_tests() {
    let (lab, caller) = lab().await;
    let fault = r#"{"action":"RunInstances","effect":{"error":{"code":"VcpuLimitExceeded"}}}"#;
    assert_eq!(caller.control("fault", fault).await.body, r#"{"fault":1}"#);
    let refused = caller.call("RunInstances", &LAUNCH).await;
    assert_eq!(refused.error(), ("VcpuLimitExceeded", 400));
    let blind = r#"{"kind":"instance","blindness":{"seconds":[60]}}"#;
    assert_eq!(caller.control("blind", blind).await.body, "{}");
    let id = caller.launch().await;
    assert_eq!(
        caller.look(&id).await.error(),
        ("InvalidInstanceID.NotFound", 400)
    );
    caller.control("advance", r#"{"milliseconds":60000}"#).await;
    assert_eq!(caller.look(&id).await.status, 200);
    let calls = caller.control("calls", "").await.body;
    assert!(calls.contains("VcpuLimitExceeded"), "{calls}");
    assert_eq!(caller.control("nonsense", "{}").await.status, 400);
    assert_eq!(lab.instances()[0].state, InstanceState::Running);
}

#[tokio::test]
async fn a_client_token_whose_instance_has_ended_is_refused() {
    let (lab, caller) = lab().await;
    let launch = [LAUNCH.as_slice(), &[("ClientToken", "t1")]].concat();
    let made = caller.call("RunInstances", &launch).await;
    let again = caller.call("RunInstances", &launch).await;
    assert_eq!(again.one("instanceId"), made.one("instanceId"));
    let id = [("InstanceId.1", made.one("instanceId"))];
    caller.call("TerminateInstances", &id).await;
    for _ in 0..2 {
        let refused = caller.call("RunInstances", &launch).await;
        assert_eq!(refused.error(), ("IdempotentInstanceTerminated", 400));
        // EC2 has forgotten the instance, but not the token.
        lab.clock().advance(seconds(2 * 3600));
    }
    assert_eq!(lab.live_instances().len(), 0);
}

#[tokio::test]
async fn a_spot_request_whose_price_is_too_low_stays_open_until_it_is_cancelled() {
    let (lab, caller) = lab().await;
    lab.set_spot_price(0.05);
    let spot = [
        ("InstanceMarketOptions.MarketType", "spot"),
        ("InstanceMarketOptions.SpotOptions.MaxPrice", "0.02"),
        ("TagSpecification.1.ResourceType", "spot-instances-request"),
        ("TagSpecification.1.Tag.1.Key", "owner"),
        ("TagSpecification.1.Tag.1.Value", "me"),
    ];
    let launch = [LAUNCH.as_slice(), &spot].concat();
    for _ in 0..2 {
        let refused = caller.call("RunInstances", &launch).await;
        assert_eq!(refused.error(), ("SpotMaxPriceTooLow", 400));
    }
    let open = [
        ("Filter.1.Name", "state"),
        ("Filter.1.Value.1", "open"),
        ("Filter.2.Name", "tag:owner"),
        ("Filter.2.Value.1", "me"),
    ];
    let open = caller.call("DescribeSpotInstanceRequests", &open).await;
    let ids = open.all("spotInstanceRequestId");
    assert_eq!(ids.len(), 2, "{}", open.body);
    assert_eq!(open.one("code"), "price-too-low");
    assert!(!lab.clean());
    let first = [("SpotInstanceRequestId.1", ids[0])];
    let cancelled = caller.call("CancelSpotInstanceRequests", &first).await;
    assert_eq!(cancelled.one("state"), "cancelled");
    lab.set_spot_price(0.01);
    let [instance] = &lab.live_instances()[..] else {
        panic!("the other request has its instance: {:?}", lab.instances())
    };
    assert_eq!(instance.spot_request.as_deref(), Some(ids[1]));
}
