//! Listings match the output of the Go program.

#![allow(clippy::unwrap_used)] // Helpers outside test functions may panic.

use go_template::{Functions, ListFormat, Map, Named, Pointer, Struct, Value};

const DEFAULT: &str = r"table {{ .Name }}\t{{ .Active }}\t{{ .DriverName}}\t{{ .State }}\t{{ .URL }}\t{{ .Swarm }}\t{{ .DockerVersion }}\t{{ .Error}}";

fn headers() -> Value {
    Map::strings([
        ("Name", "NAME"),
        ("Active", "ACTIVE"),
        ("DriverName", "DRIVER"),
        ("State", "STATE"),
        ("URL", "URL"),
        ("Swarm", "SWARM"),
        ("SwarmOptions", "SWARM_OPTIONS"),
        ("DockerVersion", "DOCKER"),
        ("Error", "ERRORS"),
    ])
    .into()
}

/// Makes a row: name, active, driver, state, URL, version, error.
fn row(columns: [&str; 7]) -> Value {
    let [name, active, driver, state, url, version, error] = columns;
    Struct::new(
        "commands.HostListItem",
        [
            ("Name", name.into()),
            ("Active", active.into()),
            ("DriverName", driver.into()),
            ("State", Named::new("state.State", 1, state).into()),
            ("URL", url.into()),
            ("Swarm", "".into()),
            (
                "SwarmOptions",
                Pointer::nil("swarm.Options", ["Host"]).into(),
            ),
            ("DockerVersion", version.into()),
            ("Error", error.into()),
        ],
    )
    .into()
}

fn list(format: &str, rows: &[Value]) -> (String, Option<String>) {
    let format = match ListFormat::parse(format, Functions::new()) {
        Ok(format) => format,
        Err(error) => return (String::new(), Some(error.to_string())),
    };
    let mut out = Vec::new();
    let error = format.write(&headers(), rows, &mut out).err();
    (
        String::from_utf8(out).unwrap(),
        error.map(|error| error.to_string()),
    )
}

#[test]
fn the_default_table() {
    let rows = [
        row([
            "default",
            "-",
            "none",
            "Running",
            "tcp://127.0.0.1:23763",
            "Unknown",
            "Unable",
        ]),
        row([
            "n10",
            "-",
            "none",
            "Running",
            "unix:///var/run/docker.sock",
            "v20.10.24+dfsg1",
            "",
        ]),
    ];
    let expected = "\
NAME      ACTIVE   DRIVER   STATE     URL                           SWARM   DOCKER            ERRORS
default   -        none     Running   tcp://127.0.0.1:23763                 Unknown           Unable
n10       -        none     Running   unix:///var/run/docker.sock           v20.10.24+dfsg1   \n";
    assert_eq!(list(DEFAULT, &rows), (expected.to_owned(), None));
}

#[test]
fn a_table_without_rows_prints_its_headers() {
    let expected = "NAME   ACTIVE   DRIVER   STATE   URL   SWARM   DOCKER   ERRORS\n";
    assert_eq!(list(DEFAULT, &[]), (expected.to_owned(), None));
}

#[test]
fn empty_cells_keep_their_width() {
    let expected = "\
NAME   ACTIVE   DRIVER      STATE     URL   SWARM   DOCKER    ERRORS
e1     -        amazonec2   Stopped                 Unknown   \n";
    let rows = [row(["e1", "-", "amazonec2", "Stopped", "", "Unknown", ""])];
    assert_eq!(list(DEFAULT, &rows), (expected.to_owned(), None));
    let expected = "\
NAME   ACTIVE   DRIVER      STATE   URL   SWARM   DOCKER   ERRORS
zz              not found   Error                          open config.json: no such file or directory\n";
    let rows = [row([
        "zz",
        "",
        "not found",
        "Error",
        "",
        "",
        "open config.json: no such file or directory",
    ])];
    assert_eq!(list(DEFAULT, &rows), (expected.to_owned(), None));
}

#[test]
fn a_format_without_table_prints_only_rows() {
    let rows = [
        row(["a", "", "", "", "", "", ""]),
        row(["b", "", "", "", "", "", ""]),
    ];
    assert_eq!(list("  {{.Name}}  ", &rows), ("a\nb\n".to_owned(), None));
    assert_eq!(
        list(r"{{.Name}}\tx\n", &rows),
        ("a\tx\n\nb\tx\n\n".to_owned(), None)
    );
}

#[test]
fn errors_follow_the_listed_rows() {
    let rows = [row(["a", "", "", "", "", "", ""])];
    let error = r#"template: :1:24: executing "" at <.SwarmOptions.Host>: nil pointer evaluating *swarm.Options.Host"#;
    assert_eq!(
        list("{{.Name}}{{.SwarmOptions.Host}}", &rows),
        ("a".to_owned(), Some(error.to_owned()))
    );
    let error = r#"template: :1:15: executing "" at <.SwarmOptions.Host>: can't evaluate field Host in type string"#;
    assert_eq!(
        list("table {{.SwarmOptions.Host}}", &rows),
        (String::new(), Some(error.to_owned()))
    );
    let error = r#"template: :1:2: executing "" at <.Nope>: can't evaluate field Nope in type commands.HostListItem"#;
    assert_eq!(
        list("table {{.Nope}}", &rows),
        ("<no value>\n".to_owned(), Some(error.to_owned()))
    );
    let error = "template: :2: unclosed action started at :1";
    assert_eq!(
        list("{{.Name", &rows),
        (String::new(), Some(error.to_owned()))
    );
}
