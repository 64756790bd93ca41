//! Builds statements from a template's tokens, and reports syntax errors in Go's wording.
//!
//! Owns the grammar of actions; pipelines and operands are read in `expression`. Checks that functions and variables
//! exist, and rejects nesting deeper than [`MAX_NESTING`].

use std::collections::BTreeMap;

use crate::error::{Error, ParseError};
use crate::functions::Functions;
use crate::lexer;
use crate::node::{Branch, Invocation, Node};
use crate::quote;
use crate::token::{Kind, Token};

/// The maximum nesting of blocks and parentheses, together. The parser, the evaluator and the tree's drop recurse
/// this deep; in a debug build that takes about half of a test thread's two megabytes of stack.
pub(crate) const MAX_NESTING: usize = 100;

/// Templates by name: the main one and its definitions.
pub(crate) type Definitions = BTreeMap<String, Vec<Node>>;

/// Parses a text whose main template has the given name.
pub(crate) fn parse(name: &str, text: &str, functions: &Functions) -> Result<Definitions, Error> {
    let mut parser = Parser {
        name,
        functions,
        tokens: lexer::tokens(text),
        next: 0,
        furthest: 0,
        nesting: 0,
        scope: Scope::default(),
        definitions: Definitions::new(),
    };
    parser.main()?;
    Ok(parser.definitions)
}

/// The parser state of one template, saved while a definition inside it is read.
struct Scope {
    variables: Vec<String>,
    ranges: usize,
    /// The line of the start of the current action; an error in a later line mentions it.
    action_line: Option<usize>,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            variables: vec!["$".to_owned()],
            ranges: 0,
            action_line: None,
        }
    }
}

/// The action that ended a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    End,
    Else,
}

impl Ending {
    fn describe(self) -> &'static str {
        match self {
            Ending::End => "{{end}}",
            Ending::Else => "{{else}}",
        }
    }
}

/// A statement, or the action that ends a body.
enum Item {
    Node(Node),
    Ending(Ending),
}

pub(crate) struct Parser<'p> {
    name: &'p str,
    functions: &'p Functions,
    tokens: Vec<Token>,
    next: usize,
    /// The last token read or peeked at: errors name its line.
    furthest: usize,
    nesting: usize,
    scope: Scope,
    definitions: Definitions,
}

