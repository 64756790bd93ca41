//! Output at a terminal: a progress line, colours, wrapped help.

use ec2_lab::hosts::{HostOptions, Moment};
use machine_tests::flows::{Flow, Home};
use machine_tests::terminal::Terminal;

const CLEAR: &str = "\r\x1b[K";

#[tokio::test(flavor = "multi_thread")]
async fn a_create_shows_what_it_waits_for_and_the_elapsed_time() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.push("m1".to_owned());
    let mut terminal = Terminal::start(&flow.home, argv, (80, 24));
    terminal
        .expect("Waiting for SSH to be available...\r\n")
        .await;
    // The progress line below the others has a spinner and a counter.
    terminal.expect("m1 · SSH on ubuntu@").await;
    terminal
        .expect(": connection refused 1s (gives up at 15m)")
        .await;
    terminal.expect(CLEAR).await;
    flow.let_listen().await;
    let left = terminal.end().await;
    assert!(left.status.success(), "{left:?}");
    for line in left.shown.split(CLEAR) {
        // The progress line fits the terminal, so that it is not wrapped.
        let live = line.rsplit('\n').next().unwrap();
        assert!(live.chars().count() < 80, "{live:?}");
    }
    let (_, last) = left.shown.rsplit_once(CLEAR).unwrap();
    assert!(
        !last.contains(['|', '\\']),
        "a progress line remains: {last:?}"
    );

    // In a pipe there are only lines.
    let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert!(!removed.out.contains(['\r', '\x1b']), "{removed}");
    assert_eq!(removed.err, "", "{removed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_answered_is_shown() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let gate = flow.lab.hold("DescribeInstances");
    let mut terminal = Terminal::start(&flow.home, ["status", "m1"], (80, 24));
    terminal
        .expect("EC2's answer to DescribeInstances: none yet 1s")
        .await;
    gate.open();
    let left = terminal.end().await;
    assert!(left.shown.contains("Running\r\n"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_coloured_at_a_terminal_unless_no_color() {
    let mut home = Home::new();
    let wrong = ["stpo", "m1"];
    let shown = Terminal::start(&home, wrong, (80, 24)).end().await.shown;
    assert!(
        shown.starts_with("\x1b[31mdocker-machine: 'stpo' is not"),
        "{shown:?}"
    );
    assert!(
        shown.contains("\x1b[1mhint:\x1b[0m did you mean 'stop'?"),
        "{shown:?}"
    );
    home.set("NO_COLOR", "1");
    let shown = Terminal::start(&home, wrong, (80, 24)).end().await.shown;
    assert!(shown.contains("hint: did you mean 'stop'?"), "{shown:?}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_fits_the_terminal() {
    let home = Home::new();
    let commands = home.run(["--help"]).await.ok().out;
    let (commands, _) = commands.split_once("Options:\n").unwrap();
    let of_list = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let commands = commands
        .lines()
        .filter(of_list)
        .map(|line| line.split_whitespace().next().unwrap());
    let mut helps: Vec<Vec<&str>> = commands.map(|command| vec![command, "--help"]).collect();
    assert!(helps.len() >= 22, "{helps:?}");
    for driver in ["amazonec2", "generic", "none"] {
        helps.push(vec!["create", "--driver", driver, "--help"]);
    }
    helps.push(vec!["--help"]);
    helps.push(vec!["-h"]);
    helps.push(vec!["create", "-d", "amazonec2", "-h"]);
    for argv in helps {
        let left = Terminal::start(&home, &argv, (72, 24)).end().await;
        assert!(left.status.success(), "{left:?}");
        for line in left.shown.lines() {
            // Prose and tables are wrapped; a usage line is not.
            let width = if line.starts_with("Usage: ") { 80 } else { 72 };
            assert!(line.chars().count() <= width, "{argv:?}: {line:?}");
            assert_eq!(line.trim_end(), line, "{argv:?}");
        }
        let shown = left.shown.replace('\r', "");
        let examples = shown.split_once("Examples:\n").map_or("", |it| it.1);
        let mut is_continued = false;
        for line in examples.lines().take_while(|line| !line.is_empty()) {
            // A copy of an example runs: a line that does not end it ends with a backslash.
            let indent = if is_continued { "      " } else { "  " };
            let text = line.strip_prefix(indent).unwrap_or_default();
            assert!(
                !text.is_empty() && !text.starts_with(' '),
                "{argv:?}: {line:?}"
            );
            is_continued = line.ends_with('\\');
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn short_help_is_short_and_names_every_flag() {
    let home = Home::new();
    let help = home.run(["--help"]).await.ok().out;
    let places: Vec<usize> = [
        "Machines:",
        "Connections:",
        "Maintenance:",
        "Other commands:",
    ]
    .iter()
    .map(|heading| help.find(&format!("\n{heading}\n  ")).unwrap())
    .collect();
    assert!(places.is_sorted(), "{help}");
    assert!(help.contains("  create "), "{help}");
    let short = home.run(["-h"]).await.ok().out;
    assert!(
        short.contains("  create ") && !short.contains("--storage-path"),
        "{short}"
    );
    assert!(
        short.ends_with("Run 'docker-machine --help' for more.\n"),
        "{short}"
    );

    let create = ["create", "-d", "amazonec2"];
    let full = home.run(create.iter().chain(&["--help"])).await.ok().out;
    let short = home.run(create.iter().chain(&["-h"])).await.ok().out;
    assert!(short.lines().count() * 2 < full.lines().count(), "{short}");
    let flags = |text: &str| {
        let words = text.split_whitespace().map(str::to_owned);
        words
            .filter(|word| word.starts_with("--amazonec2-"))
            .collect::<Vec<_>>()
    };
    for flag in flags(&full)
        .iter()
        .filter(|flag| !flag.contains(['.', ';']))
    {
        assert!(short.contains(flag.as_str()), "{flag}: {short}");
    }
    let more = "Run 'docker-machine create --driver amazonec2 --help' for more.\n";
    assert!(short.ends_with(more), "{short}");
    let ssh = home.run(["ssh", "-h"]).await.ok().out;
    assert!(ssh.contains("Usage: docker-machine ssh"), "{ssh}");
    assert!(
        ssh.contains("Run 'docker-machine ssh --help' for more."),
        "{ssh}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_similar_name_is_suggested() {
    let home = Home::new();
    for (line, said, hint) in [
        (
            "lss",
            "'lss' is not a docker-machine command",
            "did you mean 'ls'?",
        ),
        ("help crate", "'crate' is not", "did you mean 'create'?"),
        (
            "--debgu ls",
            "not defined: -debgu",
            "did you mean '--debug'?",
        ),
        (
            "ls --fitler x",
            "not defined: -fitler",
            "did you mean '--filter'?",
        ),
        (
            "create --drivr none n",
            "not defined: -drivr",
            "did you mean '--driver'?",
        ),
        (
            "create -d amazonec2 --amazonec2-regoin x n",
            "-amazonec2-regoin",
            "did you mean '--amazonec2-region'?",
        ),
        (
            "create -d none --amazonec2-region x n",
            "-amazonec2-region",
            "an option of the driver amazonec2",
        ),
        (
            "create -d amzonec2 n",
            "\"amzonec2\" not found",
            "did you mean 'amazonec2'?",
        ),
        (
            "create -d xyz n",
            "\"xyz\" not found",
            "amazonec2, generic, none",
        ),
        (
            "create n",
            "no driver given",
            "choose one: --driver amazonec2, --driver generic, --driver none",
        ),
    ] {
        let ended = home.run(line.split(' ')).await.failed(1, &[said]);
        assert!(
            ended.err.contains(&format!("  hint: {hint}")) || ended.err.contains(hint),
            "{ended}"
        );
    }
}
