//! Selects the machines of a command, and runs an action on several of them at once.

use std::future::Future;

use futures_util::future::join_all;
use libmachine::Error;

use super::ls;
use crate::cli::Arguments;
use crate::context::Context;
use crate::failure::Failure;

/// The machine of a command without a name, if it exists.
const DEFAULT: &str = "default";

/// Error of the Go binary for two names where one is expected.
pub(crate) const ONE_MACHINE: &str = "Error: Expected one machine name as an argument";

/// Returns the machine of a command: the first word, or `default` if that machine exists.
pub(crate) fn first(cx: &Context, arguments: &Arguments) -> Result<String, Failure> {
    if let Some(name) = arguments.words.first() {
        return Ok(name.clone());
    }
    if cx.library.names()?.iter().any(|name| name == DEFAULT) {
        return Ok(DEFAULT.to_owned());
    }
    Err(arguments
        .usage
        .bare_failure("Error: No machine name(s) specified and no \"default\" machine exists"))
}

/// Returns the machine of a command that takes at most one name.
pub(crate) fn only(cx: &Context, arguments: &Arguments) -> Result<String, Failure> {
    if arguments.words.len() > 1 {
        return Err(arguments.usage.bare_failure(ONE_MACHINE));
    }
    first(cx, arguments)
}

/// Returns the machines of a command. If the store does not know one of them, fails before any is changed.
pub(crate) async fn all(cx: &Context, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let names = match arguments.words.as_slice() {
        [] => vec![first(cx, arguments)?],
        names => names.to_vec(),
    };
    let mut unknown = Vec::new();
    for name in &names {
        if let Err(error) = cx.library.open(name).await {
            unknown.push(Failure::from(error));
        }
    }
    match unknown.is_empty() {
        true => Ok(names),
        false => Err(Failure::joined(unknown)),
    }
}

/// Returns the machines of a command: those that match its filters, or the named ones. Reports if none matches.
///
/// # Errors
/// Fails if none matches, and it is unknown of some machines that they match.
pub(crate) async fn filtered(cx: &Context, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    if arguments.options.list("filter").is_empty() {
        return all(cx, arguments).await;
    }
    let matching = ls::matching(cx, arguments).await?;
    if matching.names.is_empty() {
        let text = "no machine matches the filters";
        if matching.has_left_out {
            return Err(Failure::new(format!("{text}, and some were left out")));
        }
        cx.complain(text);
    }
    Ok(matching.names)
}

/// Runs an action on several machines at once. Waits for all of them, and returns the failures as one.
pub(crate) async fn each<'a, F>(
    names: &'a [String],
    action: impl Fn(&'a str) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Error>>,
{
    let ended = join_all(names.iter().map(|name| action(name))).await;
    let mut failures: Vec<Failure> = ended
        .into_iter()
        .filter_map(Result::err)
        .map(Failure::from)
        .collect();
    match failures.len() {
        0 => Ok(()),
        1 => Err(failures.remove(0)),
        _ => Err(Failure::joined(failures)),
    }
}
