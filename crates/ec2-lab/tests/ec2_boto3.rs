//! Checks the lab with boto3.

use std::process::Command;

use ec2_lab::ec2::Lab;

/// Returns the interpreter: `EC2_LAB_PYTHON` must have boto3, `python3` may.
fn python() -> Option<String> {
    if let Ok(python) = std::env::var("EC2_LAB_PYTHON") {
        return Some(python);
    }
    let found = Command::new("python3")
        .args(["-c", "import boto3"])
        .output();
    found
        .is_ok_and(|o| o.status.success())
        .then(|| "python3".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_check_passes() {
    let Some(python) = python() else {
        eprintln!("skipped: no python3 with boto3; set EC2_LAB_PYTHON to one that has it");
        return;
    };
    let lab = Lab::builder().start().await.unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boto3_check.py");
    let endpoint = lab.endpoint();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(script)
            .arg(endpoint)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("boto3 found nothing wrong"), "{out}{err}");
    assert_eq!(lab.left_over(), Vec::<String>::new());
}
