//! Tests of the command-line syntax.

use super::*;

fn grammar() -> Grammar {
    let flag = Flag::new;
    Grammar {
        global: vec![
            flag(FlagSpec::bool("debug", "")).short("D"),
            flag(FlagSpec::string("storage-path", "")).short("s"),
            flag(FlagSpec::string("bugsnag-api-token", "")),
        ],
        commands: BTreeMap::from([
            (
                "create",
                vec![
                    flag(FlagSpec::string("driver", "")).short("d"),
                    flag(FlagSpec::list("tls-san", "")),
                    flag(FlagSpec::bool("swarm", "")),
                    flag(FlagSpec::int("port", 22, "")).short("p"),
                    flag(FlagSpec::switch("spot-fallback", "capacity", "")),
                ],
            ),
            (
                "rm",
                vec![
                    flag(FlagSpec::bool("y", "")),
                    flag(FlagSpec::bool("force", "")).short("f"),
                ],
            ),
            ("ssh", Vec::new()),
        ]),
        raw: vec!["ssh"],
    }
}

fn try_line(args: &[&str]) -> Result<String, Refused> {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    normalize(&grammar(), &args).map(|line| line.for_clap().join(" "))
}

fn line(args: &[&str]) -> String {
    try_line(args).unwrap()
}

fn why(args: &[&str]) -> String {
    try_line(args).unwrap_err().why.to_string()
}

#[test]
fn one_dash_or_two_and_a_sign_or_a_word_are_the_same() {
    for args in [
        ["create", "-d", "none", "n"].as_slice(),
        &["create", "--d", "none", "n"],
        &["create", "-driver", "none", "n"],
        &["create", "--driver", "none", "n"],
        &["create", "-d=none", "n"],
        &["create", "-driver=none", "n"],
        &["create", "--driver=none", "n"],
        &["create", "n", "--driver", "none"],
        &["create", "--driver=none", "--", "n"],
    ] {
        assert_eq!(line(args), "create --driver=none -- n", "{args:?}");
    }
}

#[test]
fn booleans_take_a_value_only_behind_a_sign() {
    assert_eq!(line(&["rm", "-y", "n1"]), "rm --y=true -- n1");
    assert_eq!(line(&["rm", "-y", "false"]), "rm --y=true -- false");
    assert_eq!(line(&["rm", "-y=false", "n1"]), "rm --y=false -- n1");
    assert_eq!(line(&["rm", "--force=T"]), "rm --force=T --");
    assert_eq!(
        why(&["rm", "-f=maybe"]),
        r#"invalid boolean value "maybe" for -f: parse error"#
    );
    assert_eq!(
        why(&["rm", "-y="]),
        r#"invalid boolean value "" for -y: parse error"#
    );
}

#[test]
fn switches_may_carry_a_word() {
    assert_eq!(
        line(&["create", "--spot-fallback", "n"]),
        "create --spot-fallback=capacity -- n"
    );
    assert_eq!(
        line(&["create", "--spot-fallback=any"]),
        "create --spot-fallback=any --"
    );
}

#[test]
fn values_may_be_empty_begin_with_a_dash_and_hold_anything() {
    assert_eq!(line(&["create", "--driver="]), "create --driver= --");
    assert_eq!(line(&["create", "--driver", ""]), "create --driver= --");
    assert_eq!(line(&["create", "--driver", "-x"]), "create --driver=-x --");
    assert_eq!(line(&["create", "--driver", "--"]), "create --driver=-- --");
    assert_eq!(
        line(&["create", "--tls-san=a=b,c d"]),
        "create --tls-san=a=b,c d --"
    );
    assert_eq!(line(&["create", "-p", "-0x10"]), "create --port=-0x10 --");
}

#[test]
fn what_is_repeated_stays_in_order() {
    assert_eq!(
        line(&[
            "create",
            "n",
            "--tls-san",
            "a",
            "--tls-san=b",
            "-d",
            "x",
            "-d",
            "y"
        ]),
        "create --tls-san=a --tls-san=b --driver=x --driver=y -- n"
    );
    let flags = ["--driver=x", "--port=1", "--driver=y=z"].map(str::to_owned);
    assert_eq!(last_value(&flags, "driver"), Some("y=z"));
    assert_eq!(last_value(&flags, "drive"), None);
}

