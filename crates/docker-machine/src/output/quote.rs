//! Text in Go's quotes, which a POSIX shell reads too if it contains no special characters.

use go_template::{Template, Value};

/// Quotes a text as Go's `%q` does.
pub(crate) fn go_quote(text: &str) -> String {
    let quoted = Template::parse("", r#"{{printf "%q" .}}"#)
        .and_then(|template| template.execute(&Value::from(text)));
    // The template is a constant, and any text fits it.
    quoted.unwrap_or_else(|_| format!("{text:?}"))
}

#[cfg(test)]
mod tests {
    use super::go_quote;

    #[test]
    fn paths_are_quoted_as_go_quotes_them() {
        assert_eq!(go_quote("/a b/c"), r#""/a b/c""#);
        assert_eq!(go_quote("a\"b\\c\té"), r#""a\"b\\c\té""#);
    }
}
