//! The JSON schema of the configuration, made from the raw types and their doc comments.
//!
//! One source for three readers: editors (`conf/schema.json`), people (`docs/config.md`) and our own
//! validation. The two files are committed; a test fails when they differ from what this makes.

mod page;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::raw::{Config, OtelCollector, SemanticCache};

pub use page::page;

/// The schema as a value.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    // The `config` of a plugin is any value: those that are known are described beside.
    generator.subschema_for::<OtelCollector>();
    generator.subschema_for::<SemanticCache>();
    generator.into_root_schema_for::<Config>().to_value()
}

/// The schema as `bifrost schema` prints it and `conf/schema.json` holds it.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", schema())
}

/// The definition a `$ref` names.
pub(super) fn definition<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Compares a committed file with what the code makes; `BIFROST_BLESS=1` writes it anew.
    fn same_as_committed(path: &str, made: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("BIFROST_BLESS").is_some() {
            std::fs::write(&path, made).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == made,
            "{} is out of date: run the tests once with BIFROST_BLESS=1",
            path.display()
        );
    }

    #[test]
    fn the_committed_schema_is_current() {
        same_as_committed("conf/schema.json", &super::text());
    }

    #[test]
    fn the_committed_reference_page_is_current() {
        same_as_committed("docs/config.md", &super::page());
    }

    #[test]
    fn every_field_is_documented() {
        fn walk(at: &str, value: &serde_json::Value, missing: &mut Vec<String>) {
            if let Some(properties) = value.get("properties").and_then(|p| p.as_object()) {
                for (name, field) in properties {
                    if field.get("description").is_none() {
                        missing.push(format!("{at}.{name}"));
                    }
                }
            }
            match value {
                serde_json::Value::Object(map) => map.iter().for_each(|(k, v)| walk(k, v, missing)),
                serde_json::Value::Array(items) => items.iter().for_each(|v| walk(at, v, missing)),
                _ => {}
            }
        }
        let mut missing = Vec::new();
        walk("root", &super::schema(), &mut missing);
        assert!(missing.is_empty(), "{missing:?}");
    }
}
