//! A value on its way through an expression.

use std::borrow::Cow;

use crate::value::{Element, Value};

/// A value, and whether it still lies in the `interface{}` of the list or map it was taken from.
///
/// Go's messages name the type of the box until a pipeline, a variable or a function has opened it, and an
/// empty box (JSON's null) is a nil pointer where a missing key is nothing at all.
#[derive(Debug, Clone)]
pub(crate) struct Datum {
    pub(crate) value: Value,
    pub(crate) boxed: bool,
}

impl Datum {
    /// A value by itself.
    pub(crate) fn plain(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            boxed: false,
        }
    }

    /// An item of a list or map with such elements.
    pub(crate) fn item(element: Element, value: Value) -> Self {
        Self {
            value,
            boxed: element == Element::Any,
        }
    }

    /// Nothing: a missing key, or the end of an empty box.
    pub(crate) fn nothing() -> Self {
        Self::plain(Value::Nil)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        !self.boxed && matches!(self.value, Value::Nil)
    }

    pub(crate) fn unbox(self) -> Self {
        Self::plain(self.value)
    }

    /// The type as error messages name it.
    pub(crate) fn type_name(&self) -> Cow<'_, str> {
        if self.boxed {
            "interface {}".into()
        } else {
            self.value.type_name()
        }
    }

    /// The value behind boxes and pointers; `None` where a box is empty or a pointer nil.
    pub(crate) fn indirect(&self) -> Option<Value> {
        indirect(&self.value).filter(|value| !(self.boxed && matches!(value, Value::Nil)))
    }
}

/// The struct behind a pointer, or the value itself; `None` for a nil pointer.
pub(crate) fn indirect(value: &Value) -> Option<Value> {
    match value {
        Value::Pointer(pointer) => pointer.target().cloned().map(Value::Struct),
        value => Some(value.clone()),
    }
}
