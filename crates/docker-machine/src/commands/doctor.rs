//! `docker-machine doctor`.

use async_trait::async_trait;
use go_template::tabwriter::{Layout, align};
use libmachine::DoctorRequest;
use machine_driver::{Check, FlagSpec, Verdict};

use super::runner_checks::{self, RunnerChecks};
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::console::Stream;

/// Checks the store, credentials, network and machines.
pub(crate) struct Doctor;

#[async_trait(?Send)]
impl Command for Doctor {
    fn about(&self) -> About {
        About {
            name: "doctor",
            arguments: "[NAME...]",
            summary: "Check the store, credentials, network and machines",
            details: "Looks at the store, the certificates, the credentials, and the ways to the machines: all of them, or those named. With --driver and the flags of a create, also at all that this create would build on. With --config, at the creates that GitLab Runner would run by each [runners.machine] of its configuration file. Changes nothing, here or in the cloud. Fails where something is wrong.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine doctor m1",
            "docker-machine doctor --config /etc/gitlab-runner/config.toml",
            "docker-machine doctor --format json",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(
                FlagSpec::string("driver", "Examine a create with this driver, and its flags")
                    .env("MACHINE_DRIVER"),
            )
            .short("d")
            .values(crate::drivers::names()),
            Flag::new(FlagSpec::bool(
                "all",
                "At a terminal, list the machines too of which nothing is wrong",
            )),
            Flag::new(FlagSpec::string("format", "'json' for one object per line"))
                .short("f")
                .values(["json"]),
            Flag::new(FlagSpec::string(
                "config",
                "Examine the creates of this configuration file of GitLab Runner",
            )),
        ]
    }

    fn takes_driver_flags(&self) -> bool {
        true
    }

    fn needs_driver(&self) -> bool {
        false
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn only_looks(&self) -> bool {
        true
    }

    fn leaves_no_trace(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let has_driver = !arguments.driver_name.is_empty();
        let config = arguments.options.string("config");
        let runners = match config.as_str() {
            "" => RunnerChecks::default(),
            file => runner_checks::read(cx, file)?,
        };
        let shows_all = arguments.options.bool("all") || !arguments.words.is_empty();
        let request = DoctorRequest {
            names: arguments.words,
            plan: has_driver.then_some((arguments.driver_name, arguments.driver)),
            creates: runners.creates,
        };
        let mut checks = runners.checks;
        checks.extend(libmachine::examine(&cx.library, &request).await?);
        let console = &cx.world.console;
        let shown = match arguments.options.string("format").as_str() {
            "json" => json(&checks).into_bytes(),
            "" if console.terminals().out => {
                let width = console.terminals().help_width();
                report(&checks, shows_all, width).into_bytes()
            }
            "" => table(&checks),
            other => {
                let failure = Failure::new(format!("unknown format {other:?}"));
                return Err(failure.with_hint("the format is json, or none for a table"));
            }
        };
        console.write(Stream::Out, &shown);
        let is_wrong = |check: &&Check| check.verdict == Verdict::Wrong;
        match checks.iter().filter(is_wrong).count() {
            0 => Ok(()),
            1 => Err(Failure::new("1 thing is wrong")),
            wrong => Err(Failure::new(format!("{wrong} things are wrong"))),
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "ok",
        Verdict::Notable => "note",
        Verdict::Wrong => "WRONG",
    }
}

/// Formats the checks as JSON, one object per line. The keys are stable.
fn json(checks: &[Check]) -> String {
    let object = |check: &Check| {
        let object = serde_json::json!({
            "result": word(check.verdict).to_lowercase(),
            "subject": check.subject,
            "found": check.found,
            "remedy": check.remedy,
        });
        format!("{object}\n")
    };
    checks.iter().map(object).collect()
}

/// Formats the checks for a terminal: one line for a passed check, the finding and the remedy for the others, and the
/// totals. Leaves out passed checks of machines unless `all` is set, because there may be hundreds.
fn report(checks: &[Check], all: bool, width: usize) -> String {
    let mut text = String::new();
    for check in checks {
        let is_right = check.verdict == Verdict::Right;
        if is_right && !all && check.subject.starts_with("machine ") {
            continue;
        }
        let finding = one_cell(&format!("{}: {}", check.subject, check.found));
        let label = format!("{:<INDENT$}", word(check.verdict));
        let lines = match is_right {
            true => vec![cut(&finding, width - INDENT)],
            false => wrapped(&finding, width - INDENT),
        };
        let remedy = wrapped(&one_cell(&check.remedy), width - INDENT);
        for (index, line) in lines.iter().chain(&remedy).enumerate() {
            let before = if index == 0 {
                label.as_str()
            } else {
                INDENTATION
            };
            text.push_str(&format!("{before}{line}\n"));
        }
    }
    let count = |verdict| {
        checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let (right, notable) = (count(Verdict::Right), count(Verdict::Notable));
    let wrong = count(Verdict::Wrong);
    text + &format!("{right} ok, {notable} to note, {wrong} wrong\n")
}

/// The width of the column of results.
const INDENT: usize = 7;
const INDENTATION: &str = "       ";

/// Truncates a text to a width.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Breaks a text into lines at spaces. A word that is too long for a line, for example a URL, is kept whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn table(checks: &[Check]) -> Vec<u8> {
    let mut text = "RESULT\tSUBJECT\tFOUND\tWHAT TO DO\n".to_owned();
    for check in checks {
        let verdict = word(check.verdict);
        let remedy = match check.remedy.as_str() {
            "" => "-",
            remedy => remedy,
        };
        let (subject, found) = (one_cell(&check.subject), one_cell(&check.found));
        text.push_str(&format!(
            "{verdict}\t{subject}\t{found}\t{}\n",
            one_cell(remedy)
        ));
    }
    align(text.as_bytes(), Layout::LS)
}

/// Replaces tabs and line feeds, which would break a field in two.
fn one_cell(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_terminal_a_passed_check_has_one_line_and_a_failed_one_its_remedy() {
        let checks = [
            Check::right("store", "3 machines"),
            Check::right("machine m1", "SSH answers"),
            Check::wrong(
                "machine m2",
                "SSH: 10.0.0.2:22 refuses to log in ubuntu with the key /root/id_rsa",
                "use the right key",
            ),
        ];
        assert_eq!(
            report(&checks, false, 60),
            "ok     store: 3 machines\n\
             WRONG  machine m2: SSH: 10.0.0.2:22 refuses to log in ubuntu\n       \
             with the key /root/id_rsa\n       \
             use the right key\n\
             2 ok, 0 to note, 1 wrong\n"
        );
        assert!(report(&checks, true, 60).contains("ok     machine m1: SSH answers\n"));
        assert!(report(&checks, true, 20).contains("ok     store: 3 mac…\n"));
    }

    #[test]
    fn a_check_is_one_line_whatever_is_in_it() {
        let checks = [
            Check::right("store", "3 machines"),
            Check::wrong("subnet", "no\tsuch\nsubnet", "correct it"),
        ];
        assert_eq!(
            String::from_utf8(table(&checks)).unwrap(),
            "RESULT   SUBJECT   FOUND            WHAT TO DO\n\
             ok       store     3 machines       -\n\
             WRONG    subnet    no such subnet   correct it\n"
        );
    }
}
