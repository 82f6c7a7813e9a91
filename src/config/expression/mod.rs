//! Conditions of rules: CEL expressions, compiled once with the configuration and asked per request.
//!
//! Whatever can be wrong is found when it is compiled: names that nobody knows, patterns that are none, a result that
//! is not true or false. What is left at run time is bounded: the text is short, loops go over headers,
//! parameters and written lists only, and not inside one another. Must not look anything up by itself: what a
//! condition can see is in [`Facts`].

mod check;
mod facts;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, IdedExpr, Value};

pub use facts::{Facts, Gauge, Used, VARIABLES, Who};
use facts::{Pattern, Scope};

/// A condition that is known to be one.
pub struct Expression {
    text: Box<str>,
    tree: IdedExpr,
    /// What `matches` looks for, made once.
    patterns: Vec<Pattern>,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadExpression {
    /// Line and column within the text, counted from 1, where they are known.
    pub position: Option<(usize, usize)>,
    pub message: String,
    pub advice: Option<String>,
}

/// Why a condition has no answer for a request. Never holds a value of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(String);

/// Longest text, in bytes.
const LONGEST: usize = 4096;
/// Of the thread that reads a text, in bytes: several times what the worst of that length and nesting takes.
const STACK: usize = 32 * 1024 * 1024;

static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));
static PARSED_WITH: LazyLock<Env> = LazyLock::new(|| Env::stdlib().with_optional_support(false));

impl Expression {
    /// Compiles `text`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn compile(text: &str) -> Result<Self, BadExpression> {
        if text.len() > LONGEST {
            let message = format!("the expression has {} bytes; at most {LONGEST} are taken", text.len());
            return Err(BadExpression { position: None, message, advice: None });
        }
        check::nesting(text)?;
        let (tree, patterns) = apart(text)?;
        let expression = Self { text: text.into(), tree, patterns };
        expression.try_out()?;
        Ok(expression)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Does it hold for this request? A header or parameter that is not there makes it not hold, unless the
    /// expression can do without it (`"x" in headers`, or the other side of an `||`).
    ///
    /// # Errors
    /// It has no answer: a number could not be read, or divided.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, Unanswered> {
        match self.evaluate(facts) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(Unanswered("its result is neither true nor false".to_owned())),
            Err(ExecutionError::NoSuchKey(_)) => Ok(false),
            Err(error) => Err(Unanswered(reason(&error))),
        }
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, ExecutionError> {
        let scope = Scope::new(facts, &self.patterns);
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(&scope);
        let answered = catch_unwind(AssertUnwindSafe(|| Value::resolve(&self.tree, &context)));
        answered.unwrap_or_else(|_| Err(ExecutionError::InternalError("it broke".to_owned())))
    }

    /// Types do not depend on the request: what does not fit once never does.
    fn try_out(&self) -> Result<(), BadExpression> {
        match self.evaluate(&Facts::sample()) {
            Ok(Value::Bool(_)) | Err(ExecutionError::NoSuchKey(_)) => Ok(()),
            Ok(_) => Err(BadExpression {
                position: None,
                message: "the result is neither true nor false".to_owned(),
                advice: Some("compare it with something".to_owned()),
            }),
            Err(
                error @ (ExecutionError::NoSuchOverload(_)
                | ExecutionError::UnsupportedBinaryOperator(..)
                | ExecutionError::UnexpectedType { .. }
                | ExecutionError::UndeclaredReference(_)
                | ExecutionError::InvalidArgumentCount { .. }),
            ) => Err(BadExpression::new(reason(&error))),
            // Depends on what a request brings.
            Err(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl BadExpression {
    fn new(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into(), advice: None }
    }
}

/// The parser is somebody else's, and it calls itself for each bracket and each step of a chain: it has a thread of its
/// own, with room for the longest text, and may not end the gateway.
fn apart(text: &str) -> Result<(IdedExpr, Vec<Pattern>), BadExpression> {
    let unread = || BadExpression::new("it cannot be read");
    std::thread::scope(|scope| {
        let parsing = std::thread::Builder::new()
            .name("expression".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || check::parse(&PARSED_WITH, text));
        parsing.map_err(|_| unread())?.join().unwrap_or_else(|_| Err(unread()))
    })
}

/// What may be said of an error: the evaluator's own text may quote a header.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(", ");
            let function = overload.function();
            let name = check::written(function);
            format!("{name} does not take ({types})")
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            format!("{} does not take these types", check::written(operator))
        }
        ExecutionError::UndeclaredReference(name) => format!("{name} is not known"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "a list has no such place".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("{function} could not read its text"),
        _ => "it has no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests;
