//! Converts a Go command line to a canonical one: a pure function, called once, before clap.
//!
//! Accepts the syntax of Go's `flag` package and of the Go binary's command library: `-flag` and `--flag`, `=value` or
//! the next word, booleans with an optional value, flags after all positionals, `--`. Does not interpret flags. The
//! result has one form only, `--flag=value` before `--` before positionals, which clap parses without ambiguity.
//!
//! Unknown flags and commands keep their names: clap suggests the nearest one.

use std::collections::BTreeMap;

use machine_driver::{FlagSpec, OptionValue, Options};

/// A flag of the binary or of a driver, with its short form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Name, type and environment variable.
    pub spec: FlagSpec,
    /// Short form: `t` for `--timeout, -t`.
    pub short: Option<&'static str>,
    /// Values to offer for completion, if any.
    pub values: Vec<&'static str>,
}

impl Flag {
    /// Declares a flag without a short form.
    pub fn new(spec: FlagSpec) -> Self {
        Self {
            short: None,
            values: spec.values.to_vec(),
            spec,
        }
    }

    /// Adds a short form.
    #[must_use]
    pub const fn short(mut self, short: &'static str) -> Self {
        self.short = Some(short);
        self
    }

    /// Sets the values to offer for completion.
    #[must_use]
    pub fn values(mut self, values: impl IntoIterator<Item = &'static str>) -> Self {
        self.values = values.into_iter().collect();
        self
    }

    /// Returns whether this is the flag's name or its short form.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.spec.name == name || self.short == Some(name)
    }
}

/// The flags and commands that a command line may contain.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    /// The flags before the command.
    pub global: Vec<Flag>,
    /// The flags of each command.
    pub commands: BTreeMap<&'static str, Vec<Flag>>,
    /// The commands whose words are kept unchanged (`ssh NAME ls -l`), except for a request for help as the first
    /// word.
    pub raw: Vec<&'static str>,
}

/// A command line in its canonical form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Flags before the command, as `--flag=value`.
    pub global: Vec<String>,
    /// The command, if there is one. It may be unknown.
    pub command: Option<String>,
    /// Flags of the command as `--flag=value`; an unknown flag without a value as `--flag`.
    pub flags: Vec<String>,
    /// All other words.
    pub words: Vec<String>,
    /// Whether help is requested by the short form of the flag: `-h`.
    pub short_help: bool,
    /// The flag, as typed, and its value if the last word of the line is the value of a flag.
    pub last_value: Option<(String, String)>,
}

impl Line {
    /// Returns the words for clap, without the program name.
    pub fn for_clap(&self) -> Vec<String> {
        let mut line = self.global.clone();
        if let Some(command) = &self.command {
            line.push(command.clone());
            line.extend(self.flags.iter().cloned());
            line.push("--".to_owned());
            line.extend(self.words.iter().cloned());
        }
        line
    }
}

/// A flag that Go's `flag` package rejects. The sentences are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// `---x`, `-=x`.
    #[error("bad flag syntax: {0}")]
    Malformed(String),
    /// The value of the last flag is missing.
    #[error("flag needs an argument: -{0}")]
    ValueMissing(String),
    /// The word after a flag that takes a value is another flag. The Go binary takes that word for the value.
    #[error("flag needs an argument: -{name}")]
    ValueIsFlag {
        /// The flag's name, as typed.
        name: String,
        /// The word after it.
        next: String,
    },
    /// An invalid number.
    #[error("invalid value {value:?} for flag -{name}: parse error")]
    NotANumber {
        /// The flag.
        flag: Box<FlagSpec>,
        /// The flag's name, as typed.
        name: String,
        /// The invalid value.
        value: String,
    },
    /// An invalid boolean.
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    NotABoolean {
        /// The flag's name, as typed.
        name: String,
        /// The invalid value.
        value: String,
    },
    /// `-t 3 --timeout 4`.
    #[error("Cannot use two forms of the same flag: {0} {1}")]
    TwoForms(String, String),
}

/// A rejected command line: the reason, and the command whose help is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The command, or `None` for a global flag.
    pub command: Option<String>,
    /// The reason.
    pub why: SyntaxError,
}

/// The flag for help, and its short form.
const HELP: &str = "help";
const SHORT_HELP: &str = "h";

/// Converts a command line, without the program name, to its canonical form.
///
/// # Errors
/// Returns [`Refused`] for the first flag that Go would reject. Clap rejects unknown ones.
pub fn normalize(grammar: &Grammar, args: &[String]) -> Result<Line, Refused> {
    let refused = |command: Option<&String>| {
        let command = command.cloned();
        move |why| Refused { command, why }
    };
    let mut global = Scan::of(&grammar.global);
    let rest = global.run(args).map_err(refused(None))?;
    let mut line = Line {
        short_help: global
            .forms
            .get(HELP)
            .is_some_and(|form| form == SHORT_HELP),
        global: global.flags,
        ..Line::default()
    };
    let Some((command, args)) = rest.split_first() else {
        return Ok(line);
    };
    line.command = Some(command.clone());
    if grammar.raw.contains(&command.as_str()) {
        let asks_for_help = |word: &String| ["-h", "-help", "--help"].contains(&word.as_str());
        if args.first().is_some_and(asks_for_help) {
            line.flags.push("--help=true".to_owned());
            line.short_help = args.first().is_some_and(|word| word == "-h");
        } else {
            line.words = args.to_vec();
        }
        return Ok(line);
    }
    let none = Vec::new();
    let flags = grammar.commands.get(command.as_str()).unwrap_or(&none);
    let mut scan = Scan::of(flags);
    let args = flags_first(args);
    let words = scan.run(&args).map_err(refused(Some(command)))?;
    line.words = words.to_vec();
    line.flags = scan.flags;
    line.short_help |= scan.forms.get(HELP).is_some_and(|form| form == SHORT_HELP);
    line.last_value = scan.last_value.filter(|_| line.words.is_empty());
    Ok(line)
}

