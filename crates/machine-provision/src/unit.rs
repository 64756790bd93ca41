//! Quoting for systemd units: encodes a text so that systemd reads back exactly the same text.
//!
//! Rules: systemd.service(5) "Command lines", systemd.exec(5) `Environment=`, systemd.syntax(7)
//! "Quoting", systemd.unit(5) "Specifiers".

use machine_types::masked;

use crate::ProvisionError;

/// Returns dockerd's arguments for `ExecStart=`. Quotes words only where needed.
///
/// # Errors
/// [`ProvisionError::Option`] for a word with a NUL, which a command line cannot hold.
pub(crate) fn arguments(words: &[String]) -> Result<String, ProvisionError> {
    let mut line = Vec::new();
    for word in words {
        // After the first word, `$` begins a variable and `;` alone begins the next command.
        line.push(quoted(word)?.replace('$', "$$"));
    }
    Ok(line.join(" "))
}

/// Returns one `Environment=` line for each `NAME=value`.
///
/// # Errors
/// [`ProvisionError::Option`] for a value with a NUL.
pub(crate) fn environment(assignments: &[String]) -> Result<String, ProvisionError> {
    let mut lines = Vec::new();
    for assignment in assignments {
        lines.push(format!("Environment={}", quoted(assignment)?));
    }
    Ok(lines.join("\n"))
}

fn quoted(word: &str) -> Result<String, ProvisionError> {
    if word.contains('\0') {
        return Err(ProvisionError::Option {
            option: masked(&word.escape_debug().to_string()),
            reason: "holds a NUL, which no command line can",
        });
    }
    let is_plain =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '\'' | '\\');
    let word = word.replace('%', "%%");
    if !word.is_empty() && word != ";" && word.chars().all(is_plain) {
        return Ok(word);
    }
    let mut text = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_not_quoted() {
        let words: Vec<String> = [
            "-H",
            "tcp://0.0.0.0:2376",
            "--label",
            "a=b",
            "--log-opt=max-size=10m",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(
            arguments(&words).unwrap(),
            "-H tcp://0.0.0.0:2376 --label a=b --log-opt=max-size=10m"
        );
        assert_eq!(
            environment(&["A=http://p:1".into()]).unwrap(),
            "Environment=A=http://p:1"
        );
    }

    #[test]
    fn words_with_a_nul_are_refused() {
        assert!(arguments(&["a\0b".to_owned()]).is_err());
        assert!(environment(&["A=a\0b".to_owned()]).is_err());
    }
}
