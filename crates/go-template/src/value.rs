//! The values of a template, with the parts of Go's types that templates can show.
//!
//! Owns type names, truth and indirection. `%T`, error messages and missing fields depend on a value's type: decoded
//! JSON is `map[string]interface {}`, `[]interface {}` and `float64`, where a missing key is `<no value>`; a
//! [`Struct`] stands for a Go struct, where a missing field is an error. The binary builds these values and the rest
//! of the crate reads them.

use std::borrow::Cow;
use std::sync::Arc;

/// A string in Go's sense: bytes that are usually, not always, UTF-8 (`slice` may cut a character in two).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoString(Arc<[u8]>);

impl GoString {
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text, with U+FFFD for bytes that are not UTF-8.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<&str> for GoString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for GoString {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Vec<u8>> for GoString {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for GoString {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

/// A value of a template. Cloning is cheap: large values are shared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Value {
    /// No value: JSON's null, and Go's nil without a type.
    Nil,
    /// A `bool`.
    Bool(bool),
    /// An `int`.
    Int(i64),
    /// A `uint8`: the result of indexing a string.
    Byte(u8),
    /// A `float64`: every number of decoded JSON.
    Float(f64),
    /// A `string`.
    String(GoString),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A struct.
    Struct(Struct),
    /// A pointer to a struct, possibly nil.
    Pointer(Pointer),
    /// A value of a named type with its own text.
    Named(Named),
}

/// The declared type of the elements of a list or map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// `interface{}`: any value, as in decoded JSON.
    Any,
    /// `string`.
    String,
}

impl Element {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Element::Any => "interface {}",
            Element::String => "string",
        }
    }

    /// Returns the value of a missing key when a map is indexed.
    pub(crate) fn zero(self) -> Value {
        match self {
            Element::Any => Value::Nil,
            Element::String => Value::from(""),
        }
    }
}

/// A slice; nil slices are empty and differ in `%#v` and JSON.
#[derive(Debug, Clone)]
pub struct List {
    pub(crate) element: Element,
    pub(crate) items: Option<Arc<[Value]>>,
}

impl List {
    /// Makes a `[]interface{}`.
    pub fn new(items: impl IntoIterator<Item = Value>) -> Self {
        Self {
            element: Element::Any,
            items: Some(items.into_iter().collect()),
        }
    }

    /// Makes a `[]string`.
    pub fn strings<T: Into<GoString>>(items: impl IntoIterator<Item = T>) -> Self {
        let items = items
            .into_iter()
            .map(|item| Value::String(item.into()))
            .collect();
        Self {
            element: Element::String,
            items: Some(items),
        }
    }

    /// Makes a nil slice.
    pub fn nil(element: Element) -> Self {
        Self {
            element,
            items: None,
        }
    }

    /// Returns the items.
    pub fn items(&self) -> &[Value] {
        self.items.as_deref().unwrap_or_default()
    }
}

/// A map with string keys, visited in the order of the keys.
#[derive(Debug, Clone)]
pub struct Map {
    pub(crate) element: Element,
    pub(crate) entries: Arc<[(Arc<str>, Value)]>,
}

impl Map {
    /// Makes a `map[string]interface{}`; of equal keys the last one is kept.
    pub fn new<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::sorted(
            Element::Any,
            entries.into_iter().map(|(key, value)| (key.into(), value)),
        )
    }

    /// Makes a `map[string]string`; of equal keys the last one is kept.
    pub fn strings<K: Into<Arc<str>>, T: Into<GoString>>(
        entries: impl IntoIterator<Item = (K, T)>,
    ) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, text)| (key.into(), Value::String(text.into())));
        Self::sorted(Element::String, entries)
    }

    fn sorted(element: Element, entries: impl Iterator<Item = (Arc<str>, Value)>) -> Self {
        let sorted: std::collections::BTreeMap<_, _> = entries.collect();
        Self {
            element,
            entries: sorted.into_iter().collect(),
        }
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Value> {
        let index = self
            .entries
            .binary_search_by(|(name, _)| name.as_bytes().cmp(key))
            .ok()?;
        self.entries.get(index).map(|(_, value)| value)
    }

    /// Returns the entries in the order of their keys.
    pub fn entries(&self) -> &[(Arc<str>, Value)] {
        &self.entries
    }
}

/// A struct with its exported fields, in the order of their declaration.
#[derive(Debug, Clone)]
pub struct Struct {
    pub(crate) type_name: Arc<str>,
    pub(crate) fields: Arc<[(Arc<str>, Value)]>,
}

