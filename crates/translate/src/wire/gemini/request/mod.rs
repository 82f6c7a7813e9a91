//! Requests of this wire: reading a caller's body, writing one for the provider. Nothing here knows a
//! model's name: what a model takes comes in as `ModelRules`.

mod config_in;
mod config_out;
mod decode;
mod encode;
mod lent;
mod media;
mod reasoning;
mod tools_in;
mod tools_out;
mod turns_in;
mod turns_out;

pub(super) use decode::decode;
pub(super) use encode::encode;
pub use media::takes_url;
