//! SIGTERM, SIGINT, SIGQUIT during a create, and pipes without readers.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ec2_lab::ec2::{Denial, Gate};
use machine_tests::flows::Flow;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

const SIGNALS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// The upper bound of a rollback: a call that was sent, and 90 s.
const BOUND: Duration = Duration::from_secs(180);

fn create(flow: &Flow) -> Command {
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.push("m1".to_owned());
    flow.home.command(argv)
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

async fn end(child: &mut Child) -> ExitStatus {
    tokio::time::timeout(BOUND, child.wait())
        .await
        .unwrap()
        .unwrap()
}

/// Starts a create whose launch is held at the gate.
async fn launching(flow: &Flow, command: &mut Command) -> (Child, Gate) {
    let gate = flow.lab.hold("RunInstances");
    let child = command.spawn().unwrap();
    gate.arrived(1).await;
    (child, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_rolls_a_create_back() {
    for signal in SIGNALS {
        let flow = Flow::start().await;
        let (mut child, gate) = launching(&flow, &mut create(&flow)).await;
        send(&child, signal);
        gate.open();
        let status = end(&mut child).await;
        assert_eq!(status.code(), Some(1), "{signal:?}");
        flow.assert_clean();
        assert_eq!(
            flow.lab.instances().len(),
            1,
            "the launch was answered, and undone"
        );
    }
}

/// A shell starts `docker-machine create … &` with these signals ignored, so that Ctrl-C interrupts the script only.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let flow = Flow::start().await;
    let direct = create(&flow);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' INT QUIT HUP; exec \"$@\"", "sh"])
        .arg(direct.as_std().get_program())
        .args(direct.as_std().get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let (mut child, gate) = launching(&flow, flow.home.surround(&mut command)).await;
    for signal in [Signal::INT, Signal::QUIT, Signal::HUP] {
        send(&child, signal);
    }
    gate.open();
    assert_eq!(end(&mut child).await.code(), Some(0));
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_at_once_and_keeps_the_record() {
    let flow = Flow::start().await;
    let (mut child, gate) = launching(&flow, &mut create(&flow)).await;
    send(&child, Signal::TERM);
    // The first signal takes effect when the call is answered, which has not happened yet: both are received
    // meanwhile. Two of one kind may become one (signal(7)).
    send(&child, Signal::INT);
    assert_eq!(end(&mut child).await.code(), Some(130));
    gate.open();
    flow.lab.until(|lab| !lab.live_instances().is_empty()).await;
    let journal = std::fs::read_to_string(flow.home.machine("m1").join(".journal")).unwrap();
    let token = flow
        .lab
        .calls()
        .iter()
        .find_map(|call| call.params.get("ClientToken").cloned());
    assert!(journal.contains(&token.unwrap()), "{journal}");
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_that_a_rollback_cannot_remove_are_printed_and_recorded() {
    let flow = Flow::start().await;
    flow.lab.deny(Denial::of("ec2:TerminateInstances"));
    let mut command = create(&flow);
    let (mut child, gate) = launching(&flow, command.stderr(Stdio::piped())).await;
    send(&child, Signal::TERM);
    gate.open();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    assert_eq!(end(&mut child).await.code(), Some(1));
    let [instance] = &flow.lab.live_instances()[..] else {
        panic!("{:?}", flow.lab.left_over())
    };
    assert!(
        said.contains("left behind") && said.contains(&instance.id),
        "{said}"
    );
    assert!(said.contains("SIGTERM"), "{said}");
    let known = flow
        .home
        .run(["inspect", "m1", "-f", "{{.Driver.InstanceId}}"])
        .await
        .ok();
    assert_eq!(known.out.trim(), instance.id);
    flow.lab.heal();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

/// Connects both output streams to pipes without readers.
fn deaf(command: &mut Command) -> &mut Command {
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    command.stdout(closed()).stderr(closed())
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_without_readers_change_nothing() {
    let flow = Flow::start().await;
    let mut child = deaf(&mut create(&flow)).spawn().unwrap();
    assert_eq!(end(&mut child).await.code(), Some(0));
    flow.home.run(["config", "m1"]).await.ok();
    let mut removal = deaf(&mut flow.home.command(["rm", "-y", "m1"]))
        .spawn()
        .unwrap();
    assert_eq!(end(&mut removal).await.code(), Some(0));
    flow.assert_clean();

    let (mut child, gate) = launching(&flow, deaf(&mut create(&flow))).await;
    send(&child, Signal::TERM);
    gate.open();
    assert_eq!(end(&mut child).await.code(), Some(1));
    flow.assert_clean();
}
