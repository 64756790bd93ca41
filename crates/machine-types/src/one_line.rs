//! An error and its causes on one line, for tables and logs.

/// Joins an error and its causes on one line.
pub fn one_line(error: impl std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // A transparent layer says what the one above it has said.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line.replace(['\n', '\r'], " ").trim_end().to_owned()
}
