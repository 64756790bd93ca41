//! `docker-machine completion`.

use std::sync::Arc;

use async_trait::async_trait;
use libmachine::Library;
use machine_driver::Options;
use machine_types::unquoted;

use crate::cli::complete::{Candidate, Completion, SHELLS, complete};
use crate::cli::{About, Arguments, Command};
use crate::context::{self, Context};
use crate::failure::Failure;
use crate::output::console::Stream;

/// Prints the completion script of a shell, and the candidates that such a script offers.
pub(crate) struct Completions;

/// First positional of the scripts' calls: `completion candidates WORD...`.
const CANDIDATES: &str = "candidates";

fn script(shell: &str) -> Option<&'static str> {
    match shell {
        "bash" => Some(include_str!("../../../../completions/docker-machine.bash")),
        "zsh" => Some(include_str!("../../../../completions/_docker-machine")),
        "fish" => Some(include_str!("../../../../completions/docker-machine.fish")),
        _ => None,
    }
}

#[async_trait(?Send)]
impl Command for Completions {
    fn about(&self) -> About {
        About {
            name: "completion",
            arguments: SHELLS,
            summary: "Print the completion script of a shell",
            details: "For bash: source <(docker-machine completion bash). For zsh: save it as _docker-machine in a directory of $fpath. For fish: docker-machine completion fish | source. The script asks this program for commands, options and machine names.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "source <(docker-machine completion bash)",
            "docker-machine completion fish | source",
        ]
    }

    fn takes_words_as_they_are(&self) -> bool {
        true
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn leaves_no_trace(&self) -> bool {
        true
    }

    fn works_without_store(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        match arguments.words.as_slice() {
            [first, line @ ..] if first == CANDIDATES => offer(cx, line),
            [shell] => {
                let script = script(shell).ok_or_else(|| {
                    let unknown = format!("unknown shell {shell:?}: expected bash, zsh or fish");
                    arguments.usage.failure(unknown)
                })?;
                cx.world.console.write(Stream::Out, script.as_bytes());
                Ok(())
            }
            _ => Err(arguments
                .usage
                .failure("expected one shell: bash, zsh or fish")),
        }
    }
}

/// The last line of the candidates if the shell may offer file names in their place.
const FILES: &str = ":files";

/// Returns the library on the store that a line names. A shell has not expanded the word yet.
fn store_of(cx: &Context, typed: &str) -> Library {
    let bare = unquoted(typed);
    let home = cx.world.home.as_deref();
    let in_home = ["~/", "$HOME/", "${HOME}/"]
        .iter()
        .find_map(|prefix| bare.strip_prefix(prefix));
    let path = match (in_home, home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => cx.world.directory.join(&bare),
    };
    let (flags, drivers) = (Options::default(), crate::drivers::table());
    context::library(&cx.world, path, &flags, drivers, Arc::new(()))
}

/// Prints the candidates for the last word of a line. Each output line holds a word, a tab and its description.
fn offer(cx: &Context, line: &[String]) -> Result<(), Failure> {
    let offer = complete(super::TABLE, &crate::drivers::table(), line);
    let names = |end| {
        let names = match &offer.storage_path {
            Some(typed) => store_of(cx, typed).names()?,
            None => cx.library.names()?,
        };
        let names = names.into_iter();
        let candidate = |name| Candidate {
            word: format!("{name}{end}"),
            about: "",
        };
        Ok::<_, Failure>(names.map(candidate).collect())
    };
    let has_files = matches!(
        offer.completion,
        Completion::Locations | Completion::Anything
    );
    let candidates = match offer.completion {
        Completion::Words(words) => words,
        Completion::Machines => names("")?,
        Completion::Locations => names(":")?,
        Completion::Anything => Vec::new(),
    };
    let current = line.last().map_or("", String::as_str);
    let current = match current {
        "=" | ":" => "",
        current => current,
    };
    for Candidate { word, about } in candidates {
        if word.starts_with(current) {
            cx.print(format!("{word}\t{about}").trim_end());
        }
    }
    if has_files {
        cx.print(FILES);
    }
    Ok(())
}
