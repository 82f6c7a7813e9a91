//! Vendors as data: wire, base URL, credential scheme, quirks; and what each model takes.
//!
//! Adding a provider is a row below `table/`; adding a rule for a model is a line in `models.json`.
//! No other file of the project knows a vendor's name.

mod betas;
mod continues;
mod input;
mod model;
mod quirk;
mod region;
mod semconv;
mod table;

pub(crate) use betas::claude_version;
pub use betas::{Beta, BetaFate, BetaPlace, BetaRule, Betas};
pub use continues::Continues;
pub use input::{ImageInput, InputNames, ReasoningInput};
pub use model::{ModelRules, SamplingRule, ThinkingStyle};
pub use quirk::{CallIdForm, Fix, Quirks, ReasoningField, UsageStyle};
pub use region::region_of;
pub use semconv::{openinference_system, semconv_name};
pub use table::{Counting, CredentialScheme, ProviderSpec, RerankAt, Service, all, example_model, find};

/// Where a request goes, as encoders need to know it.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    pub quirks: &'a Quirks,
    pub rules: &'a ModelRules,
    /// The model as this provider names it.
    pub model: &'a str,
}
