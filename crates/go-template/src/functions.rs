//! The functions a template can call: Go's predefined ones and those the caller adds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::builtin::Builtin;
use crate::json;
use crate::value::Value;

type Body = dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync;

/// A function that the caller adds.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) arguments: usize,
    pub(crate) body: Arc<Body>,
}

/// The functions that templates may use besides the predefined ones, which they may replace.
#[derive(Clone, Default)]
pub struct Functions {
    added: BTreeMap<String, Function>,
}

impl Functions {
    /// Makes a set without additions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the set that `docker-machine` gives to templates: `json` and `prettyjson` (indented by four spaces).
    pub fn with_json() -> Self {
        Self::new()
            .with("json", 1, |arguments| {
                Ok(json::encode(arguments.first().unwrap_or(&Value::Nil), None).into())
            })
            .with("prettyjson", 1, |arguments| {
                Ok(json::encode(arguments.first().unwrap_or(&Value::Nil), Some("    ")).into())
            })
    }

    /// Adds a function with the given number of arguments; its error is shown as `error calling NAME: ...`.
    pub fn with(
        mut self,
        name: &str,
        arguments: usize,
        body: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        self.added.insert(
            name.to_owned(),
            Function {
                arguments,
                body: Arc::new(body),
            },
        );
        self
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.added.contains_key(name) || Builtin::find(name).is_some()
    }

    pub(crate) fn added(&self, name: &str) -> Option<&Function> {
        self.added.get(name)
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.added.keys()).finish()
    }
}
