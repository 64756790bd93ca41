//! Removes quotes that were meant for a shell.

/// Returns a value without one pair of matching quotes around the whole value, or around the part after its first
/// `=`: `'mtu=1400'` and `log-opt="max-size=10m"`. Other quotes stay.
pub fn unquoted(value: &str) -> String {
    if let Some(inner) = inside(value) {
        return inner.to_owned();
    }
    match value.split_once('=') {
        Some((name, rest)) => match inside(rest) {
            Some(inner) => format!("{name}={inner}"),
            None => value.to_owned(),
        },
        None => value.to_owned(),
    }
}

fn inside(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = text.get(1..)?.strip_suffix(quote)?;
    (!inner.contains(quote)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_matching_pair_is_removed() {
        for (value, bare) in [
            ("'mtu=1400'", "mtu=1400"),
            ("log-opt=\"max-size=10m\"", "log-opt=max-size=10m"),
            ("A='it\"s'", "A=it\"s"),
            ("''", ""),
            ("A=\"\"", "A="),
            ("a=b", "a=b"),
            ("it's", "it's"),
            ("'a' 'b'", "'a' 'b'"),
            ("'a=b", "'a=b"),
            ("a=\"b'", "a=\"b'"),
            ("\"", "\""),
            ("a=b='c'", "a=b='c'"),
            ("", ""),
        ] {
            assert_eq!(unquoted(value), bare, "{value}");
        }
    }
}
