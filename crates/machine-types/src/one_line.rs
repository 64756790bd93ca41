//! Error messages for people: on one line, and without operating system error numbers.

/// Joins an error and its causes on one line.
pub fn one_line(error: impl std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // A transparent error repeats the text of the error above it.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    let line = line.replace(['\n', '\r'], " ");
    without_error_numbers(line.trim_end())
}

/// Removes the ` (os error 2)` that Rust appends to the operating system's error message (errno(3)): `No such file or
/// directory` is sufficient.
pub fn without_error_numbers(text: &str) -> String {
    const BEGIN: &str = " (os error ";
    let mut parts = text.split(BEGIN);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix(')') {
            Some(behind) if rest.len() < part.len() => plain.push_str(behind),
            _ => {
                plain.push_str(BEGIN);
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_os_error_numbers_are_removed() {
        for (text, plain) in [
            ("f: No such file (os error 2)", "f: No such file"),
            ("a (os error 13): b (os error 2)", "a: b"),
            ("(os error 2)", "(os error 2)"),
            ("a (os error ) b", "a (os error ) b"),
            ("a (os error 2", "a (os error 2"),
            ("", ""),
        ] {
            assert_eq!(without_error_numbers(text), plain);
        }
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(one_line(error), "No such file or directory");
    }
}
