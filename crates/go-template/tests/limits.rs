//! Hostile templates end with an error, on a test thread's stack and in little memory.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers outside test functions may panic.

use go_template::{Error, Limits, Template, Value};

fn message(template: &Template) -> String {
    match template.execute_to(&Value::Nil, &mut std::io::sink()) {
        Err(Error::Execute(error)) => error.message,
        other => panic!("expected an execution error, found {other:?}"),
    }
}

fn parse(text: &str) -> Template {
    Template::parse("", text).unwrap()
}

#[test]
fn recursion_ends_at_gos_depth_limit() {
    let template =
        parse(r#"{{define "T"}}{{if true}}{{template "T"}}{{end}}{{end}}{{template "T"}}"#);
    let error = template.execute(&Value::Nil).unwrap_err().to_string();
    let expected = r#"template: :1:36: executing "T" at <{{template "T"}}>: exceeded maximum template depth (100000)"#;
    assert_eq!(error, expected);
}

#[test]
fn endless_loops_reach_the_step_limit() {
    let limits = Limits::default().with_steps(10_000);
    for text in [
        "{{range 9223372036854775807}}{{end}}",
        "{{range 1000}}{{range 1000}}{{range 1000}}x{{end}}{{end}}{{end}}",
        r#"{{define "T"}}{{template "U"}}{{template "U"}}{{end}}{{define "U"}}{{template "T"}}{{end}}{{template "T"}}"#,
    ] {
        assert_eq!(
            message(&parse(text).with_limits(limits)),
            "too many steps",
            "{text}"
        );
    }
}

#[test]
fn output_and_strings_are_bounded() {
    let limits = Limits::default().with_bytes(100_000);
    for (text, expected) in [
        (r#"{{range 1000000}}xxxxxxxxxx{{end}}"#, "too much output"),
        (
            r#"{{$x := "ab"}}{{range 100}}{{$x = print $x $x}}{{end}}"#,
            "error calling print: text is too long",
        ),
        (
            r#"{{printf "%999999d" 1}}"#,
            "error calling printf: text is too long",
        ),
        (
            r#"{{printf "%.999999d" 1}}"#,
            "error calling printf: text is too long",
        ),
        (
            r#"{{range 1000}}{{$x := printf "%9999d" 1}}{{end}}"#,
            "error calling printf: text is too long",
        ),
    ] {
        assert_eq!(
            message(&parse(text).with_limits(limits)),
            expected,
            "{text}"
        );
    }
}

#[test]
fn escaped_text_counts_towards_the_byte_limit() {
    let limits = Limits::default().with_bytes(100_000);
    let text = r#"{{$x := "&"}}{{range 100}}{{$x = html $x $x}}{{end}}"#;
    assert!(message(&parse(text).with_limits(limits)).contains("too"));
}

#[test]
fn nesting_is_bounded() {
    let refused = |text: &str| Template::parse("", text).unwrap_err().to_string();
    let expected = "template: :1: max expression depth exceeded";
    assert_eq!(
        refused(&format!(
            "{{{{{}1{}}}}}",
            "(".repeat(100_000),
            ")".repeat(100_000)
        )),
        expected
    );
    assert_eq!(refused(&"{{if 1}}".repeat(100_000)), expected);
    assert_eq!(
        refused(&format!("{{{{if 1}}}}{}", "{{else if 1}}".repeat(100_000))),
        expected
    );
    assert_eq!(refused(&r#"{{block "x" .}}"#.repeat(100_000)), expected);
}

#[test]
fn the_deepest_nesting_works() {
    let parentheses = format!("{{{{{}1{}}}}}", "(".repeat(100), ")".repeat(100));
    assert_eq!(parse(&parentheses).execute(&Value::Nil).unwrap(), "1");
    let functions = format!("{{{{{}1{}}}}}", "print (".repeat(100), ")".repeat(100));
    assert_eq!(parse(&functions).execute(&Value::Nil).unwrap(), "1");
    let blocks = format!("{}x{}", "{{range 1}}".repeat(100), "{{end}}".repeat(100));
    assert_eq!(parse(&blocks).execute(&Value::Nil).unwrap(), "x");
    let chain = format!(
        "{{{{if false}}}}{}{{{{else}}}}x{{{{end}}}}",
        "{{else if false}}".repeat(98)
    );
    assert_eq!(parse(&chain).execute(&Value::Nil).unwrap(), "x");
}

#[test]
fn output_before_an_error_is_written() {
    let mut out = Vec::new();
    parse(r#"one {{2}} {{nil | print}}"#)
        .execute_to(&Value::Nil, &mut out)
        .unwrap_err();
    assert_eq!(out, b"one 2 ");
}

#[test]
fn a_writer_that_fails_ends_the_execution() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    match parse("{{range 9223372036854775807}}x{{end}}").execute_to(&Value::Nil, &mut Closed) {
        Err(Error::Write(error)) => assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe),
        other => panic!("expected a write error, found {other:?}"),
    }
}
