//! Patterns in the path of a source on a machine (`m1:/var/log/*.log`), which `scp` expands on the machine: `*`, `?`
//! and `[...]` in any part of the path, and `\` as an escape character, as in glob(7).

use glob::{MatchOptions, Pattern};

use crate::{EntryKind, Sftp, SftpError};

const SHELL_LIKE: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Returns the paths that match, sorted by name. A path without a pattern, or one that exists literally, stands for
/// itself.
///
/// # Errors
/// Returns an error if the machine cannot tell or a directory cannot be listed; a [`SftpError::Remote`] that names the
/// path, also if nothing matches.
pub(crate) async fn expand(sftp: &Sftp, path: &str) -> Result<Vec<String>, SftpError> {
    if !path.contains(['*', '?', '[', '\\']) || sftp.entry_if_any(path).await?.is_some() {
        return Ok(vec![path.to_owned()]);
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    let mut found = vec![root.to_owned()];
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let part = Part::read(part);
        found = match &part {
            Part::Pattern(pattern) => matching(sftp, &found, pattern).await?,
            Part::Name(name) => found.iter().map(|base| join(base, name)).collect(),
        };
        if !is_last {
            found = of_a_kind(sftp, found, |kind| kind == EntryKind::Directory).await?;
        } else if let Part::Name(_) = part {
            found = of_a_kind(sftp, found, |_| true).await?;
        }
    }
    match found.is_empty() {
        true => Err(SftpError::Remote {
            path: sftp.shown(path),
            reason: "No such file or directory: nothing there matches".to_owned(),
        }),
        false => Ok(found),
    }
}

/// One part of a path, between two slashes.
enum Part {
    Name(String),
    Pattern(Pattern),
}

impl Part {
    /// Parses a part. An invalid pattern (`[` alone) is a literal name.
    fn read(part: &str) -> Self {
        let (mut name, mut pattern, mut is_pattern) = (String::new(), String::new(), false);
        let mut characters = part.chars();
        while let Some(character) = characters.next() {
            let escaped = match character {
                '\\' => characters.next(),
                _ => None,
            };
            name.push(escaped.unwrap_or(character));
            match escaped {
                Some(escaped) => pattern.push_str(&Pattern::escape(&escaped.to_string())),
                // The library gives repeated stars a meaning that the shell lacks.
                None if character == '*' && pattern.ends_with('*') => {}
                None => {
                    is_pattern |= ['*', '?', '['].contains(&character);
                    pattern.push(character);
                }
            }
        }
        match Pattern::new(&pattern) {
            Ok(pattern) if is_pattern => Self::Pattern(pattern),
            _ => Self::Name(name),
        }
    }
}

async fn matching(
    sftp: &Sftp,
    directories: &[String],
    pattern: &Pattern,
) -> Result<Vec<String>, SftpError> {
    let mut found = Vec::new();
    for directory in directories {
        let mut names = sftp.names(directory).await?;
        // Discards names with a slash, which only a malicious server sends.
        names.retain(|name| !name.contains('/') && pattern.matches_with(name, SHELL_LIKE));
        names.sort();
        found.extend(names.iter().map(|name| join(directory, name)));
    }
    Ok(found)
}

/// Keeps the paths that have an entry of a kind.
async fn of_a_kind(
    sftp: &Sftp,
    paths: Vec<String>,
    is_kind: impl Fn(EntryKind) -> bool,
) -> Result<Vec<String>, SftpError> {
    let mut kept = Vec::new();
    for path in paths {
        let entry = sftp.entry_if_any(&path).await?;
        if entry.is_some_and(|entry| is_kind(entry.kind)) {
            kept.push(path);
        }
    }
    Ok(kept)
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{}/{name}", directory.trim_end_matches('/')),
    }
}
