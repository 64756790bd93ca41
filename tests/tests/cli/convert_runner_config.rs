//! `convert-runner-config`: what it prints for configuration files of GitLab Runner, read as TOML again.

use machine_tests::flows::{Ended, Home};
use toml::{Table, Value};

const TOKEN: &str = "glrt-t1_0123456789";

/// A runner with further settings of `[[runners]]` and of `[runners.machine]`.
fn config(runner: &str, machine: &str) -> String {
    format!(
        r#"
concurrent = 10

[[runners]]
  name = "ci"
  url = "https://gitlab.example.com"
  token = "{TOKEN}"
  token_obtained_at = 2025-06-17T13:05:47Z
  executor = "docker+machine"
  {runner}
  [runners.docker]
    image = "alpine"
  [runners.cache.s3]
    SecretKey = "{TOKEN}"
  [runners.machine]
    MachineDriver = "amazonec2"
    MachineName = "gitlab-docker-machine-%s"
    MachineOptions = ["amazonec2-use-private-address"]
    {machine}
"#
    )
}

async fn convert(config: &str) -> Ended {
    let ended = Home::new()
        .feed(["convert-runner-config", "-"], config.as_bytes())
        .await;
    for text in [&ended.out, &ended.err] {
        assert!(!text.contains(TOKEN), "{ended}");
    }
    ended
}

/// The `[[runners]]` sections of an output.
fn runners(ended: &Ended) -> Vec<Table> {
    let table: Table = ended.out.parse().unwrap();
    assert_eq!(table.len(), 1, "{ended}");
    table["runners"].clone().try_into().unwrap()
}

/// The sections of one runner.
struct Conversion {
    /// Settings of `[[runners]]`.
    runner: &'static str,
    /// Settings of `[runners.machine]`.
    machine: &'static str,
    /// Settings of `[runners.autoscaler]`, besides the plugin and the capacity.
    autoscaler: &'static str,
    /// Settings of the plugin, besides the driver, the names and the options.
    plugin: &'static str,
    /// The policies, as an array.
    policies: &'static str,
    /// Parts of the messages.
    said: &'static [&'static str],
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_name_and_in_options_are_noted() {
    let config = config("", "").replace("-machine-%s", "-machine").replace(
        r#"["amazonec2-use-private-address"]"#,
        r#"["amazonec2-root-size=16G", "--amazonec2-open-port=80", "amazonec2-regoin=x"]"#,
    );
    let ended = convert(&config).await;
    for note in [
        "MachineName \"gitlab-docker-machine\" needs exactly one %s",
        "--amazonec2-root-size takes a whole number, such as 16, without a unit",
        "the entry \"--amazonec2-open-port\" of MachineOptions begins with a dash",
        "did you mean '--amazonec2-region'?",
    ] {
        assert!(ended.err.contains(note), "{note}: {ended}");
        assert!(ended.out.contains(note), "{note}: {ended}");
    }
}

const ALWAYS_0: &str = "[{ idle_count = 0 }]";

