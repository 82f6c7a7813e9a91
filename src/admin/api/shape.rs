//! Shapes of bodies that are those of the configuration: their schemas are made from its types, not written twice.
//!
//! The types here are names only. `openapi` fills them in.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// How a shape is made from a type of the configuration.
#[derive(Debug, Clone, Copy)]
pub enum Make {
    /// As it is written in the file.
    Plain(&'static str),
    /// The same with the provider's name.
    New(&'static str),
    /// The same with every field left out or null.
    Patch(&'static str),
    /// The same as an answer has it: with what answers have more, of which nothing must be there.
    Shown(&'static str),
    /// `{message?, <field>: <shape>}`.
    Answer(&'static str, &'static str),
    /// `{<field>: [<shape>], count, total_count, offset, limit}`.
    List(&'static str, &'static str),
}

macro_rules! shapes {
    ($($name:ident = $make:expr,)*) => {
        $(
            #[derive(Debug)]
            #[allow(dead_code, reason = "a name in the document")]
            pub struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    RefOr::T(Schema::default())
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )*

        /// Every shape and how it is made.
        pub const ALL: &[(&str, Make)] = &[$((stringify!($name), $make),)*];
    };
}

shapes! {
    Provider = Make::Plain("Provider"),
    NewProvider = Make::New("Provider"),
    ProviderPatch = Make::Patch("Provider"),
    ProviderShown = Make::Shown("Provider"),
    ProviderKey = Make::Plain("ProviderKey"),
    ProviderKeyPatch = Make::Patch("ProviderKey"),
    ProviderKeyShown = Make::Shown("ProviderKey"),
    ProviderKeyList = Make::List("keys", "ProviderKeyShown"),
    ProviderKeyAnswer = Make::Answer("key", "ProviderKeyShown"),
    VirtualKey = Make::Plain("VirtualKey"),
    VirtualKeyPatch = Make::Patch("VirtualKey"),
    VirtualKeyShown = Make::Shown("VirtualKey"),
    VirtualKeyAnswer = Make::Answer("virtual_key", "VirtualKeyShown"),
    VirtualKeyList = Make::List("virtual_keys", "VirtualKeyShown"),
    Team = Make::Plain("Team"),
    TeamPatch = Make::Patch("Team"),
    TeamShown = Make::Shown("Team"),
    TeamAnswer = Make::Answer("team", "TeamShown"),
    TeamList = Make::List("teams", "TeamShown"),
    Customer = Make::Plain("Customer"),
    CustomerPatch = Make::Patch("Customer"),
    CustomerShown = Make::Shown("Customer"),
    CustomerAnswer = Make::Answer("customer", "CustomerShown"),
    CustomerList = Make::List("customers", "CustomerShown"),
    ModelConfig = Make::Plain("ModelConfig"),
    ModelConfigPatch = Make::Patch("ModelConfig"),
    ModelConfigShown = Make::Shown("ModelConfig"),
    ModelConfigAnswer = Make::Answer("model_config", "ModelConfigShown"),
    ModelConfigList = Make::List("model_configs", "ModelConfigShown"),
    ProviderGovernance = Make::Plain("ProviderGovernance"),
    ProviderGovernancePatch = Make::Patch("ProviderGovernance"),
    ProviderGovernanceShown = Make::Shown("ProviderGovernance"),
    ProviderGovernanceAnswer = Make::Answer("provider", "ProviderGovernanceShown"),
    ProviderGovernanceList = Make::List("providers", "ProviderGovernanceShown"),
    GovernanceRule = Make::Plain("GovernanceRule"),
    GovernanceRulePatch = Make::Patch("GovernanceRule"),
    GovernanceRuleShown = Make::Shown("GovernanceRule"),
    GovernanceRuleAnswer = Make::Answer("rule", "GovernanceRuleShown"),
    GovernanceRuleList = Make::List("rules", "GovernanceRuleShown"),
    Client = Make::Plain("Client"),
    ClientPatch = Make::Patch("Client"),
    ClientShown = Make::Shown("Client"),
    Framework = Make::Plain("Framework"),
    FrameworkPatch = Make::Patch("Framework"),
    FrameworkShown = Make::Shown("Framework"),
}

/// What was done.
#[derive(Debug, serde::Serialize, ToSchema)]
pub struct Done {
    pub message: String,
}
