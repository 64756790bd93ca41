//! Executes a template's statements.
//!
//! Owns control flow, variables and limits. Bodies and called templates lie on an explicit stack of frames, so no
//! template can overflow the thread's stack: only expressions recurse, no deeper than the parser allows. Called by
//! [`Template::execute_to`](crate::Template::execute_to).

use std::io::Write;

use crate::apply::printable;
use crate::datum::Datum;
use crate::error::{Error, ExecuteError};
use crate::format::{self, Printer};
use crate::frame::{Frame, FrameKind, Items, Loop, Variables};
use crate::node::{Branch, Invocation, Node, Site};
use crate::template::Template;
use crate::value::Value;

/// A running template.
pub(crate) struct Execution<'t, 'w> {
    pub(crate) template: &'t Template,
    /// The place that errors are reported at.
    pub(crate) site: Site<'t>,
    pub(crate) variables: Variables<'t>,
    out: &'w mut dyn Write,
    executing: &'t str,
    frames: Vec<Frame<'t>>,
    depth: usize,
    steps: u64,
    bytes: usize,
}

impl<'t, 'w> Execution<'t, 'w> {
    pub(crate) fn new(template: &'t Template, out: &'w mut dyn Write) -> Self {
        Self {
            template,
            site: Site::Start,
            variables: Vec::new(),
            out,
            executing: template.name(),
            frames: Vec::new(),
            depth: 0,
            steps: template.limits().steps,
            bytes: template.limits().bytes,
        }
    }

    /// Runs the main template to its end.
    pub(crate) fn run(mut self, data: &Value) -> Result<(), Error> {
        let dot = Datum::plain(data.clone());
        self.variables.push(("$", dot.clone()));
        let body = self
            .template
            .definition(self.template.name())
            .unwrap_or_default();
        self.push(body, dot, 1, FrameKind::Plain);
        while let Some(frame) = self.frames.last_mut() {
            match frame.nodes.next() {
                Some(node) => {
                    let dot = frame.dot.clone();
                    self.step()?;
                    self.node(dot, node)?;
                }
                None => self.end_of_body()?,
            }
        }
        Ok(())
    }

    fn push(&mut self, body: &'t [Node], dot: Datum, variables: usize, kind: FrameKind<'t>) {
        self.frames.push(Frame {
            nodes: body.iter(),
            dot,
            variables,
            kind,
        });
    }

    fn step(&mut self) -> Result<(), Error> {
        self.steps = self
            .steps
            .checked_sub(1)
            .ok_or_else(|| self.error("too many steps"))?;
        Ok(())
    }

    /// Returns how many bytes may still be written or built.
    pub(crate) fn bytes_left(&self) -> usize {
        self.bytes
    }

