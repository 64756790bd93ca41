//! A parser for systemd units, written from the manual pages and independent of the code that writes units:
//! systemd.syntax(7) for lines, quotes and escapes, systemd.unit(5) for `%`, systemd.service(5) for `$` on command
//! lines.

/// Returns the words of a value, unquoted, with `%` resolved.
pub(crate) fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = value.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if characters.peek().is_none() {
            return words
                .into_iter()
                .map(|word: String| percent(&word))
                .collect();
        }
        let (mut word, mut quote) = (String::new(), None);
        while let Some(c) = characters.next() {
            match (c, quote) {
                ('\\', _) => word.push(escape(&mut characters)),
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, None) if c.is_whitespace() => break,
                (c, _) => word.push(c),
            }
        }
        assert_eq!(quote, None, "unclosed quote: {value}");
        words.push(word);
    }
}

fn escape(characters: &mut impl Iterator<Item = char>) -> char {
    match characters.next().expect("a backslash at the end") {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        's' => ' ',
        c @ ('\\' | '"' | '\'') => c,
        'x' => {
            let digits: String = characters.take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).unwrap())
        }
        other => panic!("unknown escape \\{other}"),
    }
}

/// Resolves `%%` to a percent sign; any other specifier is an error, because no test types one.
fn percent(word: &str) -> String {
    let rest = word.replace("%%", "\0");
    assert!(!rest.contains('%'), "a specifier in {word}");
    rest.replace('\0', "%")
}

/// Resolves `$$` to a dollar sign on a command line; a single one begins a variable.
fn dollars(word: &str) -> String {
    let rest = word.replace("$$", "\0");
    assert!(!rest.contains('$'), "a variable in {word}");
    rest.replace('\0', "$")
}

/// Returns the words of the unit's last command, and its environment.
pub(crate) fn read(unit: &str) -> (Vec<String>, Vec<String>) {
    let (mut command, mut environment) = (Vec::new(), Vec::new());
    for line in unit.lines().filter(|line| !line.starts_with('#')) {
        assert!(!line.ends_with('\\'), "{line} continues on the next line");
        match line.split_once('=') {
            Some(("ExecStart", "")) => command.clear(),
            Some(("ExecStart", value)) => {
                assert!(command.is_empty(), "two commands");
                command = words(value);
                assert!(!command.contains(&";".to_owned()) || value.contains("\";\""));
                command = command.iter().map(|word| dollars(word)).collect();
            }
            Some(("Environment", value)) => environment.extend(words(value)),
            _ => assert_eq!(line, "[Service]"),
        }
    }
    (command, environment)
}