#[test]
fn two_forms_of_a_flag_are_refused_as_go_refuses_them() {
    assert_eq!(
        why(&["create", "-d", "a", "--driver", "b"]),
        "Cannot use two forms of the same flag: d driver"
    );
}

#[test]
fn nothing_behind_two_dashes_is_a_flag() {
    assert_eq!(line(&["rm", "--", "-y", "n1"]), "rm -- -y n1");
    assert_eq!(
        line(&["rm", "-f", "--", "--", "-y"]),
        "rm --force=true -- -- -y"
    );
    assert_eq!(
        line(&["rm", "n1", "-y", "--", "-f"]),
        "rm --y=true -- n1 -- -f"
    );
    assert_eq!(line(&["--", "rm", "-y"]), "rm --y=true --");
}

#[test]
fn flags_may_follow_the_words_and_go_moves_them() {
    assert_eq!(line(&["rm", "n1", "n2", "-y"]), "rm --y=true -- n1 n2");
    assert_eq!(line(&["rm", "n1", "-y", "n2"]), "rm --y=true -- n2 n1");
    assert_eq!(line(&["rm", "-y", "n1", "-f"]), "rm --y=true -- n1 -f");
    assert_eq!(line(&["create", "n", "-d"]), "create --driver=n --");
    assert_eq!(line(&["rm", "n1", "--", "-y"]), "rm -- n1 -- -y");
}

#[test]
fn a_dash_alone_is_a_word() {
    assert_eq!(line(&["rm", "-", "-y"]), "rm -- - -y");
    assert_eq!(line(&["rm", "n1", "-", "n2"]), "rm -- - n2 n1");
    assert_eq!(line(&["-"]), "- --");
}

#[test]
fn global_flags_end_at_the_command() {
    assert_eq!(
        line(&["-D", "--bugsnag-api-token=no-report", "-s", "/x", "rm", "n"]),
        "--debug=true --bugsnag-api-token=no-report --storage-path=/x rm -- n"
    );
    assert_eq!(line(&["rm", "-D"]), "rm --D --");
    assert_eq!(line(&["-s", "rm"]), "--storage-path=rm");
    assert_eq!(line(&[]), "");
}

#[test]
fn what_nobody_knows_passes_through_by_name() {
    assert_eq!(line(&["rm", "-bogus=3", "n"]), "rm --bogus -- n");
    assert_eq!(line(&["--bogus"]), "--bogus");
    assert_eq!(line(&["bogus", "-x"]), "bogus --x --");
}

#[test]
fn what_ssh_runs_is_nobodys_business() {
    assert_eq!(
        line(&["ssh", "n", "ls", "-d", "--", "/tmp"]),
        "ssh -- n ls -d -- /tmp"
    );
    assert_eq!(
        line(&["-D", "ssh", "n", "--help"]),
        "--debug=true ssh -- n --help"
    );
    for help in ["-h", "-help", "--help"] {
        assert_eq!(line(&["ssh", help]), "ssh --help=true --");
    }
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    assert_eq!(why(&["rm", "---y"]), "bad flag syntax: ---y");
    assert_eq!(why(&["rm", "-=y"]), "bad flag syntax: -=y");
    assert_eq!(why(&["rm", "--=y"]), "bad flag syntax: --=y");
    assert_eq!(why(&["-s"]), "flag needs an argument: -s");
    assert_eq!(
        why(&["create", "--driver"]),
        "flag needs an argument: -driver"
    );
    // Go takes the flag for the value: a create that was meant to be a dry run would launch.
    assert_eq!(
        why(&["create", "--driver", "--swarm"]),
        "flag needs an argument: -driver"
    );
    assert_eq!(line(&["create", "--driver", "-x"]), "create --driver=-x --");
    assert_eq!(
        why(&["create", "-p", "abc"]),
        r#"invalid value "abc" for flag -p: parse error"#
    );
    let refused = try_line(&["create", "-p", ""]).unwrap_err();
    assert_eq!(refused.command.as_deref(), Some("create"));
    assert_eq!(try_line(&["-s"]).unwrap_err().command, None);
}
