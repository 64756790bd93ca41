//! Go's predefined functions: signatures and behaviour, except printing.

use crate::compare;
use crate::datum::Datum;
use crate::value::{List, Value};

/// The type that a parameter accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param {
    /// Any value, nil included.
    Any,
    String,
}

/// The parameters of a function.
pub(crate) struct Signature {
    pub(crate) fixed: &'static [Param],
    /// Any number of further values.
    pub(crate) variadic: bool,
}

/// A predefined function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    And,
    Call,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    Urlquery,
}

impl Builtin {
    pub(crate) fn find(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "call" => Self::Call,
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "html" => Self::Html,
            "index" => Self::Index,
            "js" => Self::Js,
            "le" => Self::Le,
            "len" => Self::Len,
            "lt" => Self::Lt,
            "ne" => Self::Ne,
            "not" => Self::Not,
            "or" => Self::Or,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "slice" => Self::Slice,
            "urlquery" => Self::Urlquery,
            _ => return None,
        })
    }

    pub(crate) fn signature(self) -> Signature {
        let (fixed, variadic): (&'static [Param], bool) = match self {
            Self::Html | Self::Js | Self::Urlquery | Self::Print | Self::Println => (&[], true),
            Self::Printf => (&[Param::String], true),
            Self::And | Self::Or | Self::Call | Self::Eq | Self::Index | Self::Slice => {
                (&[Param::Any], true)
            }
            Self::Len | Self::Not => (&[Param::Any], false),
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => {
                (&[Param::Any, Param::Any], false)
            }
        };
        Signature { fixed, variadic }
    }
}

/// Returns whether the comparison function (`eq`, `lt` and so on) holds for the arguments.
pub(crate) fn comparison(function: Builtin, arguments: &[Value]) -> Result<bool, String> {
    let [first, others @ ..] = arguments else {
        return compare::equals_any(&Value::Nil, &[]);
    };
    let second = others.first().unwrap_or(&Value::Nil);
    match function {
        Builtin::Ne => compare::equal(first, second).map(|equal| !equal),
        Builtin::Lt => compare::less(first, second),
        Builtin::Le => compare::less_or_equal(first, second),
        Builtin::Gt => compare::less_or_equal(first, second).map(|less| !less),
        Builtin::Ge => compare::less(first, second).map(|less| !less),
        _ => compare::equals_any(first, others),
    }
}

/// Returns the number of items of a list or map, or of bytes of a string.
pub(crate) fn len(argument: &Datum) -> Result<usize, String> {
    if argument.is_nothing() {
        // The sentence comes from Go's reflect package.
        return Err("reflect: call of reflect.Value.Type on zero Value".to_owned());
    }
    let value = argument.indirect().ok_or("len of nil pointer")?;
    match value.underlying() {
        Value::List(list) => Ok(list.items().len()),
        Value::Map(map) => Ok(map.entries().len()),
        Value::String(text) => Ok(text.as_bytes().len()),
        _ => Err(format!("len of type {}", value.type_name())),
    }
}

/// Evaluates `index x 1 "key"`: descends one level for each index.
pub(crate) fn index(item: &Datum, indexes: &[Datum]) -> Result<Datum, String> {
    let mut item = item.clone().unbox();
    if item.is_nothing() {
        return Err("index of untyped nil".to_owned());
    }
    for index in indexes {
        let value = item.indirect().ok_or("index of nil pointer")?;
        item = element(&value, &index.value)?;
    }
    Ok(item)
}

fn element(value: &Value, index: &Value) -> Result<Datum, String> {
    match value.underlying() {
        Value::List(list) => {
            let at = position(index, list.items().len())?;
            // An index one past the end is in range for `slice`; here reflect rejects it.
            let item = list
                .items()
                .get(at)
                .ok_or("reflect: slice index out of range")?;
            Ok(Datum::item(list.element, item.clone()))
        }
        Value::String(text) => {
            let at = position(index, text.as_bytes().len())?;
            let byte = text
                .as_bytes()
                .get(at)
                .ok_or("reflect: string index out of range")?;
            Ok(Datum::plain(Value::Byte(*byte)))
        }
        Value::Map(map) => match index {
            Value::String(key) => {
                let found = map
                    .get(key.as_bytes())
                    .cloned()
                    .unwrap_or_else(|| map.element.zero());
                Ok(Datum::item(map.element, found))
            }
            Value::Nil => Err("value is nil; should be of type string".to_owned()),
            other => Err(format!(
                "value has type {}; should be string",
                other.type_name()
            )),
        },
        _ => Err(format!("can't index item of type {}", value.type_name())),
    }
}

fn position(index: &Value, length: usize) -> Result<usize, String> {
    let position = match index.underlying() {
        Value::Int(position) => *position,
        Value::Byte(position) => i64::from(*position),
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        _ => {
            return Err(format!(
                "cannot index slice/array with type {}",
                index.type_name()
            ));
        }
    };
    usize::try_from(position)
        .ok()
        .filter(|&position| position <= length)
        .ok_or_else(|| format!("index out of range: {position}"))
}

/// Evaluates `slice x 1 2`: Go's `x[1:2]` of a list or string.
pub(crate) fn slice(item: &Datum, indexes: &[Datum]) -> Result<Value, String> {
    let item = item.clone().unbox();
    if item.is_nothing() {
        return Err("slice of untyped nil".to_owned());
    }
    let value = item.indirect().ok_or("slice of nil pointer")?;
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let length = match value.underlying() {
        Value::String(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::String(text) => text.as_bytes().len(),
        Value::List(list) => list.items().len(),
        _ => return Err(format!("can't slice item of type {}", value.type_name())),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        // Unlike `index`, Go's `slice` does not unwrap an interface.
        *bound = match index.boxed {
            true => return Err("cannot index slice/array with type interface {}".to_owned()),
            false => position(&index.value, length)?,
        };
    }
    let [from, to, capacity] = bounds;
    for (low, high) in [(from, to), (to, capacity)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}"));
        }
    }
    Ok(match value.underlying() {
        Value::String(text) => {
            Value::String(text.as_bytes().get(from..to).unwrap_or_default().into())
        }
        Value::List(list) => {
            let items = list
                .items
                .as_ref()
                .map(|items| items.get(from..to).unwrap_or_default().into());
            Value::List(List {
                element: list.element,
                items,
            })
        }
        _ => Value::Nil,
    })
}

/// Returns the error of `call`, which always fails: values here are never functions. The error shows the callee as
/// written, or as piped.
pub(crate) fn call(callee: &Value, written: Option<String>) -> String {
    let shown = match (callee, written) {
        (Value::Nil, _) => return "call of nil".to_owned(),
        (_, Some(written)) => written,
        (Value::String(text), None) => text.to_string_lossy().into_owned(),
        (other, None) => format!("<{} Value>", other.type_name()),
    };
    format!("non-function {shown} of type {}", callee.type_name())
}