impl Parser<'_> {
    pub(crate) fn take(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub(crate) fn peek(&mut self) -> Token {
        let last = self.tokens.len().saturating_sub(1);
        let index = self.next.min(last);
        self.furthest = self.furthest.max(index);
        self.tokens[index].clone()
    }

    pub(crate) fn back(&mut self) {
        self.next -= 1;
    }

    pub(crate) fn next_index(&self) -> usize {
        self.next
    }

    /// Returns to where [`Parser::next_index`] was taken.
    pub(crate) fn rewind(&mut self, index: usize) {
        self.next = index;
    }

    pub(crate) fn take_word(&mut self) -> Token {
        self.skip_space();
        self.take()
    }

    pub(crate) fn peek_word(&mut self) -> Token {
        self.skip_space();
        self.peek()
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        let line = self.tokens.get(self.furthest).map_or(1, |token| token.line);
        Error::from(Box::new(ParseError {
            name: self.name.to_owned(),
            line,
            message: message.into(),
        }))
    }

    pub(crate) fn unexpected(&self, token: &Token, context: &str) -> Error {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {} in {context}", token.describe()));
        }
        let started = match self.scope.action_line {
            Some(line) if line != token.line => {
                let action = if token.text.ends_with(" action") {
                    ""
                } else {
                    " in action"
                };
                format!("{action} started at {}:{line}", self.name)
            }
            _ => String::new(),
        };
        self.error(format!("{}{started}", token.text))
    }

    fn expect_right_delimiter(&mut self, context: &str) -> Result<(), Error> {
        let token = self.take_word();
        match token.kind {
            Kind::RightDelimiter => Ok(()),
            _ => Err(self.unexpected(&token, context)),
        }
    }

    /// Goes one level down; [`Parser::leave`] comes back up.
    pub(crate) fn enter(&mut self) -> Result<(), Error> {
        if self.nesting == MAX_NESTING {
            return Err(self.error("max expression depth exceeded"));
        }
        self.nesting += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.nesting -= 1;
    }

    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.functions.contains(name)
    }

    pub(crate) fn declare(&mut self, variable: &str) {
        self.scope.variables.push(variable.to_owned());
    }

    pub(crate) fn is_declared(&self, variable: &str) -> bool {
        self.scope.variables.iter().any(|name| name == variable)
    }

    fn main(&mut self) -> Result<(), Error> {
        let mut body = Vec::new();
        loop {
            let token = self.peek();
            if token.kind == Kind::End {
                break;
            }
            if token.kind == Kind::LeftDelimiter {
                let before = self.next;
                self.next += 1;
                if self.take_word().is_keyword("define") {
                    self.definition()?;
                    continue;
                }
                self.next = before;
            }
            match self.item()? {
                Item::Node(node) => body.push(node),
                Item::Ending(ending) => {
                    return Err(self.error(format!("unexpected {}", ending.describe())));
                }
            }
        }
        self.add(self.name.to_owned(), body)
    }

    /// Adds a definition. The first body that is not blank defines a template; a second one is an error.
    fn add(&mut self, name: String, body: Vec<Node>) -> Result<(), Error> {
        match self.definitions.get(&name) {
            Some(defined) if !is_blank(defined) => {
                if !is_blank(&body) {
                    let name = quote::quote(name.as_bytes(), false);
                    return Err(
                        self.error(format!("template: multiple definition of template {name}"))
                    );
                }
            }
            _ => {
                self.definitions.insert(name, body);
            }
        }
        Ok(())
    }

    fn definition(&mut self) -> Result<(), Error> {
        const CONTEXT: &str = "define clause";
        let outer = std::mem::take(&mut self.scope);
        let token = self.take_word();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect_right_delimiter(CONTEXT)?;
        self.body_of(name, CONTEXT)?;
        self.scope = outer;
        Ok(())
    }

    fn body_of(&mut self, name: String, context: &str) -> Result<(), Error> {
        let (body, ending) = self.items()?;
        if ending != Ending::End {
            return Err(self.error(format!("unexpected {} in {context}", ending.describe())));
        }
        self.add(name, body)
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Result<String, Error> {
        match token.kind {
            Kind::String | Kind::RawString => {
                let name = quote::unquote(&token.text).map_err(|_| self.error("invalid syntax"))?;
                Ok(String::from_utf8_lossy(&name).into_owned())
            }
            _ => Err(self.unexpected(token, context)),
        }
    }

    /// Reads statements up to an `end` or `else`.
    fn items(&mut self) -> Result<(Vec<Node>, Ending), Error> {
        self.enter()?;
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::End {
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Ending(ending) => {
                    self.leave();
                    return Ok((nodes, ending));
                }
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn item(&mut self) -> Result<Item, Error> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::LeftDelimiter => {
                self.scope.action_line = Some(token.line);
                let item = self.action()?;
                self.scope.action_line = None;
                Ok(item)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item, Error> {
        let token = self.take_word();
        let word = if token.kind == Kind::Keyword {
            token.text.as_str()
        } else {
            ""
        };
        Ok(Item::Node(match word {
            "block" => self.block()?,
            "break" => self.jump(Node::Break, "{{break}}")?,
            "continue" => self.jump(Node::Continue, "{{continue}}")?,
            "else" => return self.else_action(),
            "end" => {
                self.expect_right_delimiter("end")?;
                return Ok(Item::Ending(Ending::End));
            }
            "if" => Node::If(self.branch("if")?),
            "range" => Node::Range(self.branch("range")?),
            "with" => Node::With(self.branch("with")?),
            "template" => self.template()?,
            _ => {
                self.back();
                Node::Action(self.pipeline("command", Kind::RightDelimiter)?)
            }
        }))
    }

    fn jump(&mut self, node: Node, name: &str) -> Result<Node, Error> {
        self.expect_right_delimiter(name)?;
        if self.scope.ranges == 0 {
            return Err(self.error(format!("{name} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    /// Reads `else`; leaves the second word of `else if` and `else with` to [`Parser::branch`].
    fn else_action(&mut self) -> Result<Item, Error> {
        let word = self.peek_word();
        if !word.is_keyword("if") && !word.is_keyword("with") {
            self.expect_right_delimiter("else")?;
        }
        Ok(Item::Ending(Ending::Else))
    }

    fn branch(&mut self, word: &str) -> Result<Branch, Error> {
        let declared = self.scope.variables.len();
        let pipeline = self.pipeline(word, Kind::RightDelimiter)?;
        let loops = usize::from(word == "range");
        self.scope.ranges += loops;
        let (body, ending) = self.items()?;
        self.scope.ranges -= loops;
        let mut otherwise = Vec::new();
        if ending == Ending::Else {
            let chained = word != "range" && self.peek().is_keyword(word);
            if chained {
                self.next += 1;
                self.enter()?;
                let branch = self.branch(word)?;
                self.leave();
                otherwise.push(if word == "if" {
                    Node::If(branch)
                } else {
                    Node::With(branch)
                });
            } else {
                let ending;
                (otherwise, ending) = self.items()?;
                if ending != Ending::End {
                    return Err(self.error(format!("expected end; found {}", ending.describe())));
                }
            }
        }
        self.scope.variables.truncate(declared);
        Ok(Branch {
            pipeline,
            body,
            otherwise,
        })
    }

    fn block(&mut self) -> Result<Node, Error> {
        const CONTEXT: &str = "block clause";
        let token = self.take_word();
        let name = self.template_name(&token, CONTEXT)?;
        let pipeline = self.pipeline(CONTEXT, Kind::RightDelimiter)?;
        let outer = std::mem::take(&mut self.scope);
        self.body_of(name.clone(), CONTEXT)?;
        self.scope = outer;
        Ok(Node::Template(Invocation {
            position: token.position,
            name,
            pipeline: Some(pipeline),
        }))
    }

    fn template(&mut self) -> Result<Node, Error> {
        const CONTEXT: &str = "template clause";
        let token = self.take_word();
        let name = self.template_name(&token, CONTEXT)?;
        let mut pipeline = None;
        if self.take_word().kind != Kind::RightDelimiter {
            self.back();
            pipeline = Some(self.pipeline(CONTEXT, Kind::RightDelimiter)?);
        }
        Ok(Node::Template(Invocation {
            position: token.position,
            name,
            pipeline,
        }))
    }
}

fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| match node {
        Node::Text(text) => text.trim().is_empty(),
        _ => false,
    })
}
