//! A unit file with its drop-ins, read as systemd reads them (systemd.syntax(7), systemd.unit(5),
//! systemd.service(5)).
//!
//! Owns the selection and order of the files, continuation lines, resets by an empty value, the quoting of command
//! lines, specifiers and environment. Runs no programs. Called by the Docker service of a simulated host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The unit directories, in order of precedence (systemd.unit(5), "system unit search path").
const UNIT_PATH: &[&str] = &[
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// A unit as systemd loaded it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Unit {
    /// The unit's own file.
    pub(super) fragment: PathBuf,
    /// Its drop-ins, in the order in which they apply.
    pub(super) drop_ins: Vec<PathBuf>,
    /// All assignments in order: section, key, value.
    settings: Vec<(String, String, String)>,
}

impl Unit {
    /// Loads a unit under a root; none if there is no file of that name.
    pub(super) fn load(root: &Path, name: &str) -> Option<Self> {
        let directories = || UNIT_PATH.iter().map(|directory| root.join(directory));
        let fragment = directories()
            .map(|directory| directory.join(name))
            .find(|path| path.is_file())?;
        // A drop-in hides those of the same name in later directories; the names determine the order.
        let mut by_name = BTreeMap::new();
        for directory in directories() {
            let entries = fs::read_dir(directory.join(format!("{name}.d"))).into_iter();
            for path in entries.flatten().flatten().map(|entry| entry.path()) {
                if path.extension().is_some_and(|ending| ending == "conf") {
                    let file = path.file_name().map(ToOwned::to_owned);
                    by_name.entry(file).or_insert(path);
                }
            }
        }
        let mut unit = Self {
            fragment: fragment.clone(),
            drop_ins: by_name.into_values().collect(),
            settings: Vec::new(),
        };
        for file in std::iter::once(&fragment).chain(&unit.drop_ins.clone()) {
            let text = fs::read(file).unwrap_or_default();
            unit.settings
                .extend(assignments(&String::from_utf8_lossy(&text)));
        }
        Some(unit)
    }

    /// Returns the values of a list setting of `[Service]`, after resets by an empty value.
    fn list(&self, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (section, name, value) in &self.settings {
            if section == "Service" && name == key {
                if value.is_empty() {
                    values.clear();
                } else {
                    values.push(value.as_str());
                }
            }
        }
        values
    }

    /// Returns the command lines of `ExecStart=`, unexpanded.
    pub(super) fn exec_start(&self) -> Vec<&str> {
        self.list("ExecStart")
    }

    /// Returns the service's environment: `Environment=`, then files, which take precedence.
    ///
    /// # Errors
    /// `EnvironmentFile=` requires a file that cannot be read; the error names it.
    pub(super) fn environment(&self, root: &Path) -> Result<BTreeMap<String, String>, PathBuf> {
        let mut environment = BTreeMap::new();
        let pairs = self
            .list("Environment")
            .into_iter()
            .flat_map(|line| words(line).unwrap_or_default());
        environment.extend(pairs.filter_map(|word| pair(&specifiers(&word))));
        for file in self.list("EnvironmentFile") {
            let (optional, path) = match file.strip_prefix('-') {
                Some(path) => (true, path),
                None => (false, file),
            };
            match fs::read_to_string(within(root, path)) {
                Ok(text) => environment.extend(text.lines().filter_map(environment_line)),
                Err(_) if optional => {}
                Err(_) => return Err(PathBuf::from(path)),
            }
        }
        Ok(environment)
    }
}

/// Returns the location on this machine of a path on the host.
pub(super) fn within(root: &Path, path: &str) -> PathBuf {
    let path = Path::new(path);
    if path.starts_with(root) {
        path.to_owned()
    } else {
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Returns the words of a command line; `Err` if its quoting is invalid.
///
/// Expands specifiers, then variables: `$NAME` alone as several words, `${NAME}` within one; `$$` is a dollar sign.
pub(super) fn command(
    line: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<String>, String> {
    let mut argv = Vec::new();
    for (place, word) in words(line)?.into_iter().enumerate() {
        let word = specifiers(&word);
        if place == 0 {
            argv.push(
                word.trim_start_matches(['@', '-', ':', '+', '!'])
                    .to_owned(),
            );
        } else if let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) {
            let value = environment
                .get(name)
                .map(String::as_str)
                .unwrap_or_default();
            argv.extend(words(value)?);
        } else {
            argv.push(variables(&word, environment));
        }
    }
    Ok(argv)
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn variables(word: &str, environment: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('{').and_then(|s| s.split_once('}'))
        {
            result.push_str(
                environment
                    .get(name)
                    .map(String::as_str)
                    .unwrap_or_default(),
            );
            rest = after;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result + rest
}

/// Expands `%%` to a percent sign, and those of the other specifiers that Docker's service file may use.
fn specifiers(word: &str) -> String {
    let mut result = String::new();
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => result.push('%'),
            Some('n') => result.push_str("docker.service"),
            Some('N' | 'p' | 'P') => result.push_str("docker"),
            Some('t') => result.push_str("/run"),
            Some('i' | 'I') => {}
            Some(other) => result.extend(['%', other]),
            None => result.push('%'),
        }
    }
    result
}

/// Splits at white space, with quotes and C escapes (systemd.syntax(7), "Quoting"; like systemd itself it accepts a
/// quote inside a word too).
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.get_or_insert_default().push(escape(&mut letters)?),
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
        return Err("Unbalanced quoting".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn escape(letters: &mut std::str::Chars<'_>) -> Result<char, String> {
    let escaped = letters.next().ok_or("A backslash ends the line")?;
    let mut digits = |count: usize, radix: u32| {
        let digits: String = letters.by_ref().take(count).collect();
        u32::from_str_radix(&digits, radix)
            .ok()
            .and_then(char::from_u32)
    };
    let decoded = match escaped {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        's' => Some(' '),
        '\\' | '"' | '\'' => Some(escaped),
        'x' => digits(2, 16),
        'u' => digits(4, 16),
        'U' => digits(8, 16),
        _ => None,
    };
    decoded.ok_or_else(|| format!("Invalid escape sequence \\{escaped}"))
}

/// Returns section, key and value of each assignment in a file.
fn assignments(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in logical_lines(text) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            settings.push((
                section.clone(),
                key.trim().to_owned(),
                value.trim().to_owned(),
            ));
        }
    }
    settings
}

/// Returns lines with continuations joined; drops comments and empty lines, also between continuations.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            begun.push_str(part);
            begun.push(' ');
        } else {
            begun.push_str(line);
            lines.push(std::mem::take(&mut begun));
        }
    }
    lines.push(begun);
    lines.retain(|line| !line.trim().is_empty());
    lines
        .iter_mut()
        .for_each(|line| *line = line.trim().to_owned());
    lines
}

fn pair(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

fn environment_line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = pair(line)?;
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .or_else(|| {
            value
                .strip_prefix('\'')
                .and_then(|rest| rest.strip_suffix('\''))
        });
    Some((name, unquoted.unwrap_or(value).to_owned()))
}
