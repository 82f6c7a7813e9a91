//! Aliases in the file.

use super::*;

#[test]
fn an_alias_may_be_a_reference_whatever_it_is_called() {
    let text = r#"{"providers": {"openai": {}}, "routing": {"aliases": {"fast": "env.FAST", "when": "openai/${FAST}"}}}"#;
    let snapshot = json(text, &Environment::fixed([("OPENAI_API_KEY", "sk"), ("FAST", "gpt-4o-mini")]));
    assert_eq!(snapshot.routing.meant("fast"), "gpt-4o-mini");
    assert_eq!(snapshot.routing.meant("when"), "openai/gpt-4o-mini");
}
