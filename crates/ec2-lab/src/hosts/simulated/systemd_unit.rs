//! `docker.service` with its drop-ins: the files, and the command line that they set.
//!
//! Owns the order of the files, the reset by an empty `ExecStart=` (systemd.service(5)), and the quoting of words
//! (systemd.syntax(7)). Variables and specifiers stay as written: real hosts show their effect.

use std::fs;
use std::path::Path;

use super::disk::within;

/// The unit's own file on the host.
pub(super) const FRAGMENT: &str = "/usr/lib/systemd/system/docker.service";

const DROP_INS: &str = "/etc/systemd/system/docker.service.d";

/// Returns the drop-ins on the host, in the order in which they apply.
pub(super) fn drop_ins(root: &Path) -> Vec<String> {
    let files = fs::read_dir(within(root, DROP_INS)).into_iter().flatten();
    let names = files.flatten().map(|file| file.file_name());
    let mut paths: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(".conf"))
        .map(|name| format!("{DROP_INS}/{name}"))
        .collect();
    paths.sort();
    paths
}

/// Returns the words of the service's command line.
///
/// # Errors
/// systemd's message for a unit that it refuses to start.
pub(super) fn command(root: &Path) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for file in std::iter::once(FRAGMENT.to_owned()).chain(drop_ins(root)) {
        let text = fs::read_to_string(within(root, &file)).unwrap_or_default();
        for line in text
            .lines()
            .filter_map(|line| line.strip_prefix("ExecStart="))
        {
            match line {
                "" => lines.clear(),
                line => lines.push(line.to_owned()),
            }
        }
    }
    match &lines[..] {
        [line] => words(line),
        [] => Err("Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.".to_owned()),
        _ => Err("Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.".to_owned()),
    }
}

/// Splits a command line at its blanks.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.get_or_insert_default().extend(letters.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("Unbalanced quoting, ignoring: ExecStart={line}"));
    }
    words.extend(word);
    Ok(words)
}
