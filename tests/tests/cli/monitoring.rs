//! The dashboard and the alert rules in `contrib` use metrics and labels that the binary writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use machine_tests::flows::Flow;
use regex::Regex;
use serde_json::Value;

fn contrib(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join("contrib").join(file)).unwrap()
}

/// The expressions of a dashboard: all values of the key `expr`.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "expr" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The metrics that the binary writes, each with its labels and their values.
async fn written() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut flow = Flow::start().await;
    let path = flow.home.path().join("docker_machine.prom");
    flow.home.set("MACHINE_METRICS_FILE", &path);
    flow.create("m1", &[]).await.ok();
    flow.create("m2", &["--amazonec2-ami=ami-0123456789"]).await;
    for argv in [&["ls"][..], &["rm", "-y", "m1"], &["prune", "--force"]] {
        flow.home.run(argv).await;
    }
    let text = std::fs::read_to_string(path).unwrap();
    let mut metrics = BTreeMap::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            match kind {
                "histogram" => {
                    for part in ["bucket", "sum", "count"] {
                        metrics.insert(format!("{name}_{part}"), BTreeMap::new());
                    }
                }
                _ => {
                    metrics.insert(name.to_owned(), BTreeMap::new());
                }
            }
        }
    }
    let series = Regex::new(r"^(\w+)\{(.*)\} ").unwrap();
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    for found in text.lines().filter_map(|line| series.captures(line)) {
        let labels: &mut BTreeMap<String, BTreeSet<String>> = metrics.get_mut(&found[1]).unwrap();
        for found in label.captures_iter(&found[2]) {
            let values = labels.entry(found[1].to_owned()).or_default();
            values.insert(found[2].to_owned());
        }
    }
    metrics
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_and_alerts_use_metrics_that_are_written() {
    let dashboard: Value = serde_json::from_str(&contrib("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|it| it["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut used = Vec::new();
    expressions(&dashboard, &mut used);
    assert_eq!(used.len(), panels.len());
    let alerts = contrib("alerts.yml");
    let of_alerts = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    used.extend(of_alerts.map(str::to_owned));
    let rules = alerts.matches("- alert: ").count();
    assert_eq!(used.len(), panels.len() + rules);

    let metrics = written().await;
    // Prometheus adds `instance`.
    let instance = "instance".to_owned();
    let metric = Regex::new(r"(docker_machine_\w+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"(\w+)(!?=~?)"([^"]*)""#).unwrap();
    let by = Regex::new(r"by \(([^)]*)\)").unwrap();
    let mut named = BTreeSet::new();
    for expression in &used {
        let depth = |open, close| {
            let count = |c: char| expression.matches(c).count();
            assert_eq!(count(open), count(close), "{expression}");
        };
        depth('(', ')');
        depth('{', '}');
        let mut labels = BTreeSet::from([&instance]);
        for found in metric.captures_iter(expression) {
            let known = metrics.get(&found[1]);
            let known = known.unwrap_or_else(|| panic!("no metric {}: {expression}", &found[1]));
            named.insert(found[1].to_owned());
            labels.extend(known.keys());
            for found in matcher.captures_iter(found.get(2).map_or("", |it| it.as_str())) {
                let label = &found[1];
                assert!(
                    label == instance || known.contains_key(label),
                    "no label {label}: {expression}"
                );
                let values = known.get(label);
                for value in found[3].split('|').filter(|_| label == "command") {
                    assert!(values.unwrap().contains(value), "{value}: {expression}");
                }
            }
        }
        for found in by.captures_iter(expression) {
            for label in found[1].split(", ") {
                assert!(
                    labels.iter().any(|known| *known == label),
                    "no label {label}: {expression}"
                );
            }
        }
    }
    // Every metric is of use.
    for name in metrics.keys() {
        let is_part = name.ends_with("_sum") || name.ends_with("_count");
        assert!(is_part || named.contains(name), "{name} is not shown");
    }
    // The causes and states exist.
    let operations = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"),
    );
    let operations = operations.unwrap();
    let cause = Regex::new(r#"cause="([^"]*)""#).unwrap();
    for found in used.iter().flat_map(|it| cause.captures_iter(it)) {
        assert!(
            operations.contains(&format!("`{}`", &found[1])),
            "{}",
            &found[1]
        );
    }
}
