//! Which machines a command is about, and doing the same to several of them at once.

use std::future::Future;

use futures_util::future::join_all;
use libmachine::Error;

use crate::context::Context;
use crate::failure::Failure;

/// What a command without a name is about, if there is such a machine.
const DEFAULT: &str = "default";

/// What the Go binary says to two names where one is wanted.
pub(crate) const ONE_MACHINE: &str = "Error: Expected one machine name as an argument";

/// Returns the machine that a command is about: the first word, or `default` where there is such a machine.
pub(crate) fn first(cx: &Context, words: &[String]) -> Result<String, Failure> {
    if let Some(name) = words.first() {
        return Ok(name.clone());
    }
    if cx.library.names()?.iter().any(|name| name == DEFAULT) {
        return Ok(DEFAULT.to_owned());
    }
    Err(Failure::new(
        "Error: No machine name(s) specified and no \"default\" machine exists",
    ))
}

/// Returns the machine that a command is about, which takes one name at most.
pub(crate) fn only(cx: &Context, words: &[String]) -> Result<String, Failure> {
    if words.len() > 1 {
        return Err(Failure::new(ONE_MACHINE));
    }
    first(cx, words)
}

/// Returns the machines that a command is about, all of which the store knows: if it does not know
/// one, nothing is done to any.
pub(crate) async fn all(cx: &Context, words: &[String]) -> Result<Vec<String>, Failure> {
    let names = match words {
        [] => vec![first(cx, words)?],
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

/// Does the same to several machines at once. All come to their end; the failures are told together.
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
