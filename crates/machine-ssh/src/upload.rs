//! Putting one file onto a machine by the shell's own means.

use crate::{Command, shell_quote};

/// What the machine runs. The content comes on standard input. A connection that is lost looks
/// like the end of the input to it, so it counts what it got before it lets the file appear.
const SCRIPT: &str = r#"
set -eu
umask 077
if [ -d "$path" ]; then echo "$path: Is a directory" >&2; exit 1; fi
new=$(mktemp "$path.XXXXXX")
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
chmod "$mode" "$new"
cat > "$new"
[ "$(wc -c < "$new")" -eq "$size" ] || { echo "$path: input was cut short" >&2; exit 1; }
mv -f "$new" "$path"
"#;

/// A file to put onto a machine.
#[derive(Clone, Copy)]
pub struct Upload<'a> {
    pub(crate) path: &'a str,
    pub(crate) mode: u32,
    pub(crate) content: &'a [u8],
    pub(crate) as_root: bool,
}

impl<'a> Upload<'a> {
    /// Makes an upload of `content` to `path`, with the mode's lower nine bits (`0o600`). The
    /// directory must be there.
    pub fn new(path: &'a str, mode: u32, content: &'a [u8]) -> Self {
        Self {
            path,
            mode,
            content,
            as_root: false,
        }
    }

    /// Writes as root, see [`Command::as_root`](crate::Command::as_root); the file is root's.
    #[must_use]
    pub fn as_root(mut self) -> Self {
        self.as_root = true;
        self
    }

    /// Returns the command that takes the content as its input.
    pub(crate) fn command(&self) -> Command {
        // A path that begins with a dash would be an option to the tools that are handed it.
        let path = match self.path.starts_with('-') {
            true => format!("./{}", self.path),
            false => self.path.to_owned(),
        };
        let script = format!(
            "path={} mode={:o} size={}{SCRIPT}",
            shell_quote(&path),
            self.mode & 0o777,
            self.content.len(),
        );
        let title = format!("upload {}", self.path);
        match self.as_root {
            true => Command::new(title, script).as_root(),
            false => Command::new(title, format!("exec sh -c {}", shell_quote(&script))),
        }
    }
}
