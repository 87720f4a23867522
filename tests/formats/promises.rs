//! Every file and every test that `docs/promises.md` names is there.
//!
//! Its tables have the columns `| promise | code | test |`, and every row has something in each:
//!
//! - promise: words.
//! - code: paths from the top of the workspace, of files or of folders, with commas between them:
//!   `` `src/store.rs`, `src/format` ``
//! - test: a file, a colon and its tests, with commas between them; and semicolons between files:
//!   `` `tests/disk/bulk.rs`: `one_test`, `another_test`; `tests/disk/golden.rs`: `a_third_test` ``
//!
//! A cell holds nothing else, and no `|`. A conformance case is named with the file of its module,
//! such as `crates/conformance/src/cases/ttl.rs`. In the text around the tables, a text in
//! backticks is a path if it has a slash, no space and no colon. The target of a link is a path
//! too.

use std::fs;
use std::path::Path;

const WORKSPACE: &str = env!("CARGO_MANIFEST_DIR");
const DOCUMENT: &str = "docs/promises.md";
const HEADS: [&str; 2] = ["| promise | code | test |", "| --- | --- | --- |"];

const CASES: &str = "crates/conformance/src/cases/";
const TABLE_OF_CASES: &str = "crates/conformance/src/cases/mod.rs";

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(WORKSPACE).join(path)).ok()
}

fn exists(path: &str) -> bool {
    Path::new(WORKSPACE).join(path).exists()
}

/// The parts in backticks, separated by commas. None if there is anything else.
fn quoted(list: &str) -> Option<Vec<&str>> {
    let parts = list.split(", ").map(|part| {
        let inside = part.strip_prefix('`')?.strip_suffix('`')?;
        (!inside.is_empty() && !inside.contains('`')).then_some(inside)
    });
    parts.collect()
}

/// Whether this is the source of a test of this name.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_test = |at: &usize| {
        let above = lines[..*at].iter().rev();
        let mut head = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        head.any(|line| *line == "#[test]")
    };
    let function = format!("fn {name}(");
    let mut functions = (0..lines.len()).filter(|at| lines[*at].starts_with(&function));
    // One of a list that a macro makes tests of, which may say more of each behind its name.
    let described = format!("{name}: \"");
    let mut listed = lines.iter();
    functions.any(|at| is_test(&at))
        || listed.any(|line| *line == name || line.starts_with(&described))
}

/// Whether this is the source of a conformance case of this name, and the table has it.
fn has_case(source: &str, name: &str) -> bool {
    let row = format!("{name} [");
    let table = read(TABLE_OF_CASES).expect("it is there");
    source.contains(&format!("fn {name}("))
        && table.lines().any(|line| line.trim().starts_with(&row))
}

fn check_code(cell: &str) -> Result<(), String> {
    let paths = quoted(cell).ok_or_else(|| format!("not paths in backticks: {cell}"))?;
    match paths.into_iter().find(|path| !exists(path)) {
        Some(path) => Err(format!("no such file: {path}")),
        None => Ok(()),
    }
}

fn check_tests(cell: &str) -> Result<(), String> {
    for group in cell.split("; ") {
        let parts = group.split_once(": ");
        let parts = parts.and_then(|(file, tests)| Some((quoted(file)?, quoted(tests)?)));
        let Some(([file], tests)) = parts.as_ref().map(|(file, tests)| (&file[..], tests)) else {
            return Err(format!("not a file with its tests: {group}"));
        };
        let source = read(file).ok_or_else(|| format!("no such file: {file}"))?;
        let is_there = |name: &str| match file.starts_with(CASES) {
            true => has_case(&source, name),
            false => has_test(&source, name),
        };
        if let Some(name) = tests.iter().find(|name| !is_there(name)) {
            return Err(format!("no such test in {file}: {name}"));
        }
    }
    Ok(())
}

fn check_row(row: &str) -> Result<(), String> {
    let cells = row
        .strip_prefix("| ")
        .and_then(|row| row.strip_suffix(" |"));
    let cells: Vec<&str> = cells
        .unwrap_or_default()
        .split(" | ")
        .map(str::trim)
        .collect();
    let [promise, code, tests] = cells[..] else {
        return Err("not three cells".into());
    };
    if promise.is_empty() {
        return Err("no promise".into());
    }
    check_code(code)?;
    check_tests(tests)
}

