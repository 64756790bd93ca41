//! Reads pipelines, commands and operands: the second half of the parser.

use crate::error::Error;
use crate::node::{Command, Operand, Pipeline, Term};
use crate::number;
use crate::parser::Parser;
use crate::quote;
use crate::token::{Kind, Token};

impl Parser<'_> {
    /// Reads a pipeline and the token that ends it.
    pub(crate) fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipeline, Error> {
        let position = self.peek_word().position;
        let mut pipeline = Pipeline {
            position,
            assigns: false,
            variables: Vec::new(),
            commands: Vec::new(),
        };
        self.declarations(&mut pipeline, context)?;
        loop {
            let token = self.take_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::Char
                | Kind::Complex
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {}
                Kind::Keyword if matches!(token.text.as_str(), "." | "nil") => {}
                _ => return Err(self.unexpected(&token, context)),
            }
            self.back();
            pipeline.commands.push(self.command()?);
        }
        self.check(&pipeline, context)?;
        Ok(pipeline)
    }

    fn declarations(&mut self, pipeline: &mut Pipeline, context: &str) -> Result<(), Error> {
        loop {
            let variable = self.peek_word();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            let before = self.next_index();
            self.take();
            let next = self.peek_word();
            let comma = next.kind == Kind::Other && next.text == ",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                self.rewind(before);
                return Ok(());
            }
            self.take();
            self.declare(&variable.text);
            pipeline.variables.push(variable.text);
            if !comma {
                pipeline.assigns = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipeline.variables.len() > 1 {
                return Err(self.error(format!("too many declarations in {context}")));
            }
            if !matches!(
                self.peek_word().kind,
                Kind::Variable | Kind::RightDelimiter | Kind::RightParen
            ) {
                return Err(self.error("range can only initialize variables"));
            }
        }
    }

    fn check(&self, pipeline: &Pipeline, context: &str) -> Result<(), Error> {
        if pipeline.commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        for (index, command) in pipeline.commands.iter().enumerate().skip(1) {
            if is_literal(&command.first.term) {
                return Err(self.error(format!(
                    "non executable command in pipeline stage {}",
                    index + 1
                )));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Error> {
        let position = self.peek_word().position;
        let mut operands = Vec::new();
        loop {
            self.peek_word();
            operands.extend(self.operand()?);
            let token = self.take();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelimiter | Kind::RightParen => self.back(),
                Kind::Pipe => {}
                _ => return Err(self.unexpected(&token, "operand")),
            }
            break;
        }
        let mut operands = operands.into_iter();
        let Some(first) = operands.next() else {
            return Err(self.error("empty command"));
        };
        Ok(Command {
            position,
            first,
            arguments: operands.collect(),
        })
    }

    /// Reads a term and the fields after it; `None` where there is no operand.
    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(mut operand) = self.term()? else {
            return Ok(None);
        };
        let next = self.peek();
        if next.kind != Kind::Field {
            return Ok(Some(operand));
        }
        let mut added = Vec::new();
        while self.peek().kind == Kind::Field {
            added.push(field_name(&self.take()));
        }
        match &mut operand.term {
            Term::Field(fields) | Term::Variable { fields, .. } => fields.append(&mut added),
            term if is_literal(term) => {
                let shown = quote::quote(operand.to_string().as_bytes(), false);
                return Err(self.error(format!("unexpected . after term {shown}")));
            }
            _ => {
                let base = Box::new(operand);
                operand = Operand {
                    position: next.position,
                    term: Term::Chain {
                        base,
                        fields: added,
                    },
                };
            }
        }
        // Go counts the position from the first of the fields that were joined to the term.
        operand.position = next.position;
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        let token = self.take_word();
        let mut position = token.position;
        let term = match token.kind {
            Kind::Identifier => {
                if !self.has_function(&token.text) {
                    let name = quote::quote(token.text.as_bytes(), false);
                    return Err(self.error(format!("function {name} not defined")));
                }
                Term::Function(token.text)
            }
            Kind::Keyword if token.text == "." => Term::Dot,
            Kind::Keyword if token.text == "nil" => Term::Nil,
            Kind::Variable => {
                if !self.is_declared(&token.text) {
                    let name = quote::quote(token.text.as_bytes(), false);
                    return Err(self.error(format!("undefined variable {name}")));
                }
                Term::Variable {
                    name: token.text,
                    fields: Vec::new(),
                }
            }
            Kind::Field => Term::Field(vec![field_name(&token)]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::Char | Kind::Number | Kind::Complex => {
                let value = match token.kind {
                    Kind::Char => number::parse_char(&token.text),
                    _ => number::parse_number(&token.text),
                };
                let value = value.map_err(|message| self.error(message))?;
                Term::Number {
                    text: token.text,
                    value,
                }
            }
            Kind::String | Kind::RawString => {
                let text = quote::unquote(&token.text).map_err(|_| self.error("invalid syntax"))?;
                Term::String {
                    literal: token.text,
                    text,
                }
            }
            Kind::LeftParen => {
                self.enter()?;
                let pipeline = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.leave();
                position = pipeline.position;
                Term::Pipeline(pipeline)
            }
            _ => {
                self.back();
                return Ok(None);
            }
        };
        Ok(Some(Operand { position, term }))
    }
}

fn field_name(token: &Token) -> String {
    token.text.trim_start_matches('.').to_owned()
}

fn is_literal(term: &Term) -> bool {
    matches!(
        term,
        Term::Bool(_) | Term::Dot | Term::Nil | Term::Number { .. } | Term::String { .. }
    )
}
