//! Probable mistakes in the positionals of a valid command line: a hint, should the command fail for them.

use machine_driver::FlagKind;
use machine_types::masked;

use crate::cli::argv::{Flag, Line};
use crate::cli::command::Command;
use crate::cli::hints;
use crate::failure::Suspicion;

/// Part of the errors that tell of missing names.
const NO_NAME: &str = "achine name";

/// Returns the probable mistake on a line: a dash that is no hyphen, an option after a name, or a name that became the
/// value of a flag.
pub(super) fn of(
    flags: &[Flag],
    command: &dyn Command,
    line: &Line,
    args: &[String],
) -> Option<Suspicion> {
    if command.takes_words_as_they_are() {
        return None;
    }
    if let Some(hint) = line.words.iter().find_map(|word| hints::not_a_hyphen(word)) {
        let confirmed_by = String::new();
        return Some(Suspicion { confirmed_by, hint });
    }
    if let Some((flag, value)) = &line.last_value {
        let hint = format!("{value} is the value of {flag}: add the name after it");
        return Some(Suspicion {
            confirmed_by: NO_NAME.to_owned(),
            hint: masked(&hint),
        });
    }
    if args.iter().any(|arg| arg == "--") {
        return None;
    }
    let (options, names) = split(flags, &line.words);
    let about = command.about();
    let what = match about.arguments {
        "NAME" | "[NAME]" => "the name",
        _ => "the names",
    };
    let confirmed_by = (*options.first()?).to_owned();
    let hint = format!(
        "options go before {what}: docker-machine {} ... {}",
        about.name,
        [options, names].concat().join(" ")
    );
    Some(Suspicion {
        confirmed_by,
        hint: masked(&hint),
    })
}

/// Splits words into known flags, with their values, and others.
fn split<'a>(flags: &[Flag], words: &'a [String]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut options, mut names) = (Vec::new(), Vec::new());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (flag, has_value) = match word.split_once('=') {
            Some((flag, _)) => (flag, true),
            None => (word, false),
        };
        let name = flag.trim_start_matches('-');
        let known = flags.iter().find(|flag| flag.is_called(name));
        match known.filter(|_| flag.starts_with('-')) {
            Some(known) => {
                options.push(word);
                let is_switch = matches!(known.spec.kind, FlagKind::Bool | FlagKind::Switch { .. });
                if !has_value && !is_switch {
                    options.extend(words.next());
                }
            }
            None => names.push(word),
        }
    }
    (options, names)
}
