//! Every file in `bad/` and exactly what is said about it. `BIFROST_BLESS=1` writes the texts anew.

use std::path::Path;

use super::*;

#[test]
fn every_bad_file_gets_its_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/bad");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e != "txt"));
    files.sort();
    assert!(files.len() >= 25, "{}", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let format = Format::of(&path, &text);
        let document = Document::parse(name, &text, format);
        let said = match document.and_then(|document| compile(&document, &nothing(), 1)) {
            Ok(_) => panic!("{name} compiled"),
            Err(problems) => lines(&problems) + "\n",
        };
        assert!(!said.contains("secret@") && !said.contains("sk-1"), "{said}");
        let golden = folder.join(format!("{name}.txt"));
        if std::env::var_os("BIFROST_BLESS").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&golden).unwrap_or_default(), said, "{name}");
    }
}

#[test]
fn one_fault_in_the_structure_does_not_hide_one_in_the_meaning() {
    let text = r#"{"zzz": 1, "providers": {"openai": {"keys": [{"value": "sk-1", "weight": 0}]}}}"#;
    let said = problems(text, Format::Json);
    assert!(said.contains("unknown field") && said.contains("above 0"), "{said}");
}

#[test]
fn a_file_that_is_not_utf8_is_named_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.json");
    std::fs::write(&path, b"{\n  \"a\xff\": 1}").unwrap();
    let problems = load(&Origin::File(path), &nothing(), 1).unwrap_err();
    assert_eq!(problems[0].position, Some(Position { line: 2, column: 5 }));
}
