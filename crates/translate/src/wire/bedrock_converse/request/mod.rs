//! Requests of this wire: reading a caller's body, writing one for the provider.

mod cache;
mod decode;
mod encode;
mod model_fields;
mod reasoning;
mod sampling;
mod tools;
mod turn;
mod turns;

pub(super) use decode::decode;
pub(super) use encode::encode;
