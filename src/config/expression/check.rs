//! From text to a tree in which every name is known, with the place of what is not.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators};
use cel::{Env, IdedExpr, ParseErrors};
use regex::RegexBuilder;

use super::BadExpression;
use super::facts::{Pattern, VARIABLES};
use crate::config::problem::did_you_mean;

/// Brackets inside one another.
const NESTED: u16 = 24;
/// Steps from the top of the tree to its deepest leaf.
const DEEPEST: usize = 96;
/// Memory of one compiled pattern, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

/// Functions beside the operators.
const FUNCTIONS: [&str; 9] =
    ["bool", "contains", "double", "endsWith", "int", "matches", "size", "startsWith", "string"];
/// Functions that the parser takes apart.
const MACROS: [&str; 6] = ["all", "exists", "exists_one", "filter", "has", "map"];
const OPERATORS: [(&str, &str); 18] = [
    (operators::ADD, "+"),
    (operators::CONDITIONAL, "?:"),
    (operators::DIVIDE, "/"),
    (operators::EQUALS, "=="),
    (operators::GREATER, ">"),
    (operators::GREATER_EQUALS, ">="),
    (operators::IN, "in"),
    (operators::INDEX, "[]"),
    (operators::LESS, "<"),
    (operators::LESS_EQUALS, "<="),
    (operators::LOGICAL_AND, "&&"),
    (operators::LOGICAL_NOT, "!"),
    (operators::LOGICAL_OR, "||"),
    (operators::MODULO, "%"),
    (operators::MULTIPLY, "*"),
    (operators::NEGATE, "-"),
    (operators::NOT_EQUALS, "!="),
    (operators::SUBSTRACT, "-"),
];

/// An operator as people write it; other names as they are.
pub(super) fn written(name: &str) -> &str {
    OPERATORS.iter().find(|(known, _)| *known == name).map_or(name, |(_, written)| written)
}

/// The tree of `text`, and the patterns it names.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn parse(with: &Env, text: &str) -> Result<(IdedExpr, Vec<Pattern>), BadExpression> {
    let parser = with.parser().max_recursion_depth(NESTED);
    let (mut tree, places) = parser.parse_with_source_info(text).map_err(|errors| syntax(&errors))?;
    let mut walk = Walk { text, places, patterns: Vec::new(), bound: Vec::new() };
    walk.expression(&mut tree, 0)?;
    Ok((tree, walk.patterns))
}

/// Brackets that are open at once, counted before anything is parsed.
///
/// # Errors
/// There are too many.
pub(super) fn nesting(text: &str) -> Result<(), BadExpression> {
    let (mut open, mut quote, mut escaped) = (0_u16, None, false);
    for letter in text.chars() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(end), _) if letter == end => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '(' | '[' | '{') => open += 1,
            (None, ')' | ']' | '}') => open = open.saturating_sub(1),
            _ => {}
        }
        if open > NESTED {
            return Err(BadExpression::new(format!("more than {NESTED} brackets are open at once")));
        }
    }
    Ok(())
}

fn syntax(errors: &ParseErrors) -> BadExpression {
    let Some(first) = errors.errors.first() else { return BadExpression::new("it cannot be read") };
    let position = usize::try_from(first.pos.0).ok().zip(usize::try_from(first.pos.1).ok());
    // The parser says what it would have liked, for pages.
    let message = first.msg.lines().next().unwrap_or_default();
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = match message.split(" expecting ").next().unwrap_or_default() {
        ends if ends.contains("'<EOF>'") => "it ends too soon".to_owned(),
        other => other.to_owned(),
    };
    BadExpression { position: position.filter(|(line, _)| *line > 0), message, advice: None }
}

struct Walk<'t> {
    text: &'t str,
    places: SourceInfo,
    patterns: Vec<Pattern>,
    /// Names of the loop around.
    bound: Vec<String>,
}

