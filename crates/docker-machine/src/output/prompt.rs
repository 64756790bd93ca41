//! Yes-or-no prompts.

use std::io::BufRead;
use std::sync::{Arc, Mutex, PoisonError};

use libmachine::Cancel;

use crate::failure::Failure;
use crate::output::console::{Console, Stream};

/// Asks a question on standard output and reads one line of standard input. A word that begins with `y`, ignoring
/// case, is a yes. Returns `None` if there is no answer.
pub(crate) async fn confirm(
    console: &Console,
    input: &Arc<Mutex<Input>>,
    cancel: &Cancel,
    question: &str,
) -> Result<Option<bool>, Failure> {
    let prompt = format!("{question} (y/n): ");
    console.write(Stream::Out, prompt.as_bytes());
    let input = input.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
        input.read_line(&mut line).map(|_| line)
    });
    let read = cancel.or(reading).await;
    let read = read.map_err(|signal| Failure::new(format!("cancelled by {signal}")))?;
    Ok(match read {
        Ok(Ok(line)) => answer(&line),
        _ => None,
    })
}

/// Reads one word, as Go's `Scanln` does; any other line is no answer.
fn answer(line: &str) -> Option<bool> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some(word), None) => Some(word.to_lowercase().starts_with('y')),
        _ => None,
    }
}

/// Input source; replaceable in tests.
pub type Input = Box<dyn BufRead + Send>;

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn a_yes_begins_with_y() {
        for yes in ["y\n", "Y", "Yes\n", " yes \r\n"] {
            assert_eq!(answer(yes), Some(true), "{yes:?}");
        }
        assert_eq!(answer("n\n"), Some(false));
        for none in ["", "\n", "yes please\n"] {
            assert_eq!(answer(none), None, "{none:?}");
        }
    }
}
