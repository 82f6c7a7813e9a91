//! Requests of Bedrock's whose body tells what their path does not: `InvokeModel`, whose body may be Claude's or of a
//! family that is not read here, and reranking, which names its model inside.
//!
//! A body that is not read goes to its model's host as it is, and the answer comes back as it is. Must not look
//! into either; what they tell is read by `translate`.

use translate::Wire;
use translate::ir::FailureKind;
use translate::rerank::bedrock_model;
use translate::wire::bedrock_converse::{InvokedBody, UNDERSTOOD};

use super::Gateway;
use super::fault::Fault;
use crate::config::snapshot::Snapshot;
use crate::route::endpoint::{Asked, Endpoint, Family, Operation};
use crate::route::lead::Names;

/// The request as it is to be taken: read as Claude's, or carried unread.
///
/// # Errors
/// Nobody but the model's host could take the body, and the model asked for is elsewhere; or a body that must
/// name a model names none.
pub fn settled(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: Asked,
    body: &[u8],
) -> Result<Asked, Box<Fault>> {
    let endpoint = asked.endpoint;
    if endpoint.operation == Operation::Rerank && endpoint.dialect == Wire::BedrockConverse {
        return match bedrock_model(body) {
            Ok(model) => Ok(Asked { model: Some(model), ..asked }),
            Err(bad) => {
                let fault = Fault::request(FailureKind::InvalidRequest, 400, bad.message);
                Err(Box::new(fault.param(&bad.path)))
            }
        };
    }
    let invoked = endpoint.family == Family::Bedrock && endpoint.dialect == Wire::Anthropic;
    let Some(model) = asked.model.as_deref().filter(|_| invoked) else { return Ok(asked) };
    let whose = InvokedBody::of(model, body);
    if whose == InvokedBody::Claude {
        return Ok(asked);
    }
    // What is wrong with the name is told by those who look for it next.
    let names = Names { family: endpoint.family, snapshot, catalog: gateway.catalog };
    let targets = names.all(model, &|_, members| (0..members.len()).collect());
    let Some(target) = targets.first() else { return Ok(asked) };
    // Of a group those that can take it are asked; a body that others read too is for the first.
    let most = if whose == InvokedBody::Other { targets.len() } else { 1 };
    let mut providers = targets.iter().take(most).filter_map(|target| snapshot.provider(&target.provider));
    match whose {
        _ if providers.any(|provider| provider.wire == Wire::BedrockConverse) => {
            let dialect = Wire::BedrockConverse;
            Ok(Asked { endpoint: Endpoint { operation: Operation::Invoke, dialect, ..endpoint }, ..asked })
        }
        InvokedBody::Other => {
            let message = format!("{} cannot take this body: {UNDERSTOOD}", target.provider);
            Err(Box::new(Fault::request(FailureKind::InvalidRequest, 400, message)))
        }
        InvokedBody::Claude | InvokedBody::PerhapsClaude => Ok(asked),
    }
}
