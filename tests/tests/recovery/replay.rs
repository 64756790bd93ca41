//! A launch with a lost answer whose instance has ended before the request is sent again.

use ec2_lab::ec2::{Effect, Fault, Market, Shortage};
use machine_tests::flows::Flow;

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_lost_launch_is_replayed_for_its_reason_and_retried_elsewhere() {
    let flow = Flow::start().await;
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("m5.large");
    flow.lab.shortage(shortage.after_launch());
    flow.lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer));
    let types = [
        "--amazonec2-instance-type=t3.small",
        "--amazonec2-instance-type=m5.large",
    ];
    flow.create("m1", &types).await.ok();
    let answers = flow.lab.calls().into_iter().filter_map(|call| call.error);
    let replayed = answers.filter(|code| code == "IdempotentInstanceTerminated");
    assert_eq!(replayed.count(), 1);
    assert_eq!(flow.lab.live_instances()[0].instance_type, "t3.small");
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanently_failed_lost_launch_fails_the_create_with_its_reason() {
    let flow = Flow::start().await;
    flow.lab
        .shortage(Shortage::new("Client.VolumeLimitExceeded").after_launch());
    flow.lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer));
    let failed = flow.create("m1", &[]).await;
    failed.failed(1, &["Client.VolumeLimitExceeded"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_low_a_price_leaves_no_open_spot_request() {
    let flow = Flow::start().await;
    let price = Shortage::new("SpotMaxPriceTooLow").on(Market::Spot);
    flow.lab.shortage(price);
    let spot = ["--amazonec2-request-spot-instance"];
    flow.create("m1", &spot)
        .await
        .failed(1, &["SpotMaxPriceTooLow"]);
    flow.lab.end_shortages();
    flow.assert_clean();
}