/// The faults of the text around the tables: paths that lead nowhere.
fn dead_paths(line: &str) -> Vec<String> {
    let ticked = line.split('`').skip(1).step_by(2);
    let is_path = |text: &&str| text.contains('/') && !text.contains([' ', ':']);
    let paths = ticked.filter(is_path).map(str::to_owned);
    let links = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let linked = links.map(|(target, _)| format!("docs/{target}"));
    let here = linked.filter(|target| !target.contains("://"));
    let here = here.map(|target| target.split('#').next().unwrap_or_default().to_owned());
    paths.chain(here).filter(|path| !exists(path)).collect()
}

/// The faults of the document, and how many rows its tables have.
fn check(document: &str) -> (Vec<String>, usize) {
    let (mut wrong, mut rows) = (Vec::new(), 0);
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with('|') {
            wrong.extend(
                dead_paths(line)
                    .into_iter()
                    .map(|path| format!("no such file: {path}")),
            );
            continue;
        }
        let heads = [line, lines.next().unwrap_or_default()];
        if heads != HEADS {
            wrong.push(format!("not the heads of a table of promises: {heads:?}"));
        }
        while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
            rows += 1;
            if let Err(why) = check_row(row) {
                wrong.push(format!("{why}\n    {row}"));
            }
        }
    }
    (wrong, rows)
}

#[test]
fn every_promise_names_code_and_tests_that_are_there() {
    let (wrong, rows) = check(&read(DOCUMENT).unwrap());
    assert!(wrong.is_empty(), "{DOCUMENT}:\n{}", wrong.join("\n"));
    assert!(rows > 30, "{rows} promises");
}

#[test]
fn a_promise_without_code_or_a_test_is_found() {
    const CODE: &str = "`src/lib.rs`";
    const TEST: &str = "`tests/formats/promises.rs`: `a_promise_without_code_or_a_test_is_found`";
    const CASE: &str =
        "`crates/conformance/src/cases/ttl.rs`: `an_entry_with_a_ttl_of_zero_is_not_saved`";
    let document = |row: &str| format!("text\n\n{}\n{}\n{row}\n", HEADS[0], HEADS[1]);
    for tests in [TEST, CASE, &format!("{TEST}; {CASE}")] {
        let (wrong, rows) = check(&document(&format!("| words | {CODE}, `src` | {tests} |")));
        assert_eq!((wrong, rows), (Vec::new(), 1));
    }
    for row in [
        format!("|  | {CODE} | {TEST} |"),
        format!("| words |  | {TEST} |"),
        format!("| words | {CODE} |  |"),
        format!("| words | {CODE} |"),
        format!("| words | src/lib.rs | {TEST} |"),
        format!("| words | {CODE} and `src` | {TEST} |"),
        format!("| words | `src/no_such_file.rs` | {TEST} |"),
        format!("| words | {CODE} | `tests/formats/no_such_file.rs`: `check` |"),
        format!("| words | {CODE} | `tests/formats/promises.rs` |"),
        format!("| words | {CODE} | {TEST}, `no_such_test` |"),
        format!("| words | {CODE} | {TEST} and others |"),
        // A function, but no test.
        format!("| words | {CODE} | `tests/formats/promises.rs`: `check` |"),
        format!("| words | {CODE} | `{CASES}ttl.rs`: `no_such_case` |"),
    ] {
        assert_eq!(check(&document(&row)).0.len(), 1, "{row}");
    }
    assert_eq!(check("| case | proof |\n| --- | --- |\n").0.len(), 1);
    for text in ["see `src/no_such_file.rs`", "see [this](no_such_file.md)"] {
        assert_eq!(check(text).0.len(), 1, "{text}");
    }
    for text in [
        "see `larder:cache/cache`",
        "see [this](promises.md#here)",
        "`a / b`",
    ] {
        assert_eq!(check(text).0, [""; 0], "{text}");
    }
}
