//! User mistakes and their error messages: each message names the remedy.
//!
//! `cargo test -p machine-tests --test cli mistakes -- --nocapture` prints the table: the typed command, the output,
//! the exit status and the seconds.

use std::process::Stdio;
use std::time::Duration;

use ec2_lab::ec2::{InstanceState, Lab};
use ec2_lab::hosts::{HostOptions, Moment};
use machine_tests::flows::{Ended, Flow, Home};
use machine_tests::terminal::Terminal;
use machine_tests::web::Web;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;

/// Maximum duration of a command that reports a mistake, on a busy computer.
const PROMPT: Duration = Duration::from_secs(15);

/// Prints a row of the table, and checks the output.
#[track_caller]
fn told(ended: Ended, code: i32, said: &[&str]) -> Ended {
    let typed = ended.argv.split_once(' ').map_or("", |(_, words)| words);
    let answer = match ended.err.trim() {
        "" => ended.out.trim(),
        err => err,
    };
    let seconds = ended.took.as_secs_f64();
    let code_said = ended.code.unwrap_or(-1);
    machine_tests::tell(&format!(
        "| `{typed}` | {} | {code_said} | {seconds:.1} |",
        answer.replace('\n', "<br>")
    ));
    assert_eq!(ended.code, Some(code), "{ended}");
    let all = format!("{}{}", ended.out, ended.err);
    for text in said {
        assert!(all.contains(text), "not said: {text:?}\n{ended}");
    }
    assert!(!all.contains("this is a bug"), "{ended}");
    assert!(ended.took < PROMPT, "{:?}: {ended}", ended.took);
    ended
}

/// Types a line.
async fn typed(home: &Home, line: &str, code: i32, said: &[&str]) -> Ended {
    let ended = home.run(line.split_whitespace()).await;
    told(ended, code, said)
}

