//! Vendors of speech, images and video: no chat and no vectors. Their APIs are called by their own paths
//! (`/<name>_passthrough/…`), with the key that is held here.

use super::{CredentialScheme, EXACT, HOST, NO_CHAT, ProviderSpec};

pub(super) const ROWS: &[ProviderSpec] = &[
    ProviderSpec {
        name: "assemblyai",
        display_name: "AssemblyAI",
        base_url: Some("https://api.assemblyai.com"),
        credential: CredentialScheme::Header("authorization"),
        env: &["ASSEMBLYAI_API_KEY"],
        ..OWN_API
    },
    ProviderSpec {
        name: "bfl",
        aliases: &["black_forest_labs"],
        display_name: "Black Forest Labs",
        base_url: Some("https://api.bfl.ai"),
        credential: CredentialScheme::Header("x-key"),
        env: &["BFL_API_KEY"],
        ..OWN_API
    },
    ProviderSpec {
        name: "deepgram",
        display_name: "Deepgram",
        base_url: Some("https://api.deepgram.com"),
        credential: CredentialScheme::Word("Token"),
        env: &["DEEPGRAM_API_KEY"],
        ..OWN_API
    },
    ProviderSpec {
        name: "elevenlabs",
        aliases: &["eleven_labs"],
        display_name: "ElevenLabs",
        base_url: Some("https://api.elevenlabs.io"),
        credential: CredentialScheme::Header("xi-api-key"),
        env: &["ELEVENLABS_API_KEY", "ELEVEN_API_KEY"],
        ..OWN_API
    },
    ProviderSpec {
        name: "fal",
        aliases: &["fal_ai"],
        display_name: "fal",
        // Answers at once; its queue is `https://queue.fal.run`.
        base_url: Some("https://fal.run"),
        credential: CredentialScheme::Word("Key"),
        env: &["FAL_KEY", "FAL_API_KEY"],
        ..OWN_API
    },
    ProviderSpec {
        name: "luma",
        aliases: &["lumalabs"],
        display_name: "Luma",
        base_url: Some("https://api.lumalabs.ai"),
        env: &["LUMA_API_KEY", "LUMAAI_API_KEY"],
        ..OWN_API
    },
    ProviderSpec {
        name: "recraft",
        display_name: "Recraft",
        base_url: Some("https://external.api.recraft.ai"),
        env: &["RECRAFT_API_TOKEN", "RECRAFT_API_KEY"],
        ..OWN_API
    },
    ProviderSpec {
        name: "runway",
        aliases: &["runwayml"],
        display_name: "Runway",
        base_url: Some("https://api.dev.runwayml.com"),
        env: &["RUNWAYML_API_SECRET", "RUNWAY_API_KEY"],
        headers: &[("x-runway-version", "2024-11-06")],
        ..OWN_API
    },
    ProviderSpec {
        name: "stability",
        aliases: &["stability_ai"],
        display_name: "Stability AI",
        base_url: Some("https://api.stability.ai"),
        env: &["STABILITY_API_KEY"],
        ..OWN_API
    },
];

const OWN_API: ProviderSpec = ProviderSpec { chat_path: NO_CHAT, quirks: EXACT, ..HOST };
