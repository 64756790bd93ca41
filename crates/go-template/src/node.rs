//! The parsed template: statements, pipelines, operands.
//!
//! Owns the tree and the source form of its expressions, which run-time errors show between `<` and `>`. Built by the
//! parser, walked by `exec`, evaluated by `eval`.

use std::fmt;

use crate::number::Constant;
use crate::quote;

/// A statement of a template's body.
#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Invocation),
    Break,
    Continue,
}

/// An `if`, `with` or `range` with its bodies.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipeline: Pipeline,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// A `{{template "name" pipeline}}`.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) position: usize,
    pub(crate) name: String,
    pub(crate) pipeline: Option<Pipeline>,
}

/// Commands joined by `|`, with optional variables that receive the result.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) position: usize,
    /// `=` rather than `:=`.
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// An operand and its arguments; the parser never produces an empty one.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) position: usize,
    pub(crate) first: Operand,
    pub(crate) arguments: Vec<Operand>,
}

/// A term of an expression.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) position: usize,
    pub(crate) term: Term,
}

/// The kinds of operands.
#[derive(Debug)]
pub(crate) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number {
        text: String,
        value: Constant,
    },
    String {
        literal: String,
        text: Vec<u8>,
    },
    Function(String),
    Field(Vec<String>),
    Variable {
        name: String,
        fields: Vec<String>,
    },
    Chain {
        base: Box<Operand>,
        fields: Vec<String>,
    },
    Pipeline(Pipeline),
}

/// The node in execution, for the position and the context of an error.
#[derive(Clone, Copy)]
pub(crate) enum Site<'t> {
    Start,
    Invocation(&'t Invocation),
    Pipeline(&'t Pipeline),
    Command(&'t Command),
    Operand(&'t Operand),
}

impl Site<'_> {
    /// Returns the byte position in the template's text.
    pub(crate) fn position(&self) -> usize {
        match self {
            Site::Start => 0,
            Site::Invocation(node) => node.position,
            Site::Pipeline(node) => node.position,
            Site::Command(node) => node.position,
            Site::Operand(node) => node.position,
        }
    }
}

impl fmt::Display for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Start => Ok(()),
            Site::Invocation(node) => node.fmt(f),
            Site::Pipeline(node) => node.fmt(f),
            Site::Command(node) => node.fmt(f),
            Site::Operand(node) => node.fmt(f),
        }
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{{{template {}",
            quote::quote(self.name.as_bytes(), false)
        )?;
        if let Some(pipeline) = &self.pipeline {
            write!(f, " {pipeline}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(
                f,
                "{} {} ",
                self.variables.join(", "),
                if self.assigns { "=" } else { ":=" }
            )?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt_in_parens(f)?;
        for argument in &self.arguments {
            f.write_str(" ")?;
            argument.fmt_in_parens(f)?;
        }
        Ok(())
    }
}

impl Operand {
    /// Writes a pipeline among operands in parentheses, which do not belong to the pipeline itself.
    fn fmt_in_parens(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.term {
            Term::Pipeline(_) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Bool(value) => value.fmt(f),
            Term::Number { text, .. } => f.write_str(text),
            Term::String { literal, .. } => f.write_str(literal),
            Term::Function(name) => f.write_str(name),
            Term::Field(fields) => fmt_fields(f, fields),
            Term::Variable { name, fields } => {
                f.write_str(name)?;
                fmt_fields(f, fields)
            }
            Term::Chain { base, fields } => {
                base.fmt_in_parens(f)?;
                fmt_fields(f, fields)
            }
            Term::Pipeline(pipeline) => pipeline.fmt(f),
        }
    }
}

fn fmt_fields(f: &mut fmt::Formatter<'_>, fields: &[String]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, ".{field}"))
}