    /// Subtracts bytes from the limit.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or_else(|| self.error("too much output"))?;
        Ok(())
    }

    /// Makes an error at the current site.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        let before = self
            .template
            .text()
            .get(..self.site.position())
            .unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error::from(Box::new(ExecuteError {
            name: self.template.name().to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.len() - line_start,
            executing: self.executing.to_owned(),
            context: self.site.to_string(),
            message: message.into(),
        }))
    }

    pub(crate) fn variable(&self, name: &str) -> Result<Datum, Error> {
        let found = self
            .variables
            .iter()
            .rev()
            .find(|(variable, _)| *variable == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| self.error(format!("undefined variable: {name}")))
    }

    pub(crate) fn assign(&mut self, name: &str, value: Datum) -> Result<(), Error> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(variable, _)| *variable == name)
        {
            Some((_, slot)) => *slot = value,
            None => return Err(self.error(format!("undefined variable: {name}"))),
        }
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> Result<(), Error> {
        self.charge(text.len())?;
        self.out.write_all(text).map_err(Error::Write)
    }

    fn node(&mut self, dot: Datum, node: &'t Node) -> Result<(), Error> {
        let mark = self.variables.len();
        match node {
            Node::Text(text) => self.write(text.as_bytes()),
            Node::Action(pipeline) => {
                let value = self.pipeline(&dot, pipeline)?;
                if !pipeline.variables.is_empty() {
                    return Ok(());
                }
                let mut printer = Printer::new(self.bytes);
                printer.print(&[printable(&value.value)]);
                let overflowed = printer.overflowed();
                self.write(&printer.into_bytes())?;
                if overflowed {
                    Err(self.error("too much output"))
                } else {
                    Ok(())
                }
            }
            Node::If(branch) => {
                let truth = self.pipeline(&dot, &branch.pipeline)?.value.is_true();
                let body = if truth {
                    &branch.body
                } else {
                    &branch.otherwise
                };
                self.push(body, dot, mark, FrameKind::Plain);
                Ok(())
            }
            Node::With(branch) => {
                let value = self.pipeline(&dot, &branch.pipeline)?;
                if value.value.is_true() {
                    self.push(&branch.body, value, mark, FrameKind::Plain);
                } else {
                    self.push(&branch.otherwise, dot, mark, FrameKind::Plain);
                }
                Ok(())
            }
            Node::Range(branch) => self.range(dot, branch, mark),
            Node::Template(invocation) => self.invoke(&dot, invocation),
            Node::Break => {
                self.unwind(true);
                Ok(())
            }
            Node::Continue => {
                self.unwind(false);
                Ok(())
            }
        }
    }

    fn range(&mut self, dot: Datum, branch: &'t Branch, mark: usize) -> Result<(), Error> {
        let value = self.pipeline(&dot, &branch.pipeline)?;
        let value = value.indirect().unwrap_or(value.value);
        let two = branch.pipeline.variables.len() > 1;
        let items = match value.underlying() {
            Value::Int(_) | Value::Byte(_) if two => {
                let shown = format::display(&value);
                return Err(self.error(format!(
                    "can't use {shown} to iterate over more than one variable"
                )));
            }
            Value::Int(end) => Items::Numbers(*end),
            Value::Byte(end) => Items::Bytes(*end),
            Value::List(list) => Items::List(list.clone()),
            Value::Map(map) => Items::Map(map.clone()),
            Value::Nil => Items::Numbers(0),
            _ => {
                let shown = format::display(&value);
                return Err(self.error(format!("range can't iterate over {shown}")));
            }
        };
        if items.get(0).is_none() {
            self.push(&branch.otherwise, dot, mark, FrameKind::LoopElse);
            return Ok(());
        }
        let variables = self.variables.len();
        let turns = Loop {
            branch,
            items,
            next: 0,
            variables,
        };
        self.push(&[], dot, mark, FrameKind::Loop(turns));
        Ok(())
    }

    /// Ends the innermost body: starts the next turn of a loop, or continues after the body.
    fn end_of_body(&mut self) -> Result<(), Error> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        if let FrameKind::Loop(turns) = &mut frame.kind
            && let Some((index, item)) = turns.items.get(turns.next)
        {
            turns.next += 1;
            frame.nodes = turns.branch.body.iter();
            frame.dot = item.clone();
            let (branch, variables) = (turns.branch, turns.variables);
            self.variables.truncate(variables);
            self.step()?;
            return self.set_loop_variables(branch, index, item);
        }
        self.pop();
        Ok(())
    }

    fn set_loop_variables(
        &mut self,
        branch: &'t Branch,
        index: Datum,
        item: Datum,
    ) -> Result<(), Error> {
        let values = match branch.pipeline.variables.len() {
            0 => return Ok(()),
            1 => vec![item],
            _ => vec![index, item],
        };
        let first = self.variables.len().saturating_sub(values.len());
        for (offset, (name, value)) in branch.pipeline.variables.iter().zip(values).enumerate() {
            if branch.pipeline.assigns {
                self.assign(name, value)?;
            } else if let Some((_, slot)) = self.variables.get_mut(first + offset) {
                *slot = value;
            }
        }
        Ok(())
    }

    fn pop(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        if let FrameKind::Call {
            variables,
            executing,
        } = frame.kind
        {
            self.variables = variables;
            self.executing = executing;
            self.depth -= 1;
        }
        self.variables.truncate(frame.variables);
    }

    /// Leaves bodies up to the innermost loop, and for `break` the loop too.
    fn unwind(&mut self, leave: bool) {
        while let Some(frame) = self.frames.last_mut() {
            match &frame.kind {
                FrameKind::Loop(_) if !leave => {
                    frame.nodes = [].iter();
                    return;
                }
                FrameKind::Loop(_) => return self.pop(),
                FrameKind::LoopElse if leave => return self.pop(),
                _ => self.pop(),
            }
        }
    }

    fn invoke(&mut self, dot: &Datum, invocation: &'t Invocation) -> Result<(), Error> {
        self.site = Site::Invocation(invocation);
        let Some((name, body)) = self.template.named_definition(&invocation.name) else {
            let name = crate::quote::quote(invocation.name.as_bytes(), false);
            return Err(self.error(format!("template {name} not defined")));
        };
        let limit = self.template.limits().depth;
        if self.depth == limit {
            return Err(self.error(format!("exceeded maximum template depth ({limit})")));
        }
        let dot = match &invocation.pipeline {
            Some(pipeline) => self.pipeline(dot, pipeline)?,
            None => Datum::nothing(),
        };
        self.depth += 1;
        let kept = self.variables.len();
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let executing = std::mem::replace(&mut self.executing, name);
        self.push(
            body,
            dot,
            kept,
            FrameKind::Call {
                variables,
                executing,
            },
        );
        Ok(())
    }
}
