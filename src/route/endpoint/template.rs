//! The template of a path: what it is counted under. Ids and models in it are `{…}`, so that there are as many templates as
//! routes, whatever callers write.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::paths;

/// What is no route of ours.
const OTHER: &str = "other";

/// Templates with a name in them that may hold slashes: the first that fits counts.
const PATTERNS: &[&str] = &[
    "/bedrock/model/{model}/converse",
    "/bedrock/model/{model}/converse-stream",
    "/bedrock/model/{model}/count-tokens",
    "/bedrock/model/{model}/invoke",
    "/bedrock/model/{model}/invoke-with-response-stream",
    "/model/{model}/converse",
    "/model/{model}/converse-stream",
    "/model/{model}/invoke",
    "/model/{model}/invoke-with-response-stream",
    "/genai/v1beta/{path}:batchEmbedContents",
    "/genai/v1beta/{path}:countTokens",
    "/genai/v1beta/{path}:embedContent",
    "/genai/v1beta/{path}:generateContent",
    "/genai/v1beta/{path}:streamGenerateContent",
    "/genai/{path}:generateContent",
    "/genai/{path}:streamGenerateContent",
    "/v1beta/{path}:batchEmbedContents",
    "/v1beta/{path}:countTokens",
    "/v1beta/{path}:embedContent",
    "/v1beta/{path}:generateContent",
    "/v1beta/{path}:streamGenerateContent",
    "/v1/{path}:generateContent",
    "/v1/{path}:streamGenerateContent",
    "/openai/deployments/{deployment}/chat/completions",
    "/openai/deployments/{deployment}/completions",
    "/openai/deployments/{deployment}/embeddings",
    "/deployments/{deployment}/chat/completions",
    "/deployments/{deployment}/embeddings",
    "/v1/responses/{id}/cancel",
    "/v1/responses/{id}/input_items",
    "/v1/responses/{id}",
    "/openai/v1/responses/{id}/cancel",
    "/openai/v1/responses/{id}/input_items",
    "/openai/v1/responses/{id}",
    "/openai/responses/{id}",
];

/// Resources of the administration. What is below one is one template.
const RESOURCES: &[(&str, &str, &str)] = &[
    ("audit", "/api/audit", "/api/audit/{path}"),
    ("changes", "/api/changes", "/api/changes/{path}"),
    ("config", "/api/config", "/api/config/{path}"),
    ("debug", "/api/debug", "/api/debug/{path}"),
    ("events", "/api/events", "/api/events/{path}"),
    ("governance", "/api/governance", "/api/governance/{path}"),
    ("health", "/api/health", "/api/health/{path}"),
    ("keys", "/api/keys", "/api/keys/{path}"),
    ("logs", "/api/logs", "/api/logs/{path}"),
    ("models", "/api/models", "/api/models/{path}"),
    ("overview", "/api/overview", "/api/overview/{path}"),
    ("pricing", "/api/pricing", "/api/pricing/{path}"),
    ("providers", "/api/providers", "/api/providers/{path}"),
    ("session", "/api/session", "/api/session/{path}"),
    ("tokens", "/api/tokens", "/api/tokens/{path}"),
    ("users", "/api/users", "/api/users/{path}"),
    ("version", "/api/version", "/api/version/{path}"),
];
const ADMINISTRATION: &str = "/api/{path}";
const PASSTHROUGH: &str = "/{provider}_passthrough/{path}";

/// All templates but those of the administration, by themselves and below each framework's prefix.
static KNOWN: LazyLock<Known> = LazyLock::new(Known::new);

struct Known {
    /// Paths that are their own template.
    fixed: HashSet<&'static str>,
    /// Templates of one model of a list, by what stands before its name.
    models: Vec<(String, String)>,
    /// A template below a framework's prefix.
    framed: HashMap<(&'static str, &'static str), String>,
}

/// The template of a path, without its query.
#[must_use]
pub fn template(path: &str) -> &'static str {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let known: &'static Known = &KNOWN;
    // Nearly all requests.
    if let Some(fixed) = known.fixed.get(path) {
        return fixed;
    }
    if let Some(rest) = path.strip_prefix("/api") {
        return of_administration(rest);
    }
    for framework in paths::FRAMEWORKS {
        if let Some(rest) = path.strip_prefix(framework).filter(|rest| rest.starts_with('/')) {
            let framed = known.framed.get(&(framework, known.plain(rest)));
            return framed.map_or_else(|| known.plain(path), String::as_str);
        }
    }
    known.plain(path)
}