/// Moves the words before the first flag after the last word, as the Go binary's command library does: `rm n1 -y`
/// becomes `rm -y n1`, and `rm n1 -y n2` becomes `rm -y n2 n1`. A word between two flags ends the flags, and nothing
/// moves past `--`.
fn flags_first(args: &[String]) -> Vec<String> {
    let terminator = args.iter().position(|arg| arg == "--");
    let (before, after) = args.split_at(terminator.unwrap_or(args.len()));
    match before.iter().position(|arg| arg.starts_with('-')) {
        Some(first) => {
            let (words, flags) = before.split_at(first);
            [flags, words, after].concat()
        }
        None => args.to_vec(),
    }
}

/// Returns the last value of a flag on a canonical command line.
pub fn last_value<'a>(flags: &'a [String], name: &str) -> Option<&'a str> {
    flags.iter().rev().find_map(|flag| {
        let (given, value) = flag.strip_prefix("--")?.split_once('=')?;
        (given == name).then_some(value)
    })
}

struct Scan<'a> {
    known: &'a [Flag],
    /// The name under which each flag was given first.
    forms: BTreeMap<&'static str, String>,
    flags: Vec<String>,
    /// The last flag, as typed, and its value if it is a separate word.
    last_value: Option<(String, String)>,
}

impl<'a> Scan<'a> {
    fn of(known: &'a [Flag]) -> Self {
        Self {
            known,
            forms: BTreeMap::new(),
            flags: Vec::new(),
            last_value: None,
        }
    }

    /// Reads flags until the first word or `--`. Returns the words after them.
    fn run<'l>(&mut self, args: &'l [String]) -> Result<&'l [String], SyntaxError> {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            if arg == "--" {
                return Ok(after);
            }
            // A single dash is a word: by convention, standard input.
            let Some(flag) = arg.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                return Ok(rest);
            };
            rest = self.flag(arg, flag.strip_prefix('-').unwrap_or(flag), after)?;
        }
        Ok(rest)
    }

    /// Returns whether a word is a known flag with two dashes.
    fn is_long_flag(&self, word: &str) -> bool {
        let flag = word.strip_prefix("--").unwrap_or_default();
        let (name, _) = flag.split_once('=').unwrap_or((flag, ""));
        self.known.iter().any(|known| known.spec.name == name)
    }

    fn flag<'l>(
        &mut self,
        arg: &str,
        flag: &str,
        after: &'l [String],
    ) -> Result<&'l [String], SyntaxError> {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        self.last_value = None;
        if name.is_empty() || name.starts_with('-') {
            return Err(SyntaxError::Malformed(arg.to_owned()));
        }
        let Some(known) = self.known.iter().find(|known| known.is_called(name)) else {
            self.flags.push(format!("--{name}"));
            return Ok(after);
        };
        let first = self
            .forms
            .entry(known.spec.name)
            .or_insert_with(|| name.to_owned());
        if first != name {
            let (long, short) = (known.spec.name, known.short.unwrap_or_default());
            return Err(SyntaxError::TwoForms(short.to_owned(), long.to_owned()));
        }
        let (value, after) = match (value, known.spec.kind) {
            (Some(value), _) => (value, after),
            (None, machine_driver::FlagKind::Bool) => ("true".to_owned(), after),
            (None, machine_driver::FlagKind::Switch { bare }) => (bare.to_owned(), after),
            (None, _) => match after.split_first() {
                Some((next, _)) if self.is_long_flag(next) => {
                    let (name, next) = (name.to_owned(), next.clone());
                    return Err(SyntaxError::ValueIsFlag { name, next });
                }
                Some((value, after)) => {
                    self.last_value = Some((arg.to_owned(), value.clone()));
                    (value.clone(), after)
                }
                None => return Err(SyntaxError::ValueMissing(name.to_owned())),
            },
        };
        if !fits(&known.spec, &value) {
            let name = name.to_owned();
            return Err(match known.spec.kind {
                machine_driver::FlagKind::Bool => SyntaxError::NotABoolean { name, value },
                _ => SyntaxError::NotANumber {
                    flag: Box::new(known.spec.clone()),
                    name,
                    value,
                },
            });
        }
        self.flags.push(format!("--{}={value}", known.spec.name));
        Ok(after)
    }
}

/// Returns whether a value has the type of its flag.
pub fn fits(spec: &FlagSpec, value: &str) -> bool {
    let given = OptionValue {
        values: vec![value.to_owned()],
        from_env: None,
    };
    Options::new(vec![spec.clone()], BTreeMap::from([(spec.name, given)])).is_ok()
}

#[cfg(test)]
mod tests;