impl Struct {
    /// Makes a struct of the type (`commands.HostListItem`) with the fields.
    pub fn new(type_name: &str, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect();
        Self {
            type_name: type_name.into(),
            fields,
        }
    }

    /// Returns the value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(name, _)| **name == *field)
            .map(|(_, value)| value)
    }

    /// Returns the fields in the order of their declaration.
    pub fn fields(&self) -> &[(Arc<str>, Value)] {
        &self.fields
    }
}

/// A pointer to a struct.
#[derive(Debug, Clone)]
pub struct Pointer {
    target: Result<Struct, Absent>,
}

/// The type that a nil pointer refers to.
#[derive(Debug, Clone)]
struct Absent {
    type_name: Arc<str>,
    fields: Arc<[Arc<str>]>,
}

impl Pointer {
    /// Makes a pointer to a struct.
    pub fn to(target: Struct) -> Self {
        Self { target: Ok(target) }
    }

    /// Makes a nil pointer to a type with these fields; reading one of them through it gives a different error than
    /// reading an unknown one.
    pub fn nil<K: Into<Arc<str>>>(type_name: &str, fields: impl IntoIterator<Item = K>) -> Self {
        Self {
            target: Err(Absent {
                type_name: type_name.into(),
                fields: fields.into_iter().map(K::into).collect(),
            }),
        }
    }

    /// Returns the struct.
    pub fn target(&self) -> Option<&Struct> {
        self.target.as_ref().ok()
    }

    pub(crate) fn type_name(&self) -> String {
        let name = match &self.target {
            Ok(target) => &target.type_name,
            Err(absent) => &absent.type_name,
        };
        format!("*{name}")
    }

    pub(crate) fn declares(&self, field: &str) -> bool {
        match &self.target {
            Ok(target) => target.get(field).is_some(),
            Err(absent) => absent.fields.iter().any(|name| **name == *field),
        }
    }

    /// Returns the number that `%v` and `%p` print: the memory address, as in Go.
    pub(crate) fn address(&self) -> u64 {
        self.target()
            .map_or(0, |target| target.fields.as_ptr() as u64)
    }
}

/// A value of a named type that has a `String` method, such as `time.Duration`.
///
/// It prints as its text; operations use the underlying value: `{{eq .State 1}}`.
#[derive(Debug, Clone)]
pub struct Named {
    pub(crate) type_name: Arc<str>,
    pub(crate) underlying: Arc<Value>,
    pub(crate) text: GoString,
    pub(crate) methods: Arc<[(&'static str, Value)]>,
}

impl Named {
    /// Makes a value of the type (`state.State`) that prints as the text. `String` is among its methods.
    pub fn new(type_name: &str, underlying: impl Into<Value>, text: impl Into<GoString>) -> Self {
        Self::with_methods(type_name, underlying, text, [])
    }

    /// Makes such a value with additional methods without arguments: their names and results.
    pub fn with_methods(
        type_name: &str,
        underlying: impl Into<Value>,
        text: impl Into<GoString>,
        methods: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        let text = text.into();
        let string = ("String", Value::String(text.clone()));
        Self {
            type_name: type_name.into(),
            underlying: Arc::new(underlying.into()),
            text,
            methods: methods.into_iter().chain([string]).collect(),
        }
    }

    pub(crate) fn method(&self, name: &str) -> Option<&Value> {
        self.methods
            .iter()
            .find(|(method, _)| *method == name)
            .map(|(_, result)| result)
    }
}

impl Value {
    /// Returns Go's name of the value's type, as `%T` prints it.
    pub fn type_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Byte(_) => "uint8",
            Value::Float(_) => "float64",
            Value::String(_) => "string",
            Value::List(list) => return Cow::Owned(format!("[]{}", list.element.type_name())),
            Value::Map(map) => {
                return Cow::Owned(format!("map[string]{}", map.element.type_name()));
            }
            Value::Struct(value) => &value.type_name,
            Value::Pointer(pointer) => return Cow::Owned(pointer.type_name()),
            Value::Named(named) => &named.type_name,
        })
    }

    /// Returns whether `if` treats the value as true: it is neither nil, zero nor empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Byte(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::String(text) => !text.as_bytes().is_empty(),
            Value::List(list) => !list.items().is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            Value::Struct(_) => true,
            Value::Pointer(pointer) => pointer.target().is_some(),
            Value::Named(named) => named.underlying.is_true(),
        }
    }

    /// Returns the value without its named type: operations use it.
    pub(crate) fn underlying(&self) -> &Value {
        match self {
            Value::Named(named) => &named.underlying,
            value => value,
        }
    }
}
