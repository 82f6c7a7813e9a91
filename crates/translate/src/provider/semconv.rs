//! How OpenTelemetry's conventions for generative AI, and OpenInference's, call the vendors that they know.

/// The conventions' name of a preset's vendor; its own where they have none.
#[must_use]
pub fn semconv_name(preset: &str) -> &str {
    match preset {
        "anthropic_aws" => "anthropic",
        "azure" => "azure.ai.openai",
        "bedrock" | "bedrock_mantle" => "aws.bedrock",
        "gemini" | "gemini_openai" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "moonshot" => "moonshot_ai",
        "vertex" => "gcp.vertex_ai",
        "watsonx" => "ibm.watsonx.ai",
        "xai" => "x_ai",
        other => other,
    }
}

/// OpenInference's name of the product behind a vendor, by the vendor's name in OpenTelemetry's conventions.
#[must_use]
pub fn openinference_system(vendor: &str) -> &str {
    match vendor {
        "aws.bedrock" => "amazon",
        "azure.ai.openai" => "openai",
        "gcp.gemini" => "google",
        "gcp.vertex_ai" => "vertexai",
        "mistral_ai" => "mistralai",
        "x_ai" => "xai",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_that_differ_are_of_presets() {
        let renamed: Vec<&str> = crate::provider::all()
            .iter()
            .map(|preset| preset.name)
            .filter(|name| super::semconv_name(name) != *name)
            .collect();
        assert_eq!(renamed.len(), 11, "{renamed:?}");
        assert_eq!(super::semconv_name("openai"), "openai");
    }
}