/// Types a line at a terminal of 80 columns.
async fn at_a_terminal(home: &Home, line: &str, said: &[&str]) -> String {
    let left = Terminal::start(home, line.split_whitespace(), (80, 24))
        .end()
        .await;
    let shown = left.shown.replace('\r', "");
    machine_tests::tell(&format!(
        "| `{line}` (terminal) | {} | {:?} | |",
        shown.trim().replace('\n', "<br>"),
        left.status.code()
    ));
    for text in said {
        assert!(shown.contains(text), "not shown: {text:?}\n{shown}");
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_the_command_line() {
    let home = Home::new();
    for (line, said) in [
        (
            "create m1",
            &[
                "no driver given",
                "--driver amazonec2, --driver generic, --driver none",
            ][..],
        ),
        (
            "create -d amazonec2 --amazonec2-tags --dry-run m1",
            &[
                "flag needs an argument: -amazonec2-tags",
                "--dry-run is a flag; if it is meant as the value, write --amazonec2-tags=--dry-run",
            ],
        ),
        (
            "create --amazonec2-region=us-east-1 m1",
            &[
                "no driver given",
                "--amazonec2-region is an option of the driver amazonec2: add --driver amazonec2",
            ],
        ),
        (
            "create -d hetzner m1",
            &[
                "Driver \"hetzner\" not found. Do you have the plugin binary",
                "choose one with --driver: amazonec2, generic, none. Plugin drivers are not loaded",
            ],
        ),
        (
            "create -d amazonec2 --region x m1",
            &[
                "flag provided but not defined: -region",
                "did you mean '--amazonec2-region'?",
            ],
        ),
        (
            "create -d amazonec2 --instance-type=t3.micro m1",
            &["did you mean '--amazonec2-instance-type'?"],
        ),
        (
            "create -d generic --ssh-user=u m1",
            &["did you mean '--generic-ssh-user'?"],
        ),
        (
            "create -d none --verbose m1",
            &["did you mean 'docker-machine --debug create'?"],
        ),
        ("--verbose ls", &["did you mean '--debug'?"]),
        (
            "create -d none --storage-path=/x m1",
            &["did you mean 'docker-machine --storage-path create'?"],
        ),
        (
            "--quiet ls",
            &["--quiet goes after the command: docker-machine ls --quiet"],
        ),
        (
            "delete m1",
            &[
                "'delete' is not a docker-machine command",
                "did you mean 'rm'?",
            ],
        ),
        ("ps", &["did you mean 'ls'?"]),
        ("exec m1 ls", &["did you mean 'ssh'?"]),
        ("info m1", &["did you mean 'inspect'?"]),
        (
            "create -d amazonec2 --amazonec2-root-size 16G m1",
            &[
                "invalid value \"16G\" for flag -amazonec2-root-size: parse error",
                "--amazonec2-root-size takes a whole number, such as 16, without a unit",
            ],
        ),
        (
            "create -d amazonec2 --amazonec2-ssh-port abc m1",
            &[
                "invalid value \"abc\" for flag -amazonec2-ssh-port: parse error",
                "takes a whole number, such as 22",
            ],
        ),
        (
            "create -d amazonec2 --amazonec2-request-spot-instance true a17",
            &[
                "Invalid command line. Found extra arguments [a17]",
                "a switch takes its value after '=': --amazonec2-request-spot-instance=true",
            ],
        ),
        (
            "create -d amazonec2 --amazonec2-spot-fallback any a17",
            &["a switch takes its value after '=': --amazonec2-spot-fallback=any"],
        ),
        (
            "create -d none --url tcp://h:1 my_server",
            &[
                "Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -",
                "the name contains '_': expected letters, digits, dots and dashes, as in \"my-server\"",
            ],
        ),
        (
            "create -d none --url tcp://h:1 m9 --dry-run",
            &[
                "Invalid command line. Found extra arguments [--dry-run]",
                "options go before the name: docker-machine create ... --dry-run m9",
            ],
        ),
        (
            "create -d none --url tcp://h:1 m9 --dry-run=true --engine-label a=b",
            &["docker-machine create ... --dry-run=true --engine-label a=b m9"],
        ),
        (
            "rm -y nosuch -f",
            &["options go before the names: docker-machine rm ... -f nosuch"],
        ),
        (
            "--driver amazonec2 create x",
            &[
                "flag provided but not defined: -driver",
                "--driver goes after the command: docker-machine create --driver amazonec2",
            ],
        ),
        (
            "--region=us-east-1 create x",
            &["docker-machine create --amazonec2-region us-east-1"],
        ),
        (
            "--region us-east-1 ls",
            &["options of a command go after it: 'docker-machine ls --help'"],
        ),
        (
            "m1 create -d none",
            &[
                "'m1' is not a docker-machine command",
                "the command goes first: docker-machine create m1",
            ],
        ),
        (
            "create -d none --url m1",
            &[
                "Error: No machine name specified",
                "m1 is the value of --url: add the name after it",
            ],
        ),
        (
            "create -d amazonec2 \u{2013}amazonec2-ami ami-1 m1",
            &["is no hyphen (U+2013): write --amazonec2-ami"],
        ),
        ("\u{2013}debug ls", &["write --debug"]),
        (
            "create -d amazonec2 --amazonec2-spot m1",
            &["did you mean '--amazonec2-request-spot-instance'?"],
        ),
        (
            "create -d amazonec2 --spot-instance m1",
            &["did you mean '--amazonec2-request-spot-instance'?"],
        ),
        (
            "create -d amazonec2 --amazonec2-insecure-transport=maybe m1",
            &[
                "invalid boolean value \"maybe\"",
                "takes true or false; without a value it is true",
            ],
        ),
        ("create -d aws m1", &["did you mean 'amazonec2'?"]),
        ("create -d AmazonEC2 m1", &["did you mean 'amazonec2'?"]),
        ("CREATE m1", &["did you mean 'create'?"]),
        ("Ls", &["did you mean 'ls'?"]),
        ("conect m1", &["did you mean 'ssh'?"]),
        ("-V", &["did you mean '--version'?"]),
        ("rm -yf m1", &["short options are given one by one: -y -f"]),
        (
            "update-labels --label foo m1",
            &["invalid value \"foo\" for flag -label: expected KEY=VALUE"],
        ),
        (
            "prune --older-than 2",
            &["--older-than takes a time with its unit, such as 90m, 2h or 1d"],
        ),
        (
            "prune --tag foo",
            &["invalid value \"foo\" for flag -tag: expected KEY=VALUE"],
        ),
        (
            "ls --filter foo",
            &[
                "Unsupported filter syntax",
                "\"foo\" is no filter: expected driver=NAME",
            ],
        ),
        ("ls --filter age", &["quote the filter: in 'age>6h'"]),
        (
            "ls --filter foo=bar",
            &[
                "Unsupported filter key 'foo'",
                "the filters are driver=NAME",
            ],
        ),
        (
            "ls --timeout -1",
            &["invalid value \"-1\" for flag -timeout: expected a number of seconds"],
        ),
        ("ls --watch -q", &["cannot combine --watch and --quiet"]),
        ("env -u --shell fsh", &[]),
        ("rm nosuch", &["Docker machine \"nosuch\" does not exist"]),
        ("ls nosuch", &["Docker machine \"nosuch\" does not exist"]),
    ] {
        let code = i32::from(!line.starts_with("env -u"));
        typed(&home, line, code, said).await;
    }
    let long = format!("create -d none --url tcp://h:1 {}", "x".repeat(300));
    typed(
        &home,
        &long,
        1,
        &["the name has 300 characters: 200 is the limit"],
    )
    .await;
    // No question is asked for an unknown name.
    for line in ["rm nosuch", "regenerate-certs nosuch"] {
        let asked = typed(&home, line, 1, &["does not exist"]).await;
        assert!(!asked.out.contains("(y/n)"), "{asked}");
    }
    // A wrong suggestion is worse than none.
    for line in ["ls -l", "ls -a"] {
        let refused = typed(&home, line, 1, &["flag provided but not defined"]).await;
        assert!(!refused.err.contains("did you mean"), "{refused}");
    }
    typed(
        &home,
        "ls --filter state=Runing",
        0,
        &["no machine has this state: unknown state \"Runing\": the states are Running"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_help_is_named_and_not_printed() {
    let home = Home::new();
    for (line, said) in [
        (
            "create -d amazonec2 --region x m1",
            &[
                "flag provided but not defined: -region",
                "did you mean '--amazonec2-region'?",
                "run 'docker-machine create --driver amazonec2 --help'",
            ][..],
        ),
        ("ls --bogus", &["run 'docker-machine ls --help'"]),
        ("rm", &["run 'docker-machine rm --help'"]),
        ("url", &["run 'docker-machine url --help'"]),
        ("env a b", &["run 'docker-machine env --help'"]),
        ("ssh", &["run 'docker-machine ssh --help'"]),
        ("stop", &["run 'docker-machine stop --help'"]),
        (
            "create -d amazonec2 --amazonec2-root-size 16G m1",
            &["run 'docker-machine create --driver amazonec2 --help'"],
        ),
        ("--bogus", &["run 'docker-machine --help'"]),
    ] {
        let shown = at_a_terminal(&home, line, said).await;
        assert!(shown.lines().count() <= 6, "{line}: {shown}");
    }
    // In a pipe, the help is printed.
    let piped = typed(
        &home,
        "ls --bogus",
        1,
        &["flag provided but not defined: -bogus"],
    )
    .await;
    assert!(piped.out.starts_with("List machines"), "{piped}");
    at_a_terminal(
        &home,
        "ls",
        &[
            "no machines: there is no store at",
            "sudo -H docker-machine ls",
        ],
    )
    .await;
    at_a_terminal(
        &home,
        "ls --format yaml",
        &["--format yaml names no field: expected json, table"],
    )
    .await;
    let mut homeless = Home::new();
    homeless.set("MACHINE_LOG", "foo");
    for variable in ["HOME", "MACHINE_STORAGE_PATH"] {
        homeless.unset(variable);
    }
    at_a_terminal(
        &homeless,
        "ls",
        &[
            "no machines: no storage directory: set --storage-path",
            "WARNING: $MACHINE_LOG is ignored: \"foo\" is not json",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shells() {
    let mut home = Home::new();
    let unknown = typed(
        &home,
        "env -u --shell fsh",
        0,
        &["unknown shell \"fsh\": the lines are for sh"],
    )
    .await;
    assert!(
        unknown
            .err
            .contains("bash, zsh, sh, fish, tcsh, cmd, powershell, emacs"),
        "{unknown}"
    );
    // Other names may be those of shells with sh syntax.
    for shell in ["dash", "nu", "Fish"] {
        let line = format!("env -u --shell {shell}");
        assert_eq!(typed(&home, &line, 0, &[]).await.err, "", "{shell}");
    }
    home.unset("SHELL");
    typed(&home, "env -u", 1, &["Error: Unknown shell", "--shell sh"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn regions() {
    let mut flow = Flow::start().await;
    for (region, said) in [
        (
            "us-esat-1",
            &[
                "Invalid region specified: \"us-esat-1\"",
                "did you mean us-east-1?",
            ][..],
        ),
        ("us-east1", &["did you mean us-east-1?"]),
        ("US-EAST-1", &["did you mean us-east-1?"]),
        (
            "us-east-1a",
            &[
                "us-east-1a is a zone of the region us-east-1: --amazonec2-region=us-east-1 --amazonec2-zone=a",
            ],
        ),
    ] {
        let line = format!("create -d amazonec2 --amazonec2-region={region} m1");
        typed(&flow.home, &line, 1, said).await;
    }
    let vpc = flow
        .create("m1", &["--amazonec2-vpc-id=vpc-0123456789abcdef0"])
        .await;
    told(
        vpc,
        3,
        &["there is no VPC vpc-0123456789abcdef0 in region us-east-1"],
    );
    // Names under .invalid are rejected without a DNS query (RFC 6761).
    let unresolved =
        "create -d amazonec2 --amazonec2-endpoint=https://ec2.invalid --amazonec2-vpc-id=vpc-1 m1";
    typed(
        &flow.home,
        unresolved,
        3,
        &[
            "cannot resolve ec2.invalid",
            "$HTTPS_PROXY is not set",
            "us-east-1 is a region",
        ],
    )
    .await;
    // The region of the AWS CLI's settings is used, and reported.
    let rehearse = |flow: &Flow, region: &str| {
        let endpoint = flow.lab.endpoint();
        format!(
            "create --dry-run -d amazonec2 --amazonec2-endpoint={endpoint} --amazonec2-zone={region}a m1"
        )
    };
    flow.home.set("AWS_REGION", "eu-west-1");
    let said = ["using the region eu-west-1 of $AWS_REGION", "eu-west-1a"];
    typed(&flow.home, &rehearse(&flow, "eu-west-1"), 0, &said).await;
    let line = rehearse(&flow, "us-east-1");
    let line = line.replace("create", "create --amazonec2-region=us-east-1");
    let given = typed(&flow.home, &line, 0, &["us-east-1a"]).await;
    assert!(!given.out.contains("eu-west-1"), "{given}");
    flow.home.set("AWS_DEFAULT_REGION", "us-east-1");
    let said = ["the region is us-east-1, by $AWS_DEFAULT_REGION: $AWS_REGION is eu-west-1"];
    typed(&flow.home, &rehearse(&flow, "us-east-1"), 0, &said).await;
    flow.home.unset("AWS_DEFAULT_REGION");
    // A value that is no region is named with its source.
    flow.home.set("AWS_REGION", "eu-west-1a");
    let said = ["Invalid region specified: \"eu-west-1a\", by $AWS_REGION"];
    typed(&flow.home, "create --dry-run -d amazonec2 m1", 1, &said).await;
    flow.home.unset("AWS_REGION");
    std::fs::create_dir(flow.home.path().join(".aws")).unwrap();
    flow.home
        .file(".aws/config", "[default]\nregion = eu-north-1\n");
    let said = ["using the region eu-north-1 of the AWS profile default"];
    typed(&flow.home, &rehearse(&flow, "eu-north-1"), 0, &said).await;
    flow.home.set("AWS_DEFAULT_REGION", "us-east-1");
    let given = typed(&flow.home, &rehearse(&flow, "us-east-1"), 0, &[]).await;
    assert!(!given.out.contains("region eu"), "{given}");
}

/// Something between answers for EC2 or STS: a portal, a proxy, another service.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_not_ec2() {
    let mut flow = Flow::start().await;
    let portal = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>x</body></html>";
    let foreign = "is not EC2, but perhaps a proxy, a login portal or another server";
    for (status, body, found, hint) in [
        (
            200,
            portal,
            "HTTP status 200 and an HTML page (\"Sign in\")",
            foreign,
        ),
        (404, "", "HTTP status 404 and an empty body", foreign),
        (
            403,
            "{\"message\":\"Forbidden\"}",
            "status 403 and a JSON body",
            foreign,
        ),
        (
            200,
            "<a/>",
            "HTTP status 200 and XML of another service",
            foreign,
        ),
        (
            502,
            "",
            "HTTP status 502 and an empty body",
            "EC2 or a proxy in front of it is unavailable: try again later",
        ),
        (
            503,
            portal,
            "HTTP status 503 and an HTML page",
            "unavailable",
        ),
    ] {
        let web =
            Web::serve(
                move |_| async move { (status, "Content-Type: text/plain", body.to_owned()) },
            )
            .await;
        let line = format!(
            "create -d amazonec2 --amazonec2-retries=-1 --amazonec2-endpoint={} --amazonec2-vpc-id=vpc-1 m1",
            web.url()
        );
        let said = [
            "cannot read the answer to Describe",
            found,
            "and EC2 sends XML",
            hint,
            "--amazonec2-endpoint",
        ];
        let ended = typed(&flow.home, &line, 3, &said).await;
        for inner in [
            "{ prefix",
            "Request {",
            "SdkBody",
            "got no answer",
            "unhandled",
        ] {
            assert!(!ended.err.contains(inner), "{inner}: {ended}");
        }
        let debug = typed(&flow.home, &format!("--debug {line}"), 3, &[found]).await;
        let body = format!("HTTP status {status}, ");
        assert!(
            debug.err.contains(&body) || debug.out.contains(&body),
            "{debug}"
        );
    }
    let web =
        Web::serve(move |_| async move { (502, "Content-Type: text/html", portal.to_owned()) })
            .await;
    flow.home.set("AWS_ENDPOINT_URL_STS", web.url());
    typed(
        &flow.home,
        &format!(
            "doctor --driver amazonec2 --amazonec2-endpoint={}",
            flow.lab.endpoint()
        ),
        0,
        &[
            "cannot read the answer to GetCallerIdentity",
            "and STS sends XML",
        ],
    )
    .await;
    for endpoint in ["foo:bar:baz", "http://ec2.example:https"] {
        let line = format!("create -d amazonec2 --amazonec2-endpoint={endpoint} m1");
        let said = ["neither a host nor an http or https URL", "HOST:PORT"];
        typed(&flow.home, &line, 1, &said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_do_not_run() {
    let flow = Flow::start().await;
    let home = &flow.home;
    flow.create("m1", &[]).await.ok();
    home.run(["stop", "m1"]).await.ok();
    let hint = "m1 is stopped: docker-machine start m1";
    for line in ["env m1", "config m1", "url m1", "scp m1:/etc/hostname ."] {
        typed(home, line, 1, &["Host is not running", hint]).await;
    }
    typed(
        home,
        "ssh m1 true",
        1,
        &["Host \"m1\" is not running", hint],
    )
    .await;
    for line in ["provision m1", "regenerate-certs -f m1", "upgrade m1"] {
        typed(home, line, 1, &["Host is not running", hint]).await;
    }
    typed(home, "rm m1", 0, &["Are you sure?"]).await;
    at_a_terminal(home, "ls m1", &["m1", "Stopped"]).await;

    home.run(["start", "m1"]).await.ok();
    let id = flow.lab.live_instances().remove(0).id;
    assert!(flow.lab.reclaim(&id));
    let has_ended = |lab: &Lab| {
        lab.instance(&id)
            .is_some_and(|instance| instance.state == InstanceState::Terminated)
    };
    flow.lab.until(has_ended).await;
    let gone = format!("the instance {id} is terminated");
    let way_out = "docker-machine rm m1";
    typed(home, "ls", 0, &[&gone, way_out]).await;
    for line in ["start m1", "stop m1", "kill m1", "restart m1"] {
        typed(home, line, 1, &[&gone, way_out]).await;
    }
    for line in ["env m1", "url m1", "ssh m1 true", "provision m1"] {
        typed(home, line, 1, &[&gone, way_out]).await;
    }
    typed(home, "doctor m1", 1, &[&gone, "docker-machine rm m1"]).await;
    typed(home, "rm -y m1", 0, &["Successfully removed m1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_formats() {
    let flow = Flow::start().await;
    let home = &flow.home;
    for name in ["n1", "n2"] {
        let create = ["create", "-d", "none", "--url", "tcp://127.0.0.1:1", name];
        home.run(create).await.ok();
    }
    let one = typed(home, "ls n1", 0, &["n1"]).await;
    assert!(!one.out.contains("n2"), "{one}");
    assert_eq!(typed(home, "ls -q n2", 0, &[]).await.out, "n2\n");
    let some = typed(
        home,
        "ls -q n2 n3",
        1,
        &["Docker machine \"n3\" does not exist"],
    )
    .await;
    assert_eq!(some.out, "n2\n");
    for line in ["ls --json n1", "ls --format json n1"] {
        let object = typed(home, line, 0, &[]).await.out;
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(object["name"], "n1");
    }
    let templated = home.run(["ls", "--format", "{{json .}}", "n1"]).await;
    let object: serde_json::Value = serde_json::from_str(&told(templated, 0, &[]).out).unwrap();
    assert_eq!(
        (&object["Name"], &object["State"]),
        (&"n1".into(), &"Running".into())
    );
    typed(home, "ls --format table", 0, &["NAME   ACTIVE   DRIVER"]).await;
    let wrong = home.run(["ls", "--format", "{{.Nmae}}"]).await;
    told(
        wrong,
        1,
        &["can't evaluate field Nmae", "the fields are .Name .Active"],
    );
    let inspected = typed(home, "inspect --format json n1", 0, &[]).await.out;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Name"], "n1");
    assert_eq!(typed(home, "rm --yes n1", 0, &[]).await.err, "");
}

/// Creates `m1`, and `g1` of the driver generic on the same host.
async fn with_a_server_of_ones_own() -> Flow {
    let flow = Flow::start().await;
    let home = &flow.home;
    flow.create("m1", &[]).await.ok();
    let key = home.path().join("key");
    std::fs::copy(home.machine("m1").join("id_rsa"), &key).unwrap();
    let spec = flow.host().spec();
    let create = format!(
        "create -d generic --generic-ip-address={} --generic-ssh-port=2222 --generic-ssh-user={} --generic-ssh-key={} g1",
        spec.address,
        spec.user,
        key.display()
    );
    home.run(create.split(' ')).await.ok();
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_no_matter_of_certificates() {
    let flow = with_a_server_of_ones_own().await;
    let config = flow.home.machine("g1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    // The machine runs, but this port has no listener.
    std::fs::write(
        &config,
        saved.replace("\"EnginePort\": 2376", "\"EnginePort\": 9"),
    )
    .unwrap();
    let said = [
        "There was an error validating certificates",
        "new certificates do not help",
    ];
    typed(&flow.home, "env g1", 1, &said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_ones_own_stays() {
    let flow = with_a_server_of_ones_own().await;
    let home = &flow.home;
    let said = ["g1: only the local reference is deleted; the server stays as it is"];
    typed(home, "rm -y g1", 0, &said).await;
    // No message is printed for an instance that is removed.
    assert_eq!(typed(home, "rm -y m1", 0, &[]).await.err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_at_work_and_one_that_was_interrupted() {
    let never = HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    };
    let flow = Flow::with_hosts(never).await;
    let mut create = flow.home.start(flow.creating("m1", &[]));
    flow.on_record("m1").await;
    let pid = create.id().unwrap();
    let process = format!("Creating (process {pid}, ");
    typed(&flow.home, "ls", 0, &[&process]).await;
    typed(&flow.home, "doctor m1", 0, &[&process]).await;
    create.kill().await.unwrap();
    let interrupted = "create was interrupted";
    typed(&flow.home, "ls", 0, &[interrupted, "docker-machine rm m1"]).await;
    typed(
        &flow.home,
        "env m1",
        1,
        &[interrupted, "docker-machine rm m1"],
    )
    .await;
    let again = flow.create("m1", &[]).await;
    again.failed(1, &["already exists", interrupted, "docker-machine rm m1"]);
    typed(
        &flow.home,
        "doctor m1",
        1,
        &[interrupted, "docker-machine rm m1"],
    )
    .await;
    typed(&flow.home, "rm -y m1", 0, &[]).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_cancelled_says_what_it_removed() {
    let never = HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    };
    let flow = Flow::with_hosts(never).await;
    let mut command = flow.home.command(flow.creating("m1", &[]));
    let mut create = command.stderr(Stdio::piped()).spawn().unwrap();
    flow.lab.until(|_| !flow.hosts.hosts().is_empty()).await;
    let id = flow.lab.live_instances().remove(0).id;
    let pid = i32::try_from(create.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    assert_eq!(create.wait().await.unwrap().code(), Some(1));
    let mut said = String::new();
    create
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    machine_tests::tell(&said);
    for text in [&format!("instance {id} in us-east-1"), "nothing is left"] {
        assert!(said.contains(text), "{text:?}: {said}");
    }
    // It is shared, and stays.
    assert!(!said.contains("security group"), "{said}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_says_where_to_look() {
    let never = HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    };
    let flow = Flow::with_hosts(never).await;
    let cleanup = flow.lab.hold("TerminateInstances");
    let mut create = Terminal::start(&flow.home, flow.creating("m1", &[]), (80, 24));
    flow.on_record("m1").await;
    let id = flow.lab.live_instances().remove(0).id;
    create.keys("\u{3}").await;
    create.expect(&format!("removing instance {id}")).await;
    cleanup.arrived(1).await;
    create.keys("\u{3}").await;
    let left = create.end().await;
    assert_eq!(left.status.code(), Some(130), "{}", left.shown);
    let said = "stopped by SIGINT before the cleanup after SIGINT was complete";
    assert!(left.shown.contains(said), "{}", left.shown);
    cleanup.open();
    typed(&flow.home, "rm -y m1", 0, &[]).await;
    flow.assert_clean();
}
