//! A value during the evaluation of an expression.

use std::borrow::Cow;

use crate::value::{Element, Value};

/// A value, and whether it is still wrapped in the `interface{}` of the list or map that it was taken from.
///
/// Go's messages name the interface type until a pipeline, a variable or a function unwraps it. An empty interface
/// (JSON's null) is a nil pointer; a missing key is no value.
#[derive(Debug, Clone)]
pub(crate) struct Datum {
    pub(crate) value: Value,
    pub(crate) boxed: bool,
}

impl Datum {
    /// Returns a value without an interface around it.
    pub(crate) fn plain(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            boxed: false,
        }
    }

    /// Returns an item of a list or map with the given element type.
    pub(crate) fn item(element: Element, value: Value) -> Self {
        Self {
            value,
            boxed: element == Element::Any,
        }
    }

    /// Returns no value: a missing key, or the content of an empty interface.
    pub(crate) fn nothing() -> Self {
        Self::plain(Value::Nil)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        !self.boxed && matches!(self.value, Value::Nil)
    }

    pub(crate) fn unbox(self) -> Self {
        Self::plain(self.value)
    }

    /// Returns the type as error messages name it.
    pub(crate) fn type_name(&self) -> Cow<'_, str> {
        if self.boxed {
            "interface {}".into()
        } else {
            self.value.type_name()
        }
    }

    /// Returns the value behind interfaces and pointers; `None` where an interface is empty or a pointer nil.
    pub(crate) fn indirect(&self) -> Option<Value> {
        indirect(&self.value).filter(|value| !(self.boxed && matches!(value, Value::Nil)))
    }
}

/// Returns the struct behind a pointer, or the value itself; `None` for a nil pointer.
pub(crate) fn indirect(value: &Value) -> Option<Value> {
    match value {
        Value::Pointer(pointer) => pointer.target().cloned().map(Value::Struct),
        value => Some(value.clone()),
    }
}