const CONVERSIONS: &[Conversion] = &[
    Conversion {
        runner: "limit = 6",
        machine: "IdleCount = 2\nIdleTime = 300\nMaxBuilds = 10",
        autoscaler: "max_use_count = 10\nmax_instances = 6",
        plugin: "",
        policies: r#"[{ idle_count = 2, idle_time = "5m" }]"#,
        said: &[],
    },
    Conversion {
        runner: "",
        machine: "MaxGrowthRate = 5\nMaxRemovalAttempts = 3\nMachineOptionsWithName = [\"a=%s\"]\nidlecount = 2",
        autoscaler: "",
        plugin: "max_concurrent_creates = 5",
        policies: ALWAYS_0,
        said: &[
            "limit",
            "MaxRemovalAttempts",
            "MachineOptionsWithName",
            "\"idlecount\"",
        ],
    },
    // IdleCount is the maximum, IdleCountMin the minimum.
    Conversion {
        runner: "limit = 200",
        machine: "IdleCount = 100\nIdleCountMin = 10\nIdleScaleFactor = 1.1\nIdleTime = 90",
        autoscaler: "max_instances = 200",
        plugin: "",
        policies: r#"[{ idle_count = 10, idle_time = "90s", scale_factor = 1.1, scale_factor_limit = 100 }]"#,
        said: &[],
    },
    Conversion {
        runner: "limit = 200",
        machine: "IdleCount = 100\nIdleScaleFactor = 1\nIdleTime = 7200",
        autoscaler: "max_instances = 200",
        plugin: "",
        policies: r#"[{ idle_count = 1, idle_time = "2h", scale_factor = 1.0, scale_factor_limit = 100 }]"#,
        said: &[],
    },
    Conversion {
        runner: "limit = 200",
        machine: "IdleCountMin = 5\nIdleScaleFactor = 2.0",
        autoscaler: "max_instances = 200",
        plugin: "",
        policies: ALWAYS_0,
        said: &[],
    },
    // The last policy that matches applies, as before.
    Conversion {
        runner: "limit = 6",
        machine: r#"
            [[runners.machine.autoscaling]]
            Periods = ["* * 9-17 * * mon-fri *", "* 0-29 18 * * mon-fri *"]
            Timezone = "Europe/Berlin"
            IdleCount = 50
            IdleTime = 3600
            [[runners.machine.autoscaling]]
            Periods = ["* * * * * sat,sun *"]
            Timezone = "Local"
            IdleCount = 5
            IdleCountMin = 2
            IdleScaleFactor = 0.5"#,
        autoscaler: "max_instances = 6",
        plugin: "",
        policies: r#"[
            { idle_count = 0 },
            { periods = ["* 9-17 * * mon-fri", "0-29 18 * * mon-fri"], timezone = "Europe/Berlin", idle_count = 50, idle_time = "1h" },
            { periods = ["* * * * sat,sun"], idle_count = 2, scale_factor = 0.5, scale_factor_limit = 5 },
        ]"#,
        said: &[],
    },
    // A policy whose periods are left out would always apply.
    Conversion {
        runner: "limit = 6",
        machine: r#"
            [[runners.machine.autoscaling]]
            Periods = ["@daily"]
            IdleCount = 50
            [[runners.machine.autoscaling]]
            IdleCount = 60
            [[runners.machine.autoscaling]]
            Periods = ["* 9-17 * * mon-fri", "* * * * * 5L *"]
            IdleCount = 70"#,
        autoscaler: "max_instances = 6",
        plugin: "",
        policies: r#"[{ idle_count = 0 }, { periods = ["* 9-17 * * mon-fri"], idle_count = 70 }]"#,
        said: &[
            "\"@daily\"",
            "never applies",
            "\"* 9-17 * * mon-fri\" of Periods: it applied for some seconds",
            "\"* * * * * 5L *\"",
        ],
    },
    Conversion {
        runner: "limit = 6",
        machine: r#"
            OffPeakPeriods = ["* * 0-8,18-23 * * mon-fri *"]
            OffPeakTimezone = "UTC"
            OffPeakIdleCount = 1
            OffPeakIdleTime = 60"#,
        autoscaler: "max_instances = 6",
        plugin: "",
        policies: r#"[{ idle_count = 0 }, { periods = ["* 0-8,18-23 * * mon-fri"], timezone = "UTC", idle_count = 1, idle_time = "1m" }]"#,
        said: &["OffPeakPeriods"],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_docker_machine_become_those_of_the_autoscaler() {
    for conversion in CONVERSIONS {
        let ended = convert(&config(conversion.runner, conversion.machine))
            .await
            .ok();
        let expected = format!(
            r#"
name = "ci"
executor = "docker-autoscaler"
[autoscaler]
plugin = "fleeting-plugin-docker-machine"
capacity_per_instance = 1
policy = {}
{}
[autoscaler.plugin_config]
name = "ci"
MachineDriver = "amazonec2"
MachineName = "gitlab-docker-machine-%s"
MachineOptions = ["amazonec2-use-private-address"]
{}
"#,
            conversion.policies, conversion.autoscaler, conversion.plugin
        );
        assert_eq!(
            runners(&ended),
            [expected.parse::<Table>().unwrap()],
            "{ended}"
        );
        // What differs is said in the output, too.
        for said in conversion.said {
            assert!(ended.err.contains(said), "{said}: {ended}");
            assert!(
                ended
                    .out
                    .lines()
                    .any(|line| line.trim_start().starts_with('#') && line.contains(said)),
                "{said}: {ended}"
            );
        }
        assert_eq!(conversion.said.is_empty(), ended.err.is_empty(), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_document_is_what_the_command_prints() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fleeting.md");
    let document = std::fs::read_to_string(document).unwrap();
    let example = document
        .split("```")
        .find_map(|block| block.strip_prefix("toml\n"));
    let example = format!("[[runners]]\nname = \"ci\"\n{}", example.unwrap());
    let example: Table = example.parse().unwrap();
    let options = &example["runners"][0]["autoscaler"]["plugin_config"]["MachineOptions"];
    let machine = "IdleCount = 2\nIdleTime = 300\nMaxBuilds = 10";
    let given = "[\"amazonec2-use-private-address\"]";
    let config = config("limit = 6", machine).replace(given, &options.to_string());
    let ended = convert(&config).await.ok();
    assert_eq!(ended.out.parse::<Table>().unwrap(), example, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_stay_and_secrets_are_not_printed() {
    let config = r#"
[[runners]]
executor = "docker+machine"
limit = 1
[runners.machine]
MachineDriver = "amazonec2"
MachineName = "m-%s"
MachineOptions = [
  "amazonec2-access-key=AKIDHIDDEN",
  "amazonec2-secret-key=HIDDEN/a=b==",
  "amazonec2-session-token=HIDDEN",
  "amazonec2-http-tokens=required",
  "amazonec2-tags=a,\"b\",c,ä",
  'amazonec2-userdata=C:\x',
  "engine-env=API_TOKEN=HIDDEN",
  "engine-env=HTTPS_PROXY=http://user:HIDDEN@proxy:3128",
  "engine-env=PROXY=user:HIDDEN@proxy:3128",
  "engine-env=DB_PWD=HIDDEN",
  "engine-opt=log-opt=splunk-url=https://x/?t=HIDDEN",
  "amazonec2-secret-key HIDDEN",
  "engine-env=NO_PROXY=.example.com",
  "engine-registry-mirror=http://mirror:5000",
  "engine-opt=dns=8.8.8.8",
]
"#;
    let ended = convert(config).await.ok();
    for text in [&ended.out, &ended.err] {
        assert!(!text.contains("HIDDEN"), "{ended}");
        for name in [
            "\"amazonec2-secret-key\"",
            "\"engine-env=API_TOKEN\"",
            "\"engine-env=HTTPS_PROXY\"",
            "\"engine-env=PROXY\"",
            "\"engine-env=DB_PWD\"",
        ] {
            assert!(text.contains(name), "{name}: {ended}");
        }
    }
    let runners = runners(&ended);
    let autoscaler = &runners[0]["autoscaler"];
    let kept: Value = Value::from(vec![
        "amazonec2-http-tokens=required",
        "amazonec2-tags=a,\"b\",c,ä",
        "amazonec2-userdata=C:\\x",
        "engine-env=NO_PROXY=.example.com",
        "engine-registry-mirror=http://mirror:5000",
        "engine-opt=dns=8.8.8.8",
    ]);
    assert_eq!(autoscaler["plugin_config"]["MachineOptions"], kept);
    // docker+machine connects to the external address unless an option says otherwise, the autoscaler does not.
    assert_eq!(
        autoscaler["connector_config"]["use_external_addr"],
        Value::from(true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_runner_of_the_executor_gets_a_pool_of_its_own() {
    let runner = |name: &str, executor: &str| {
        format!("[[runners]]\nname = {name:?}\nexecutor = {executor:?}\nlimit = 1\n")
    };
    let config = [
        "[machine.shutdown_drain]\nenabled = true\n".to_owned(),
        runner("My runner (eu)", "docker+machine"),
        runner("shell", "shell"),
        runner("my-runner-eu", "docker+machine"),
        runner("ü", "docker+machine"),
        runner(&"long name ".repeat(9), "docker+machine"),
        runner("done", "docker-autoscaler"),
    ]
    .concat();
    let runners = runners(&convert(&config).await.ok());
    let pools: Vec<_> = runners
        .iter()
        .map(|runner| {
            let autoscaler = &runner["autoscaler"];
            let deletes = &autoscaler["delete_instances_on_shutdown"];
            assert_eq!(deletes, &Value::from(true));
            autoscaler["plugin_config"]["name"].as_str().unwrap()
        })
        .collect();
    assert_eq!(
        pools,
        [
            "my-runner-eu",
            "my-runner-eu-2",
            "runner",
            "long-name-long-name-long"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_named_with_the_line_and_without_its_values() {
    let home = Home::new();
    for (line, text, said) in [
        (2, "[[runners]]\ntoken = \"glrt-HIDDEN\n", ""),
        (2, "[[runners]]\ntoken = glrt-HIDDEN\n", "quoted"),
        (2, "[[runners]]\nlimit = \"HIDDEN\"\n", "an integer"),
        (
            3,
            "[[runners]]\n[runners.machine]\nMachineOptions = \"HIDDEN\"\n",
            "an array",
        ),
        (
            3,
            "[[runners]]\n[[runners.machine.autoscaling]]\nIdleScaleFactor = \"HIDDEN\"\n",
            "a number",
        ),
        (1, "runners = \"HIDDEN\"\n", "an array"),
        (
            3,
            "[[runners]]\nname = \"a\"\nname = \"HIDDEN\"\n",
            "duplicate",
        ),
    ] {
        home.file("config.toml", text);
        let ended = home.run(["convert-runner-config", "config.toml"]).await;
        assert!(!ended.err.contains("HIDDEN"), "{ended}");
        assert_eq!(ended.out, "");
        let parsed = format!("cannot parse config.toml: line {line}: ");
        ended.failed(1, &[&parsed, said]);
    }
    home.file("config.toml", b"\xff\xfe");
    for (file, said) in [("config.toml", "UTF-8"), ("none.toml", "No such file")] {
        let ended = home.run(["convert-runner-config", file]).await;
        ended.failed(1, &[&format!("cannot read {file}: "), said]);
    }
    let endless = home.run(["convert-runner-config", "/dev/zero"]).await;
    endless.failed(1, &["cannot read /dev/zero: larger than"]);
    let two = home.run(["convert-runner-config", "a", "b"]).await;
    two.failed(1, &["Too many arguments"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_the_executor_says_so() {
    for config in ["", "[[runners]]\nexecutor = \"docker\"\n[runners.docker]\n"] {
        let ended = convert(config).await.ok();
        assert_eq!(ended.out, "");
        assert!(ended.err.contains("\"docker+machine\""), "{ended}");
    }
}
