//! `docs/faults.md` names the tests that show each row: a name that is no test is a promise without proof.

use std::collections::BTreeSet;
use std::path::Path;

/// Every row of the table.
const ROWS: [&str; 28] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "8b", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19", "20", "21", "22", "23", "24", "25", "25b", "26",
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Rows of the page's table: number, what the caller sees, tests.
fn rows() -> Vec<(String, String, String)> {
    let page = read("docs/faults.md");
    let cells = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").map(str::to_owned);
        let number = cells.next().filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))?;
        let (_, seen, tests) = (cells.next()?, cells.next()?, cells.next()?);
        Some((number, seen, tests))
    });
    cells.collect()
}

/// Names in backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A test of this name is in a file of the suite.
fn is_test(name: &str) -> bool {
    let Some((file, test)) = name.split_once("::") else { return false };
    let suites = ["resilience", "integration", "money", "stores"];
    let mut suites = suites.map(|suite| format!("tests/{suite}/{file}.rs")).to_vec();
    suites.push(format!("tests/{file}/main.rs"));
    let found = suites.iter().filter(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists());
    let declared = format!("#[test]\nfn {test}() {{");
    found.into_iter().any(|path| read(path).contains(&declared))
}

#[test]
fn every_row_of_the_fault_table_is_told_and_every_test_that_it_names_exists() {
    let rows = rows();
    let told: Vec<&str> = rows.iter().map(|(number, _, _)| number.as_str()).collect();
    assert_eq!(told, ROWS);
    for (number, seen, tests) in &rows {
        assert!(!seen.trim().is_empty(), "row {number} does not say what the caller sees");
        let names = names(tests);
        assert!(!names.is_empty(), "row {number} has no test");
        for name in names {
            assert!(is_test(name), "row {number} names {name}, which is no test");
        }
    }
}

#[test]
fn no_test_of_a_row_is_missing_in_the_fault_table() {
    let named: BTreeSet<String> =
        rows().iter().flat_map(|(_, _, tests)| names(tests)).map(str::to_owned).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resilience");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for test in text.split("#[test]\nfn row_").skip(1).filter_map(|rest| rest.split('(').next()) {
            let name = format!("{file}::row_{test}");
            assert!(named.contains(&name), "docs/faults.md does not name {name}");
        }
    }
}

#[test]
fn the_look_for_tests_can_fail() {
    assert!(is_test("table::the_look_for_tests_can_fail"));
    assert!(!is_test("table::no_such_test") && !is_test("nowhere::at_all") && !is_test("names"));
    assert_eq!(names("`a::b`, and `c::d`."), ["a::b", "c::d"]);
}
