//! `docker-machine doctor`.

use async_trait::async_trait;
use go_template::tabwriter::{Layout, align};
use libmachine::DoctorRequest;
use machine_driver::{Check, FlagSpec, Verdict};

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::console::Stream;

/// Says what is right, what is wrong, and what to do.
pub(crate) struct Doctor;

#[async_trait(?Send)]
impl Command for Doctor {
    fn about(&self) -> About {
        About {
            name: "doctor",
            arguments: "[NAME...]",
            summary: "Say what is right, what is wrong, and what to do",
            details: "Looks at the store, the certificates, the credentials, and the ways to the machines: all of them, or those named. With --driver and the flags of a create, also at all that this create would build on. Changes nothing, here or in the cloud. Fails where something is wrong.",
        }
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(
                FlagSpec::string("driver", "Examine a create with this driver, and its flags")
                    .env("MACHINE_DRIVER"),
            )
            .short("d")
            .values(crate::drivers::names()),
        ]
    }

    fn takes_driver_flags(&self) -> bool {
        true
    }

    fn needs_driver(&self) -> bool {
        false
    }

    fn only_looks(&self) -> bool {
        true
    }

    fn leaves_no_trace(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let has_driver = !arguments.driver_name.is_empty();
        let request = DoctorRequest {
            names: arguments.words,
            plan: has_driver.then_some((arguments.driver_name, arguments.driver)),
        };
        let checks = cx.library.examine(&request).await?;
        cx.world.console.write(Stream::Out, &table(&checks));
        let is_wrong = |check: &&Check| check.verdict == Verdict::Wrong;
        match checks.iter().filter(is_wrong).count() {
            0 => Ok(()),
            1 => Err(Failure::new("1 thing is wrong")),
            wrong => Err(Failure::new(format!("{wrong} things are wrong"))),
        }
    }
}

fn table(checks: &[Check]) -> Vec<u8> {
    let mut text = "RESULT\tSUBJECT\tFOUND\tWHAT TO DO\n".to_owned();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Right => "ok",
            Verdict::Notable => "note",
            Verdict::Wrong => "WRONG",
        };
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

/// What a tab or a line feed would break into two.
fn one_cell(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

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
