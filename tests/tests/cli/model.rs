//! `tests/check-model` reports parameters and answers that AWS's model of the API does not define.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

/// Runs the check on one recorded call. Returns `None` if Python has no botocore.
fn check(record: &serde_json::Value) -> Option<Output> {
    let python = std::env::var_os("EC2_LAB_PYTHON").unwrap_or_else(|| "python3".into());
    let has_botocore = Command::new(&python)
        .args(["-c", "import botocore"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_botocore {
        machine_tests::left_out("check-model", "no python3 with botocore: EC2_LAB_PYTHON");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("1.jsonl"), record.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("check-model");
    let output = Command::new(python)
        .arg(script)
        .arg(directory.path())
        .output();
    Some(output.unwrap())
}

#[test]
fn calls_that_follow_the_model_pass() {
    let record = json!({
        "action": "DescribeSubnets",
        "params": { "Filter.1.Name": "vpc-id", "Filter.1.Value.1": "vpc-1" },
        "body": "<DescribeSubnetsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>\
                 <subnetSet><item><subnetId>subnet-1</subnetId></item></subnetSet></DescribeSubnetsResponse>",
    });
    let Some(output) = check(&record) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        text.contains("1 requests and 1 answers of 1 actions checked"),
        "{text}"
    );
}

#[test]
fn calls_that_violate_the_model_are_reported() {
    let run = |params: serde_json::Value| json!({ "action": "RunInstances", "params": params });
    let answer = |body: &str| json!({ "action": "DescribeSubnets", "params": {}, "body": body });
    for (record, fault) in [
        (
            json!({ "action": "LaunchInstances", "params": {} }),
            "not an action",
        ),
        (run(json!({ "MinCount": "1" })), "MaxCount is required"),
        (
            run(json!({ "MinCount": "1", "MaxCount": "one" })),
            "MaxCount: 'one' is not a valid integer",
        ),
        (
            run(json!({ "MinCount": "1", "MaxCount": "1", "Subnet": "s" })),
            "Subnet: not a member",
        ),
        (
            run(json!({ "MinCount": "1", "MaxCount": "1", "SecurityGroupId.2": "sg-1" })),
            "without gaps",
        ),
        (
            run(json!({ "MinCount": "1", "MaxCount": "1", "MetadataOptions.HttpTokens": "" })),
            "HttpTokens: ''",
        ),
        (
            run(json!({ "MinCount": "1", "MaxCount": "1", "ElasticGpuSpecification.1.Type": "x" })),
            "deprecated",
        ),
        (answer("<R><subnets/></R>"), "subnets: not a member"),
        (
            answer("<R><subnetSet><subnet/></subnetSet></R>"),
            "are called item",
        ),
        (answer("<R>"), "answer: "),
    ] {
        let Some(output) = check(&record) else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{fault}: {output:?}");
        assert!(said.contains(fault), "{fault}: {said}");
    }
}
