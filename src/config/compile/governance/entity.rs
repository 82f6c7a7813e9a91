//! One entity by itself, as stores and the administration have it: checked against what there is.
//!
//! Problems carry the field's path within the entity (`budget.max_limit`). Whether names and keys are taken by others is
//! not seen here: whoever has all of them asks that.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Known, Taken, key, owners};
use crate::config::compile::{Compiler, resolve};
use crate::config::document::{At, Document};
use crate::config::environment::Environment;
use crate::config::governance::{Customer, Team, VirtualKey};
use crate::config::problem::Problem;
use crate::config::raw;
use crate::config::schema::{definition, schema};
use crate::config::validate::validate_as;

/// A store may have a million keys to be checked at start.
static SCHEMA: LazyLock<Value> = LazyLock::new(schema);

/// A virtual key.
///
/// # Errors
/// Every problem, with the field's path within the key.
pub fn compile_virtual_key(raw: &raw::VirtualKey, known: &Known<'_>) -> Result<VirtualKey, Vec<Problem>> {
    alone(|compiler| key::one(compiler, "", raw, (&mut Taken::default(), known)))
}

/// A team.
///
/// # Errors
/// Every problem, with the field's path within the team.
pub fn compile_team(raw: &raw::Team, known: &Known<'_>) -> Result<Team, Vec<Problem>> {
    alone(|compiler| {
        let team = owners::team(compiler, "", raw, (&mut Taken::default(), known.named));
        if let Some(id) = &team.customer {
            super::quotas::known(compiler, ("/customer_id", id), known.customers, "customers");
        }
        team
    })
}

/// A customer.
///
/// # Errors
/// Every problem, with the field's path within the customer.
pub fn compile_customer(raw: &raw::Customer, known: &Known<'_>) -> Result<Customer, Vec<Problem>> {
    alone(|compiler| owners::customer(compiler, "", raw, (&mut Taken::default(), known.named)))
}

/// A virtual key from the JSON that somebody sent: structure, references (`env.NAME`), meaning.
///
/// # Errors
/// Every problem, with the field's path within the key.
pub fn virtual_key_of(
    body: &Value,
    known: &Known<'_>,
    environment: &Environment,
) -> Result<(raw::VirtualKey, VirtualKey), Vec<Problem>> {
    let mut document = Document::empty();
    document.root = body.clone();
    let shape = definition(&SCHEMA, "#/$defs/VirtualKey").unwrap_or(&Value::Null);
    let found = validate_as(&document, &SCHEMA, shape);
    if !found.is_empty() {
        return Err(found.into_iter().map(|found| found.problem).collect());
    }
    let mut compiler = Compiler::new(&document, environment);
    let mut root = body.clone();
    resolve::virtual_key(&mut compiler, &mut root);
    let raw = match serde_json::from_value::<raw::VirtualKey>(root) {
        Ok(raw) => raw,
        Err(_) => {
            compiler.problem("", At::Value, "a value does not fit its field");
            return Err(problems(compiler));
        }
    };
    let key = key::one(&mut compiler, "", &raw, (&mut Taken::default(), known));
    let problems = problems(compiler);
    if problems.is_empty() { Ok((raw, key)) } else { Err(problems) }
}

fn alone<T>(compile: impl FnOnce(&mut Compiler<'_>) -> T) -> Result<T, Vec<Problem>> {
    let document = Document::empty();
    let environment = Environment::fixed([]);
    let mut compiler = Compiler::new(&document, &environment);
    let compiled = compile(&mut compiler);
    let problems = problems(compiler);
    if problems.is_empty() { Ok(compiled) } else { Err(problems) }
}

fn problems(compiler: Compiler<'_>) -> Vec<Problem> {
    compiler.problems.into_iter().map(|found| found.problem).collect()
}