fn of_administration(rest: &str) -> &'static str {
    let Some(rest) = rest.strip_prefix('/') else {
        return if rest.is_empty() { ADMINISTRATION } else { OTHER };
    };
    let (first, deeper) = rest.split_once('/').map_or((rest, false), |(first, _)| (first, true));
    let found = RESOURCES.iter().find(|(name, _, _)| *name == first);
    found.map_or(ADMINISTRATION, |(_, itself, below)| if deeper { below } else { itself })
}

impl Known {
    fn new() -> Self {
        let plain = || paths::all().map(|(_, path)| path);
        let posts = paths::POSTS.iter().map(|(path, _, _)| *path);
        let bare = paths::BARE.into_iter();
        let fixed: HashSet<&'static str> =
            plain().filter(|path| !path.contains('{')).chain(posts).chain(bare).collect();
        let lists = fixed.iter().filter(|path| path.ends_with("/models"));
        let models = lists.map(|list| (format!("{list}/"), format!("{list}/{{model}}"))).collect();
        let framed = paths::FRAMEWORKS.into_iter().flat_map(|framework| {
            let all = fixed.iter().chain(PATTERNS).copied();
            all.map(move |template| ((framework, template), format!("{framework}{template}")))
        });
        let framed = framed.collect();
        Self { fixed, models, framed }
    }

    /// Of a path without a framework's prefix.
    fn plain(&'static self, path: &str) -> &'static str {
        if let Some(fixed) = self.fixed.get(path) {
            return fixed;
        }
        if let Some(pattern) = PATTERNS.iter().find(|pattern| fits(pattern, path)) {
            return pattern;
        }
        if let Some((_, template)) = self.models.iter().find(|(list, _)| path.starts_with(list.as_str())) {
            return template;
        }
        let first = path.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if first.ends_with("_passthrough") { PASSTHROUGH } else { OTHER }
    }
}

/// A pattern is what stands before a name and what stands behind it.
fn fits(pattern: &str, path: &str) -> bool {
    let (Some((before, _)), Some((_, behind))) = (pattern.split_once('{'), pattern.split_once('}')) else {
        return pattern == path;
    };
    path.len() > before.len() + behind.len() && path.starts_with(before) && path.ends_with(behind)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::{Route, find};
    use super::*;

    #[test]
    fn every_path_that_is_shown_has_a_template_of_its_own() {
        for (_, path) in paths::all() {
            let asked = path.replace("{model}", "some/model-1").replace("{id}", "resp_1");
            let template = template(&asked);
            assert_ne!(template, OTHER, "{path}");
            assert!(!template.contains("some") && !template.contains("resp_1"), "{path}: {template}");
            if !path.contains('{') {
                assert_eq!(template, path);
            }
        }
    }

    #[test]
    fn what_callers_write_makes_no_template() {
        for (path, expected) in [
            ("/v1/chat/completions/", "/v1/chat/completions"),
            ("/litellm/v1/chat/completions", "/litellm/v1/chat/completions"),
            ("/litellm/anthropic/v1/messages", "/litellm/anthropic/v1/messages"),
            ("/litellm/anything", OTHER),
            ("/v1/models/openai/gpt-4o", "/v1/models/{model}"),
            ("/v1/responses/resp_123/cancel", "/v1/responses/{id}/cancel"),
            ("/bedrock/model/arn%3Aaws/converse-stream", "/bedrock/model/{model}/converse-stream"),
            (
                "/genai/v1beta/models/gemini-9:streamGenerateContent",
                "/genai/v1beta/{path}:streamGenerateContent",
            ),
            ("/mistral_passthrough/v1/anything", PASSTHROUGH),
            ("/api/providers", "/api/providers"),
            ("/api/providers/openai/keys/1", "/api/providers/{path}"),
            ("/api/whatever/1", ADMINISTRATION),
            ("/apis", OTHER),
            ("/wp-admin.php", OTHER),
            ("/", "/"),
            ("", OTHER),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }

    #[test]
    fn what_goes_to_a_provider_is_not_counted_among_the_others() {
        for path in [
            "/openai/deployments/gpt/chat/completions",
            "/deployments/gpt/embeddings",
            "/langchain/v1/embeddings",
            "/litellm/model/claude/invoke",
            "/openai/responses",
            "/v2/chat",
        ] {
            assert!(matches!(find(&Method::POST, path), Route::Provider(_)), "{path}");
            assert_ne!(template(path), OTHER, "{path}");
        }
    }
}
