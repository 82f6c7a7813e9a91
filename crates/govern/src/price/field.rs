//! Names of prices in the tables that LiteLLM made common: `input_cost_per_token_above_200k_tokens_batches`
//! is the input of a batch with more than 200,000 input tokens.

use super::{Class, Service, Uplift};

/// What a field of a table is the price of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Dollars per unit, of a service and above a number of input tokens.
    Rate(Class, Service, u32),
    /// A factor on all prices.
    Uplift(Uplift),
}

/// What the field of this name says; `None` for one that is no price, or the price of something that is not
/// counted here.
#[must_use]
pub fn field(name: &str) -> Option<Field> {
    match name {
        "regional_processing_uplift_multiplier_us" => return Some(Field::Uplift(Uplift::ProcessingUs)),
        "regional_processing_uplift_multiplier_eu" => return Some(Field::Uplift(Uplift::ProcessingEu)),
        "regional_endpoint_uplift_multiplier" => return Some(Field::Uplift(Uplift::Endpoint)),
        _ => {}
    }
    let (name, service) = without_service(name);
    let (name, above) = without_threshold(name)?;
    Some(Field::Rate(class(name)?, service, above))
}

fn class(name: &str) -> Option<Class> {
    Some(match name {
        "input_cost_per_token" => Class::Input,
        "output_cost_per_token" => Class::Output,
        "cache_read_input_token_cost" => Class::CacheRead,
        "cache_read_input_audio_token_cost" => Class::CacheReadAudio,
        "cache_creation_input_token_cost" => Class::CacheWrite,
        "cache_creation_input_token_cost_above_1hr" => Class::CacheWrite1h,
        "output_cost_per_reasoning_token" => Class::Reasoning,
        "input_cost_per_audio_token" => Class::AudioInput,
        "output_cost_per_audio_token" => Class::AudioOutput,
        "input_cost_per_image_token" => Class::ImageInput,
        "output_cost_per_image_token" => Class::ImageOutput,
        "input_cost_per_image" => Class::ImageIn,
        "output_cost_per_image" => Class::ImageOut,
        "input_cost_per_request" => Class::Request,
        "input_cost_per_query" => Class::Query,
        "search_context_size_low" => Class::SearchLow,
        "search_context_size_medium" => Class::SearchMedium,
        "search_context_size_high" => Class::SearchHigh,
        _ => return None,
    })
}

fn without_service(name: &str) -> (&str, Service) {
    let of = |service: Service| {
        let word = if service == Service::Batch { "batches" } else { service.name() };
        Some((name.strip_suffix(word)?.strip_suffix('_')?, service))
    };
    Service::PRICED.into_iter().find_map(of).unwrap_or((name, Service::Standard))
}

/// `None` for a threshold that is none.
fn without_threshold(name: &str) -> Option<(&str, u32)> {
    let Some(short) = name.strip_suffix("k_tokens") else { return Some((name, 0)) };
    let (short, thousands) = short.rsplit_once("_above_")?;
    Some((short, thousands.parse::<u32>().ok()?.checked_mul(1_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        use Service::{Batch, Flex, Priority, Standard};
        for (name, class, service, above) in [
            ("input_cost_per_token", Class::Input, Standard, 0),
            ("input_cost_per_token_above_128k_tokens", Class::Input, Standard, 128_000),
            ("output_cost_per_token_above_272k_tokens_flex", Class::Output, Flex, 272_000),
            ("cache_read_input_token_cost_above_200k_tokens_batches", Class::CacheRead, Batch, 200_000),
            ("cache_creation_input_token_cost", Class::CacheWrite, Standard, 0),
            ("cache_creation_input_token_cost_above_1hr", Class::CacheWrite1h, Standard, 0),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                Class::CacheWrite1h,
                Standard,
                200_000,
            ),
            ("input_cost_per_audio_token_priority", Class::AudioInput, Priority, 0),
            ("output_cost_per_image", Class::ImageOut, Standard, 0),
        ] {
            assert_eq!(field(name), Some(Field::Rate(class, service, above)), "{name}");
        }
        let name = "regional_processing_uplift_multiplier_eu";
        assert_eq!(field(name), Some(Field::Uplift(Uplift::ProcessingEu)));
    }

    #[test]
    fn other_fields_are_no_prices() {
        for name in [
            "mode",
            "max_tokens",
            "input_cost_per_second",
            "input_cost_per_token_balanced",
            "cache_creation_input_token_cost_above_12hr",
            "input_cost_per_token_above_k_tokens",
            "input_cost_per_token_above_99999999999k_tokens",
            "input_dbu_cost_per_token",
            "batches",
            "",
        ] {
            assert_eq!(field(name), None, "{name}");
        }
    }
}
