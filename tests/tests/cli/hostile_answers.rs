//! What EC2 or something on the way to it may answer: never a panic, never more memory than an answer
//! can need, never a machine that is forgotten.

#![allow(clippy::unwrap_used)]

use ec2_lab::ec2::{Effect, Fault};
use machine_tests::flows::Flow;

/// How much memory a run may have mapped: several times what it needs, and far less than the answers here.
const MEMORY_KIB: u64 = 1024 * 1024;

/// The largest: more than the memory that a run may have.
const HUGE: u64 = 4 << 30;

/// The answers that nobody hopes for.
fn what_may_come() -> [Effect; 6] {
    [
        Effect::Huge(HUGE),
        Effect::Garble(String::new()),
        Effect::Garble("<html><body>Sign in to the network</body></html>".into()),
        Effect::Garble("\u{1b}]0;owned\u{7}\u{1b}[2J".into()),
        Effect::Garble("<a>".repeat(100_000)),
        Effect::Truncate(120),
    ]
}

#[tokio::test]
async fn no_answer_to_a_question_brings_a_command_down() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let binary = machine_tests::binary();
    for effect in what_may_come() {
        flow.lab
            .inject(Fault::on("DescribeInstances", effect.clone()).always());
        let line = format!("ulimit -v {MEMORY_KIB}; {} ls", binary.display());
        let listed = flow.home.shell(&line).await;
        assert!(!listed.err.contains("this is a bug"), "{listed}");
        assert_eq!(listed.code, Some(0), "{effect:?}: {listed}");
        assert!(listed.out.contains("m1"), "{effect:?}: {listed}");
        let said = format!("{}{}", listed.out, listed.err);
        assert!(!said.contains('\u{1b}'), "{effect:?}: {said:?}");
        // What answers by itself is not taken for dead because EC2 talks nonsense.
        flow.home.run(["config", "m1"]).await.ok();
        flow.lab.heal();
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test]
async fn no_answer_to_a_termination_makes_a_machine_forgotten() {
    let flow = Flow::start().await;
    for effect in what_may_come() {
        flow.create("m1", &[]).await.ok();
        flow.lab
            .inject(Fault::on("TerminateInstances", effect).always());
        let line = format!(
            "ulimit -v {MEMORY_KIB}; {} rm -y m1",
            machine_tests::binary().display()
        );
        let removed = flow.home.shell(&line).await;
        assert!(!removed.err.contains("this is a bug"), "{removed}");
        flow.lab.heal();
        // EC2 has acted each time: whatever was made of the answer, a second rm finds it so.
        if flow.home.machine("m1").exists() {
            flow.home.run(["rm", "-y", "m1"]).await.ok();
        }
        flow.assert_clean();
    }
}
