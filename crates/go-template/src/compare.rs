//! `eq`, `lt` and the other comparison functions.

use crate::datum::indirect;
use crate::format;
use crate::value::Value;

/// Classes of values: which ones can be compared with each other, and ordered.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Basic<'v> {
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(&'v [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value.underlying() {
        Value::Bool(value) => Basic::Bool(*value),
        Value::Int(value) => Basic::Integer(*value),
        Value::Byte(value) => Basic::Integer(i64::from(*value)),
        Value::Float(value) => Basic::Float(*value),
        Value::String(text) => Basic::String(text.as_bytes()),
        _ => return None,
    })
}

fn same_kind(a: &Basic<'_>, b: &Basic<'_>) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// Returns whether the first value equals one of the others.
pub(crate) fn equals_any(first: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether two values are equal; an error where Go refuses to compare them.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (basic(a), basic(b)) {
        (Some(left), Some(right)) if same_kind(&left, &right) => Ok(left == right),
        (None, None) => equal_composites(a, b),
        _ if matches!(a, Value::Nil) || matches!(b, Value::Nil) => Ok(false),
        _ => Err(incompatible(a, b)),
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    )
}

fn equal_composites(a: &Value, b: &Value) -> Result<bool, String> {
    let nil = (matches!(a, Value::Nil), matches!(b, Value::Nil));
    if nil == (false, false) && std::mem::discriminant(a) != std::mem::discriminant(b) {
        let (left, right) = (format::display_as_string(a), format::display(b));
        return Err(format!(
            "non-comparable types {left}: {}, {}: {right}",
            a.type_name(),
            b.type_name()
        ));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    if !comparable(b) {
        return Err(format!(
            "non-comparable type {}: {}",
            format::display_as_string(b),
            b.type_name()
        ));
    }
    Ok(same(a, b))
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.items.is_none(),
        value => indirect(value).is_none(),
    }
}

/// Returns whether Go defines `==` for the type.
fn comparable(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Map(_) => false,
        Value::Struct(value) => value.fields().iter().all(|(_, field)| comparable(field)),
        _ => true,
    }
}

/// Applies Go's `==` to comparable values.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Struct(a), Value::Struct(b)) => {
            a.type_name == b.type_name
                && a.fields().len() == b.fields().len()
                && a.fields()
                    .iter()
                    .zip(b.fields())
                    .all(|((_, a), (_, b))| same(a, b))
        }
        (Value::Pointer(a), Value::Pointer(b)) => {
            a.type_name() == b.type_name() && a.address() == b.address()
        }
        _ => basic(a).is_some() && a.type_name() == b.type_name() && basic(a) == basic(b),
    }
}

/// Returns whether the first value is less than the second.
pub(crate) fn less(a: &Value, b: &Value) -> Result<bool, String> {
    const UNORDERED: &str = "invalid type for comparison";
    let left = basic(a).ok_or(UNORDERED)?;
    let right = basic(b).ok_or(UNORDERED)?;
    match (left, right) {
        (left, right) if !same_kind(&left, &right) => Err(incompatible(a, b)),
        (Basic::Bool(_), _) => Err(UNORDERED.to_owned()),
        (left, right) => Ok(left < right),
    }
}

/// Returns whether the first value is not greater than the second.
pub(crate) fn less_or_equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(less(a, b)? || equal(a, b)?)
}
