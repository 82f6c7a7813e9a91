//! Requests of this wire: reading a caller's body, writing one for the provider. Nothing here knows
//! a model's name: what a model takes comes in as `ModelRules`.

mod cache;
mod decode;
mod encode;
mod media;
mod reasoning;
mod sampling;
mod tools;
mod turns;

pub(super) use decode::decode;
pub(super) use encode::encode;
