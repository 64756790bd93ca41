//! `docker-machine completion`.

use async_trait::async_trait;

use crate::cli::complete::{Candidate, Completion, SHELLS, complete};
use crate::cli::{About, Arguments, Command};
use crate::context::Context;
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

/// Prints the candidates for the last word of a line. Each output line holds a word, a tab and its description.
fn offer(cx: &Context, line: &[String]) -> Result<(), Failure> {
    let completion = complete(super::TABLE, &crate::drivers::table(), line);
    let names = |end| {
        let names = cx.library.names()?.into_iter();
        let candidate = |name| Candidate {
            word: format!("{name}{end}"),
            about: "",
        };
        Ok::<_, Failure>(names.map(candidate).collect())
    };
    let has_files = matches!(completion, Completion::Locations | Completion::Anything);
    let candidates = match completion {
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
