//! Which region a provider's host stands for, where prices differ by it.
//!
//! Hosts of one region have its name in theirs; global ones have none.

/// The region in the name of a host; `None` for a host of no region, or of a provider without such.
#[must_use]
pub fn region_of(host: &str) -> Option<&str> {
    let google = host.strip_suffix("-aiplatform.googleapis.com").or_else(|| {
        host.strip_prefix("aiplatform.").and_then(|rest| rest.strip_suffix(".rep.googleapis.com"))
    });
    let openai = || host.strip_suffix(".api.openai.com");
    google
        .or_else(openai)
        .or_else(|| amazon(host))
        .filter(|region| !region.is_empty() && !region.contains('.'))
}

/// `bedrock-runtime.us-east-1.amazonaws.com`, `bedrock-mantle.us-east-1.api.aws`, those of China and FIPS.
fn amazon(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("bedrock")?.split_once('.')?.1;
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().find_map(|suffix| rest.strip_suffix(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read_from_hosts() {
        for (host, region) in [
            ("us-east5-aiplatform.googleapis.com", Some("us-east5")),
            ("aiplatform.eu.rep.googleapis.com", Some("eu")),
            ("aiplatform.googleapis.com", None),
            ("bedrock-runtime.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("bedrock-mantle.us-east-1.api.aws", Some("us-east-1")),
            ("eu.api.openai.com", Some("eu")),
            ("api.openai.com", None),
            ("api.anthropic.com", None),
            ("127.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
