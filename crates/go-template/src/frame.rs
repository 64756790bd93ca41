//! The stack of bodies in execution, used by `exec`.

use std::slice;

use crate::datum::Datum;
use crate::node::{Branch, Node};
use crate::value::{List, Map, Value};

/// Variables by name; the innermost is the last.
pub(crate) type Variables<'t> = Vec<(&'t str, Datum)>;

/// A body that is being executed.
pub(crate) struct Frame<'t> {
    pub(crate) nodes: slice::Iter<'t, Node>,
    pub(crate) dot: Datum,
    /// The number of variables that remain when the body ends.
    pub(crate) variables: usize,
    pub(crate) kind: FrameKind<'t>,
}

pub(crate) enum FrameKind<'t> {
    Plain,
    Loop(Loop<'t>),
    /// The `else` of a `range`: `break` ends it, as in Go.
    LoopElse,
    /// A called template, with the state at which its caller continues.
    Call {
        variables: Variables<'t>,
        executing: &'t str,
    },
}

/// A `range` and its position.
pub(crate) struct Loop<'t> {
    pub(crate) branch: &'t Branch,
    pub(crate) items: Items,
    pub(crate) next: usize,
    /// The number of variables that remain when one turn ends.
    pub(crate) variables: usize,
}

pub(crate) enum Items {
    List(List),
    Map(Map),
    Numbers(i64),
    Bytes(u8),
}

impl Items {
    /// Returns the index or key, and the item.
    pub(crate) fn get(&self, index: usize) -> Option<(Datum, Datum)> {
        let number = i64::try_from(index).ok()?;
        match self {
            Items::List(list) => {
                let item = list.items().get(index)?.clone();
                Some((Datum::plain(number), Datum::item(list.element, item)))
            }
            Items::Map(map) => {
                let (key, item) = map.entries().get(index)?;
                let item = Datum::item(map.element, item.clone());
                Some((Datum::plain(&**key), item))
            }
            Items::Numbers(end) => {
                (number < *end).then(|| (Datum::nothing(), Datum::plain(number)))
            }
            Items::Bytes(end) => {
                let byte = u8::try_from(index).ok().filter(|byte| byte < end)?;
                Some((Datum::nothing(), Datum::plain(Value::Byte(byte))))
            }
        }
    }
}
