//! The options of ssh(1) that may stand between a machine's name and the command: the Go binary hands
//! them to OpenSSH, and scripts say `ssh m1 -t …`.

/// What was asked for by options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SshOptions {
    /// Whether there is to be a pseudo-terminal, where that was said.
    pub(crate) terminal: Option<Terminal>,
    /// `-n`: standard input is not read.
    pub(crate) no_input: bool,
    /// `-A`: what runs there could use the agent of this computer.
    pub(crate) forward_agent: bool,
    /// `-l`: another login name than the machine's own.
    pub(crate) user: Option<String>,
    /// `-p`: another port than the machine's own.
    pub(crate) port: Option<u16>,
}

/// When there is a pseudo-terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// `-t`: where standard input is a terminal.
    Wanted,
    /// `-tt`: always.
    Forced,
    /// `-T`: never.
    None,
}

/// Why an option cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionError {
    #[error("ssh(1) has an option -{0}, which this program cannot honour")]
    Unsupported(char),
    #[error("option -{0} needs a value")]
    ValueMissing(char),
    #[error("{0:?} is no port: -p takes a number from 1 to 65535")]
    NoPort(String),
}

impl SshOptions {
    /// Takes the options at the beginning of the words, up to `--` or the first word that is none.
    /// Returns them and the words of the command.
    pub(crate) fn take(words: &[String]) -> Result<(Self, &[String]), OptionError> {
        let mut options = Self::default();
        let mut rest = words;
        while let Some((word, mut after)) = rest.split_first() {
            if word == "--" {
                return Ok((options, after));
            }
            let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                break;
            };
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    't' if options.terminal == Some(Terminal::Wanted) => {
                        options.terminal = Some(Terminal::Forced);
                    }
                    't' if options.terminal == Some(Terminal::Forced) => {}
                    't' => options.terminal = Some(Terminal::Wanted),
                    'T' => options.terminal = Some(Terminal::None),
                    'n' => options.no_input = true,
                    'A' => options.forward_agent = true,
                    'a' => options.forward_agent = false,
                    // Compression and talk change no result, and the address says which family it is of.
                    'q' | 'v' | 'C' | '4' | '6' => {}
                    'l' | 'p' => {
                        let value = match letters.as_str() {
                            "" => {
                                let (value, behind) = after
                                    .split_first()
                                    .ok_or(OptionError::ValueMissing(letter))?;
                                after = behind;
                                value.clone()
                            }
                            value => value.to_owned(),
                        };
                        options.set(letter, value)?;
                        break;
                    }
                    other => return Err(OptionError::Unsupported(other)),
                }
            }
            rest = after;
        }
        Ok((options, rest))
    }

    fn set(&mut self, letter: char, value: String) -> Result<(), OptionError> {
        if letter == 'l' {
            self.user = Some(value);
            return Ok(());
        }
        match value.parse() {
            Ok(port) if port != 0 => self.port = Some(port),
            _ => return Err(OptionError::NoPort(value)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn taken(line: &str) -> (SshOptions, String) {
        let words = words(line);
        let (options, command) = SshOptions::take(&words).unwrap();
        (options, command.join(" "))
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let none = SshOptions::default();
        for (line, command) in [
            ("ls -d /tmp", "ls -d /tmp"),
            ("-- -t x", "-t x"),
            ("-q -v -vv46C x -t", "x -t"),
            ("- x", "- x"),
        ] {
            assert_eq!(taken(line), (none.clone(), command.to_owned()), "{line}");
        }
    }

    #[test]
    fn terminals_users_and_ports() {
        for (line, terminal) in [
            ("-t x", Terminal::Wanted),
            ("-tt x", Terminal::Forced),
            ("-t -qtt x", Terminal::Forced),
            ("-tT x", Terminal::None),
        ] {
            assert_eq!(taken(line).0.terminal, Some(terminal), "{line}");
        }
        let (options, command) = taken("-nl me -p2022 -A -- x");
        assert_eq!(command, "x");
        assert!(options.no_input && options.forward_agent);
        assert_eq!(
            (options.user.as_deref(), options.port),
            (Some("me"), Some(2022))
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (line, why) in [
            ("-L 1:h:2 x", OptionError::Unsupported('L')),
            ("-to x", OptionError::Unsupported('o')),
            ("--help x", OptionError::Unsupported('-')),
            ("-l", OptionError::ValueMissing('l')),
            ("-p 0 x", OptionError::NoPort("0".into())),
        ] {
            assert_eq!(SshOptions::take(&words(line)), Err(why), "{line}");
        }
    }
}