impl Walk<'_> {
    fn expression(&mut self, at: &mut IdedExpr, depth: usize) -> Result<(), BadExpression> {
        if depth > DEEPEST {
            return Err(BadExpression::new("it is nested too deeply"));
        }
        let (id, below) = (at.id, depth + 1);
        match &mut at.expr {
            Expr::Call(call) => self.call(call, id, below),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, id, below),
            Expr::Ident(name) => self.variable(name, id),
            Expr::Select(select) => self.expression(&mut select.operand, below),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|item| self.expression(item, below)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&mut entry.key, below)?;
                    self.expression(&mut entry.value, below)
                }
                EntryExpr::StructField(field) => self.expression(&mut field.value, below),
            }),
            Expr::Struct(_) => Err(self.bad(id, "messages are not known here")),
            Expr::Literal(_) => Ok(()),
            Expr::Unspecified => Err(self.bad(id, "it cannot be read")),
        }
    }

    fn call(&mut self, call: &mut CallExpr, id: u64, depth: usize) -> Result<(), BadExpression> {
        let name = call.func_name.as_str();
        let known = OPERATORS.iter().any(|(operator, _)| *operator == name) || FUNCTIONS.contains(&name);
        // Made by the parser itself, in loops.
        let looping = name == operators::NOT_STRICTLY_FALSE && !self.bound.is_empty();
        if !known && !looping {
            let all = FUNCTIONS.into_iter().chain(MACROS);
            let near = did_you_mean(name, all.clone());
            let advice = match near {
                Some(near) if near == name => format!("{name} is written as a call on something"),
                Some(near) => format!("did you mean {near}?"),
                None => format!("known here: {}", all.collect::<Vec<_>>().join(", ")),
            };
            return Err(self.bad(id, format!("{name} is no function that is known here")).advise(advice));
        }
        if name == "matches" {
            self.pattern(call, id)?;
        }
        let target = call.target.as_deref_mut();
        target.into_iter().chain(&mut call.args).try_for_each(|part| self.expression(part, depth))
    }

    /// `text.matches("…")` becomes `text in pattern`.
    fn pattern(&mut self, call: &mut CallExpr, id: u64) -> Result<(), BadExpression> {
        let (text, pattern) = match (call.target.take(), call.args.as_mut_slice()) {
            (Some(text), [pattern]) => (*text, std::mem::take(pattern)),
            (None, [text, pattern]) => (std::mem::take(text), std::mem::take(pattern)),
            _ => return Err(self.bad(id, "matches takes a text and a pattern")),
        };
        let Expr::Literal(LiteralValue::String(written)) = &pattern.expr else {
            return Err(self.bad(pattern.id, "the pattern of matches must be written out"));
        };
        let made = RegexBuilder::new(written.inner()).size_limit(PATTERN_SIZE).build();
        let regex = made.map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            self.bad(pattern.id, format!("this pattern cannot be used: {last}"))
        })?;
        let name = format!("{}{}", Pattern::PREFIX, self.patterns.len());
        self.patterns.push(Pattern(regex));
        call.func_name = operators::IN.to_owned();
        call.args = vec![text, IdedExpr { id: pattern.id, expr: Expr::Ident(name) }];
        Ok(())
    }

    fn comprehension(
        &mut self,
        made: &mut ComprehensionExpr,
        id: u64,
        depth: usize,
    ) -> Result<(), BadExpression> {
        if !self.bound.is_empty() {
            return Err(self.bad(id, "a loop inside a loop could take for ever"));
        }
        let bounded = match &made.iter_range.expr {
            Expr::List(_) | Expr::Map(_) => true,
            Expr::Ident(name) => matches!(name.as_str(), "headers" | "params"),
            _ => false,
        };
        if !bounded {
            return Err(self.bad(id, "loops are for headers, params and written lists only"));
        }
        self.expression(&mut made.iter_range, depth)?;
        self.bound = vec![made.iter_var.clone(), made.accu_var.clone()];
        self.bound.extend(made.iter_var2.clone());
        let parts = [&mut made.accu_init, &mut made.loop_cond, &mut made.loop_step, &mut made.result];
        let checked = parts.into_iter().try_for_each(|part| self.expression(part, depth));
        self.bound.clear();
        checked
    }

    fn variable(&mut self, name: &str, id: u64) -> Result<(), BadExpression> {
        let known = VARIABLES.iter().any(|(known, _)| *known == name);
        if known || name.starts_with(Pattern::PREFIX) || self.bound.iter().any(|bound| bound == name) {
            return Ok(());
        }
        let names = VARIABLES.iter().map(|(name, _)| *name);
        let advice = match did_you_mean(name, names.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known here: {}", names.collect::<Vec<_>>().join(", ")),
        };
        Err(self.bad(id, format!("{name} is no variable that is known here")).advise(advice))
    }

    /// Wrong at the place of this part.
    fn bad(&self, id: u64, message: impl Into<String>) -> BadExpression {
        let position = self.places.offset_for(id).and_then(|(start, _)| {
            let before = self.text.get(..usize::try_from(start).ok()?)?;
            let line = before.rsplit('\n').next().unwrap_or_default();
            Some((before.matches('\n').count() + 1, line.chars().count() + 1))
        });
        BadExpression { position, message: message.into(), advice: None }
    }
}

impl BadExpression {
    fn advise(self, advice: String) -> Self {
        Self { advice: Some(advice), ..self }
    }
}
