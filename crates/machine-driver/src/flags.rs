//! The flags that a driver declares.

/// A flag of `create`, as declared by a driver or by the binary itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagSpec {
    /// The name without dashes: `generic-ssh-port`.
    pub name: &'static str,
    /// Its type and default.
    pub kind: FlagKind,
    /// The environment variable that provides its value.
    pub env: Option<&'static str>,
    /// One sentence of help.
    pub help: &'static str,
    /// The heading of its group in help; empty for no group.
    pub group: &'static str,
    /// Whether an empty value counts as not given, as templates send it where nothing is set.
    pub ignores_empty: bool,
    /// Values to offer for completion; others may be valid, too.
    pub values: &'static [&'static str],
}

/// The type of a flag, with its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagKind {
    /// Text; the last of repeated values is used ([`Options::all`](crate::Options::all) has them all).
    String {
        /// The default.
        default: &'static str,
    },
    /// A whole number, decimal, `0x` or `0`-octal.
    Int {
        /// The default.
        default: i64,
    },
    /// `--flag`, `--flag=true`, `--flag=false`.
    Bool,
    /// Text, repeatable. Its environment variable is not read, as in the Go binary.
    List {
        /// The default.
        default: &'static [&'static str],
    },
    /// A switch with an optional value: `--flag` (the value is then `bare`) or `--flag=word`.
    Switch {
        /// The value of the switch without a word.
        bare: &'static str,
    },
}

impl FlagSpec {
    /// Declares a text flag without a default.
    pub const fn string(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: FlagKind::String { default: "" },
            env: None,
            help,
            group: "",
            ignores_empty: false,
            values: &[],
        }
    }

    /// Declares a number.
    pub const fn int(name: &'static str, default: i64, help: &'static str) -> Self {
        Self {
            name,
            kind: FlagKind::Int { default },
            env: None,
            help,
            group: "",
            ignores_empty: false,
            values: &[],
        }
    }

    /// Declares a boolean, false by default.
    pub const fn bool(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: FlagKind::Bool,
            env: None,
            help,
            group: "",
            ignores_empty: false,
            values: &[],
        }
    }

    /// Declares a list, empty by default.
    pub const fn list(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: FlagKind::List { default: &[] },
            env: None,
            help,
            group: "",
            ignores_empty: false,
            values: &[],
        }
    }

    /// Declares a switch with an optional value.
    pub const fn switch(name: &'static str, bare: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: FlagKind::Switch { bare },
            env: None,
            help,
            group: "",
            ignores_empty: false,
            values: &[],
        }
    }

    /// Sets the values to offer for completion.
    pub const fn values(mut self, values: &'static [&'static str]) -> Self {
        self.values = values;
        self
    }

    /// Sets the heading of its group in help.
    pub const fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Makes an empty value count as not given.
    pub const fn ignoring_empty(mut self) -> Self {
        self.ignores_empty = true;
        self
    }

    /// Sets the environment variable.
    pub const fn env(mut self, env: &'static str) -> Self {
        self.env = Some(env);
        self
    }

    /// Sets a text flag's default; has no effect on other kinds.
    pub const fn default_text(mut self, default: &'static str) -> Self {
        if let FlagKind::String { .. } = self.kind {
            self.kind = FlagKind::String { default };
        }
        self
    }

    /// Sets a list flag's default; has no effect on other kinds.
    pub const fn default_list(mut self, default: &'static [&'static str]) -> Self {
        if let FlagKind::List { .. } = self.kind {
            self.kind = FlagKind::List { default };
        }
        self
    }
}
