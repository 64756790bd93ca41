//! Durations of a create: the closing line, `--debug`, and the file of `MACHINE_TRACE`.

use machine_tests::flows::Flow;
use serde_json::Value;

fn create(flow: &Flow, more: &[&str]) -> Vec<String> {
    let mut argv: Vec<String> = more.iter().map(ToString::to_string).collect();
    argv.push("create".to_owned());
    argv.extend(flow.flags_with_ids());
    argv.push("m1".to_owned());
    argv
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_has_a_line_for_each_step_call_command_and_wait() {
    let mut flow = Flow::start().await;
    let path = flow.home.path().join("trace");
    flow.home.set("MACHINE_TRACE", &path);
    let created = flow.home.run(create(&flow, &[])).await.ok();
    let text = std::fs::read_to_string(&path).unwrap();
    let spans: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let of = |kind: &str| -> Vec<&str> {
        let spans = spans.iter().filter(|span| span["kind"] == kind);
        spans.filter_map(|span| span["name"].as_str()).collect()
    };
    for span in &spans {
        assert!(
            span["duration_ms"].as_f64().is_some_and(|ms| ms >= 0.0),
            "{span}"
        );
        assert!(
            span["time"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z')),
            "{span}"
        );
        assert_eq!(span["outcome"], "ok", "{span}");
    }
    let mut traced = of("api");
    let calls = flow.lab.calls();
    let mut made: Vec<&str> = calls.iter().map(|call| call.action.as_str()).collect();
    traced.sort_unstable();
    made.sort_unstable();
    assert_eq!(traced, made, "one line for each call");
    assert_eq!(of("ssh").len(), flow.host().counts().execs.len(), "{text}");
    assert_eq!(of("phase"), ["launch", "boot", "ssh", "docker"]);
    assert!(of("step").contains(&"import key pair"), "{text}");
    assert!(!of("wait").is_empty(), "{text}");
    assert!(!text.contains("SECRETEXAMPLE"));
    // The closing line for the user has the same figures.
    let last = created.out.lines().last().unwrap_or_default();
    assert!(last.starts_with("Created in "), "{created}");
    for phase in ["launch", "boot", "ssh", "docker"] {
        assert!(last.contains(&format!("{phase} ")), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_logs_each_step_with_its_duration() {
    let flow = Flow::start().await;
    let created = flow.home.run(create(&flow, &["--debug"])).await.ok();
    let told: Vec<Vec<&str>> = created
        .err
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for (kind, name) in [
        ("api", "RunInstances"),
        ("step", "import"),
        ("phase", "docker"),
    ] {
        let line = told.iter().find(|words| words.starts_with(&[kind, name]));
        let line = line.unwrap_or_else(|| panic!("no {kind} {name}: {created}"));
        let is_duration = |word: &&str| {
            let seconds = word.trim_end_matches(',').strip_suffix('s');
            seconds.is_some_and(|seconds| seconds.parse::<f64>().is_ok())
        };
        assert!(line.iter().any(is_duration), "{line:?}");
    }
}
