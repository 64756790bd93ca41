//! Evaluates pipelines, commands and operands.
//!
//! Owns field access, argument passing and Go's messages for mismatches. The walk over statements is in `exec`, the
//! functions themselves in `builtin`.

use crate::builtin::{Builtin, Param};
use crate::datum::Datum;
use crate::error::Error;
use crate::exec::Execution;
use crate::node::{Command, Operand, Pipeline, Site, Term};
use crate::number::Constant;
use crate::quote;
use crate::value::Value;

/// The input of a command's first operand: its arguments, and the value piped into it.
struct Given<'t> {
    arguments: &'t [Operand],
    piped: Option<Datum>,
}

impl Given<'_> {
    const NOTHING: Given<'static> = Given {
        arguments: &[],
        piped: None,
    };

    fn is_something(&self) -> bool {
        !self.arguments.is_empty() || self.piped.is_some()
    }
}

impl<'t> Execution<'t, '_> {
    /// Evaluates a pipeline and sets or declares its variables, which are left on the stack.
    pub(crate) fn pipeline(&mut self, dot: &Datum, pipeline: &'t Pipeline) -> Result<Datum, Error> {
        self.site = Site::Pipeline(pipeline);
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(dot, command, piped)?.unbox());
        }
        let value = piped.unwrap_or_else(Datum::nothing);
        for variable in &pipeline.variables {
            if pipeline.assigns {
                self.assign(variable, value.clone())?;
            } else {
                self.variables.push((variable, value.clone()));
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        dot: &Datum,
        command: &'t Command,
        piped: Option<Datum>,
    ) -> Result<Datum, Error> {
        let first = &command.first;
        let given = Given {
            arguments: &command.arguments,
            piped,
        };
        match &first.term {
            Term::Function(name) => {
                self.site = Site::Operand(first);
                self.call(dot, name, Site::Command(command), given)
            }
            Term::Pipeline(pipeline) => {
                self.refuse_arguments(first, &given)?;
                self.pipeline(dot, pipeline)
            }
            Term::Field(_) | Term::Variable { .. } | Term::Chain { .. } => {
                self.reference(dot, first, given)
            }
            _ => {
                self.site = Site::Operand(first);
                self.refuse_arguments(first, &given)?;
                match &first.term {
                    Term::Nil => Err(self.error("nil is not a command")),
                    _ => self.literal(dot, first),
                }
            }
        }
    }

    fn refuse_arguments(&self, operand: &Operand, given: &Given<'_>) -> Result<(), Error> {
        if given.is_something() {
            return Err(self.error(format!("can't give argument to non-function {operand}")));
        }
        Ok(())
    }

    /// Evaluates a field, variable or chain; the arguments go to the last of its names.
    fn reference(
        &mut self,
        dot: &Datum,
        operand: &'t Operand,
        given: Given<'t>,
    ) -> Result<Datum, Error> {
        self.site = Site::Operand(operand);
        match &operand.term {
            Term::Variable { name, fields } => {
                let value = self.variable(name)?;
                if fields.is_empty() {
                    self.refuse_arguments(operand, &given)?;
                    return Ok(value);
                }
                self.fields(value, fields, given)
            }
            Term::Chain { base, fields } => {
                let base = self.argument(dot, Param::Any, base)?;
                self.fields(base, fields, given)
            }
            Term::Field(fields) => self.fields(dot.clone(), fields, given),
            _ => self.literal(dot, operand),
        }
    }

    /// Evaluates dot and constants.
    fn literal(&mut self, dot: &Datum, operand: &'t Operand) -> Result<Datum, Error> {
        self.site = Site::Operand(operand);
        Ok(match &operand.term {
            Term::Dot => dot.clone(),
            Term::Bool(value) => Datum::plain(*value),
            Term::String { text, .. } => Datum::plain(Value::String(text.as_slice().into())),
            Term::Number {
                value: Constant::Int(int),
                ..
            } => Datum::plain(*int),
            Term::Number {
                value: Constant::Float(float),
                ..
            } => Datum::plain(*float),
            Term::Number {
                text,
                value: Constant::Overflow,
            } => {
                return Err(self.error(format!("{text} overflows int")));
            }
            _ => Datum::nothing(),
        })
    }

    fn fields(
        &mut self,
        mut receiver: Datum,
        fields: &'t [String],
        given: Given<'t>,
    ) -> Result<Datum, Error> {
        let Some((last, path)) = fields.split_last() else {
            return Ok(receiver);
        };
        for field in path {
            receiver = self.field(receiver, field, &Given::NOTHING)?;
        }
        self.field(receiver, last, &given)
    }

    fn field(&mut self, receiver: Datum, field: &str, given: &Given<'_>) -> Result<Datum, Error> {
        if receiver.is_nothing() {
            return Ok(receiver);
        }
        let nil = || format!("nil pointer evaluating {}.{field}", receiver.type_name());
        let value = match receiver.indirect() {
            Some(value) => value,
            None => {
                let known = match &receiver.value {
                    Value::Pointer(pointer) => pointer.declares(field),
                    _ => true,
                };
                return Err(self.error(if known {
                    nil()
                } else {
                    unknown_field(&receiver, field)
                }));
            }
        };
        match &value {
            Value::Named(named) => {
                let Some(result) = named.method(field) else {
                    return Err(self.error(unknown_field(&receiver, field)));
                };
                let count = given.arguments.len() + usize::from(given.piped.is_some());
                if count > 0 {
                    return Err(self.error(format!(
                        "wrong number of args for {field}: want 0 got {count}"
                    )));
                }
                Ok(Datum::plain(result.clone()))
            }
            Value::Struct(fields) => match fields.get(field) {
                Some(_) if given.is_something() => Err(self.error(format!(
                    "{field} has arguments but cannot be invoked as function"
                ))),
                Some(found) => Ok(Datum {
                    boxed: matches!(found, Value::Nil),
                    value: found.clone(),
                }),
                None => Err(self.error(unknown_field(&receiver, field))),
            },
            Value::Map(_) if given.is_something() => {
                Err(self.error(format!("{field} is not a method but has arguments")))
            }
            Value::Map(map) => Ok(match map.get(field.as_bytes()) {
                Some(found) => Datum::item(map.element, found.clone()),
                None => Datum::nothing(),
            }),
            _ => Err(self.error(unknown_field(&receiver, field))),
        }
    }

    /// Evaluates an argument for a parameter.
    fn argument(
        &mut self,
        dot: &Datum,
        param: Param,
        operand: &'t Operand,
    ) -> Result<Datum, Error> {
        self.site = Site::Operand(operand);
        let value = match &operand.term {
            Term::Nil if param == Param::String => {
                return Err(self.error("cannot assign nil to string"));
            }
            Term::Nil => return Ok(Datum::nothing()),
            Term::Pipeline(pipeline) => self.pipeline(dot, pipeline)?,
            Term::Function(name) => self.call(dot, name, Site::Operand(operand), Given::NOTHING)?,
            Term::Bool(_) | Term::Number { .. } if param == Param::String => {
                return Err(self.error(format!("expected string; found {operand}")));
            }
            Term::Chain { .. } | Term::Field(_) | Term::Variable { .. } => {
                self.reference(dot, operand, Given::NOTHING)?
            }
            _ => self.literal(dot, operand)?,
        };
        self.suit(value, param)
    }

    /// Checks that a value can be passed as a parameter.
    fn suit(&self, value: Datum, param: Param) -> Result<Datum, Error> {
        match (param, &value.value) {
            (Param::Any, _) | (Param::String, Value::String(_)) => Ok(value),
            _ if value.is_nothing() => Err(self.error("invalid value; expected string")),
            (_, Value::Nil) => {
                Err(self.error("wrong type for value; expected string; got interface {}"))
            }
            (_, other) => Err(self.error(format!(
                "wrong type for value; expected string; got {}",
                other.type_name()
            ))),
        }
    }

    /// Calls a function by name; an error of the function itself is reported at `site`.
    fn call(
        &mut self,
        dot: &Datum,
        name: &'t str,
        site: Site<'t>,
        given: Given<'t>,
    ) -> Result<Datum, Error> {
        let added = self.template.functions().added(name);
        let builtin = Builtin::find(name);
        let count = given.arguments.len() + usize::from(given.piped.is_some());
        let (fixed, variadic): (&[Param], bool) = match (added, builtin) {
            (None, Some(builtin)) => {
                let signature = builtin.signature();
                (signature.fixed, signature.variadic)
            }
            _ => (&[], false),
        };
        let wanted = added.map_or(fixed.len(), |function| function.arguments);
        if variadic && count < wanted {
            let got = given.arguments.len();
            return Err(self.error(format!(
                "wrong number of args for {name}: want at least {wanted} got {got}"
            )));
        }
        if !variadic && count != wanted {
            return Err(self.error(format!(
                "wrong number of args for {name}: want {wanted} got {count}"
            )));
        }
        if let (None, Some(builtin @ (Builtin::And | Builtin::Or))) = (added, builtin) {
            return self.short_circuit(dot, builtin, given);
        }
        let param = |index: usize| fixed.get(index).copied().unwrap_or(Param::Any);
        let mut arguments = Vec::with_capacity(count);
        for (index, operand) in given.arguments.iter().enumerate() {
            arguments.push(self.argument(dot, param(index), operand)?);
        }
        if let Some(piped) = given.piped {
            arguments.push(self.suit(piped, param(arguments.len()))?);
        }
        let result = match (added, builtin) {
            (Some(function), _) => {
                let values: Vec<Value> = arguments
                    .into_iter()
                    .map(|argument| argument.value)
                    .collect();
                (function.body)(&values).map(Datum::plain)
            }
            (None, Some(builtin)) => {
                let callee = given.arguments.first().map(Operand::to_string);
                self.apply(builtin, arguments, callee)
            }
            (None, None) => Err(format!(
                "{} is not a defined function",
                quote::quote(name.as_bytes(), false)
            )),
        };
        let result = result.map_err(|message| {
            self.site = site;
            self.error(format!("error calling {name}: {message}"))
        })?;
        if let Value::String(text) = &result.value {
            self.charge(text.as_bytes().len())?;
        }
        Ok(result)
    }

    /// Evaluates `and` and `or`, which evaluate only as many arguments as they need.
    fn short_circuit(
        &mut self,
        dot: &Datum,
        function: Builtin,
        given: Given<'t>,
    ) -> Result<Datum, Error> {
        let mut last = Datum::nothing();
        for operand in given.arguments {
            last = self.argument(dot, Param::Any, operand)?;
            if last.value.is_true() == (function == Builtin::Or) {
                return Ok(last);
            }
        }
        Ok(given.piped.unwrap_or(last))
    }
}

fn unknown_field(receiver: &Datum, field: &str) -> String {
    format!(
        "can't evaluate field {field} in type {}",
        receiver.type_name()
    )
}
