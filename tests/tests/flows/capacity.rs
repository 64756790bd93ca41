//! Missing capacity at EC2, through the binary: the launched candidate for every error code of capacity.

use ec2_lab::ec2::{ACCOUNT, Market, Shortage};
use machine_tests::flows::{Ended, Flow, REGION};

/// A flow, and its subnets in zone a and zone b.
async fn start() -> (Flow, [String; 2]) {
    let flow = Flow::start().await;
    let all = flow.lab.subnets(ACCOUNT, REGION);
    let subnets = ["a", "b"].map(|zone| {
        let zone = format!("{REGION}{zone}");
        let subnet = all.iter().find(|subnet| subnet.zone == zone);
        subnet.unwrap().id.clone()
    });
    (flow, subnets)
}

/// Creates a machine of two types in both subnets: `m5.large` in zone b comes first.
async fn create(flow: &Flow, subnets: &[String; 2], more: &[&str]) -> Ended {
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    // The zones result from the subnets.
    argv.retain(|flag| !flag.starts_with("--amazonec2-zone"));
    argv.extend(["t3.small", "m5.large"].map(|of| format!("--amazonec2-instance-type={of}")));
    argv.extend(
        subnets
            .iter()
            .map(|id| format!("--amazonec2-subnet-id={id}")),
    );
    argv.extend(more.iter().map(|flag| (*flag).to_owned()));
    argv.push("m1".to_owned());
    flow.home.run(argv).await
}

/// Asserts that the machine has this type, zone and market, at EC2 and in its configuration, is reachable, and can be
/// removed.
async fn assert_won(flow: &Flow, won: &str) {
    let [instance] = &flow.lab.live_instances()[..] else {
        panic!("one instance for {won}")
    };
    let market = match instance.spot_request {
        Some(_) => "spot",
        None => "on-demand",
    };
    let made = format!("{} {} {market}", instance.instance_type, instance.zone);
    assert_eq!(made, won);
    let home = &flow.home;
    let format = "{{.Driver.InstanceType}} {{.Driver.Zone}} {{.Driver.RequestSpotInstance}}";
    let saved = home.run(["inspect", "-f", format, "m1"]).await.ok().out;
    let is_spot = instance.spot_request.is_some();
    let expected = format!("{} {} {is_spot}\n", instance.instance_type, instance.zone);
    assert_eq!(saved, expected);
    home.run(["config", "m1"]).await.ok();
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_capacity_error_leads_to_another_candidate() {
    // Each is missing for `m5.large` in zone b.
    for (code, won) in [
        (
            "InsufficientInstanceCapacity",
            "m5.large us-east-1a on-demand",
        ),
        ("Unsupported", "m5.large us-east-1a on-demand"),
        (
            "InsufficientFreeAddressesInSubnet",
            "m5.large us-east-1a on-demand",
        ),
        ("InstanceLimitExceeded", "m5.large us-east-1a on-demand"),
        ("VcpuLimitExceeded", "m5.large us-east-1a on-demand"),
    ] {
        let (flow, subnets) = start().await;
        let shortage = Shortage::new(code).of_type("m5.large");
        flow.lab.shortage(shortage.in_zone("us-east-1b"));
        let created = create(&flow, &subnets, &[]).await.ok();
        let told = format!("No m5.large in us-east-1b ({}): {code}. Trying", subnets[1]);
        assert!(created.out.contains(&told), "{code}: {created}");
        assert_won(&flow, won).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_without_capacity_in_any_zone_yields_to_the_next_type() {
    let (flow, subnets) = start().await;
    flow.lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").of_type("m5.large"));
    create(&flow, &subnets, &[]).await.ok();
    assert_won(&flow, "t3.small us-east-1b on-demand").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spot_falls_back_to_on_demand_only_on_request() {
    let spot = "--amazonec2-request-spot-instance";
    let price = "--amazonec2-spot-price=0.001";
    let on_demand = "m5.large us-east-1b on-demand";
    for (code, flags, won) in [
        (
            "MaxSpotInstanceCountExceeded",
            &[spot, "--amazonec2-spot-fallback"][..],
            Some(on_demand),
        ),
        (
            "InsufficientInstanceCapacity",
            &[spot, "--amazonec2-spot-fallback"],
            Some(on_demand),
        ),
        ("InsufficientInstanceCapacity", &[spot], None),
        (
            "SpotMaxPriceTooLow",
            &[spot, price, "--amazonec2-spot-fallback=any"],
            Some(on_demand),
        ),
        (
            "SpotMaxPriceTooLow",
            &[spot, price, "--amazonec2-spot-fallback"],
            None,
        ),
    ] {
        let (flow, subnets) = start().await;
        flow.lab.shortage(Shortage::new(code).on(Market::Spot));
        let created = create(&flow, &subnets, flags).await;
        match won {
            Some(won) => {
                created.ok();
                assert_won(&flow, won).await;
            }
            None => {
                created.failed(1, &[code]);
                flow.assert_clean();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_other_than_capacity_end_the_create() {
    for code in ["UnauthorizedOperation", "InvalidParameterValue"] {
        let (flow, subnets) = start().await;
        flow.lab.shortage(Shortage::new(code).of_type("m5.large"));
        create(&flow, &subnets, &[]).await.failed(1, &[code]);
        flow.assert_clean();
    }
}
