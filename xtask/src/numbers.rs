//! The figures that the structure of the repository is held to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::modules::Modules;
use crate::run::{Outcome, about, workspace};

/// The most lines of a file outside tests.
const LONGEST_FILE: usize = 500;
/// The most lines of tests inside a source file.
const LONGEST_TESTS: usize = 200;
/// The most columns of a comment.
const WIDEST_COMMENT: usize = 100;

/// Prints each figure with its limit and the places that count, and fails where a limit is
/// exceeded.
pub fn print() -> Outcome {
    let files = tracked()?;
    let sources: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "rs"))
        .collect();
    let lines_with = |is_counted: fn(&str) -> bool| -> Vec<String> {
        let places = sources.iter().flat_map(|(path, text)| {
            let lines = text.lines().enumerate();
            let lines = lines.filter(|(_, line)| is_counted(line));
            lines.map(|(at, _)| format!("{}:{}", path.display(), at + 1))
        });
        places.collect()
    };

    let long = sources.iter().filter(|(path, _)| !is_test(path));
    let long = long.filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{}: {lines}", path.display()))
    });
    let tests = sources.iter().filter_map(|(path, text)| {
        let (_, tests) = text.split_once("\nmod tests {\n")?;
        let lines = tests.lines().count();
        (lines > LONGEST_TESTS).then(|| format!("{}: {lines}", path.display()))
    });
    let wide = files.iter().flat_map(|(path, text)| {
        let comment = |line: &&str| line.trim_start().starts_with("//");
        let wide = |line: &&str| line.chars().count() > WIDEST_COMMENT;
        let lines = text.lines().enumerate();
        let lines = lines.filter(move |(_, line)| comment(line) && wide(line));
        lines.map(|(at, _)| format!("{}:{}", path.display(), at + 1))
    });

    let figures = [
        (
            "`#[path]` attributes",
            3,
            lines_with(|line| line.trim_start().starts_with("#[path")),
        ),
        (
            "`impl WasiView`",
            5,
            lines_with(|line| line.starts_with("impl") && line.contains(" WasiView for ")),
        ),
        ("circles of files", 0, circles(&files)?),
        ("files above 500 lines outside tests", 0, long.collect()),
        ("inline tests above 200 lines", 0, tests.collect()),
        ("comments above 100 columns", 0, wide.collect()),
    ];
    let mut exceeded = Vec::new();
    for (what, limit, places) in figures {
        println!("{what}: {} (at most {limit})", places.len());
        for place in &places {
            println!("    {place}");
        }
        if places.len() > limit {
            exceeded.push(what);
        }
    }
    match exceeded.is_empty() {
        true => Ok(()),
        false => Err(format!("too many: {}", exceeded.join(", "))),
    }
}

/// Whether a file holds nothing but tests.
fn is_test(path: &Path) -> bool {
    let parts = path.components().map(|part| part.as_os_str());
    let mut parts = parts.filter_map(|part| part.to_str());
    parts.any(|part| matches!(part, "tests" | "tests.rs"))
}

/// The text files of the project that git tracks, by their paths.
fn tracked() -> Outcome<Vec<(PathBuf, String)>> {
    let listed = Command::new("git")
        .current_dir(workspace())
        .args(["ls-files", "--", "*.rs", "*.wit"])
        .output()
        .map_err(about(Path::new("git")))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut files = Vec::new();
    for path in listed.lines().map(PathBuf::from) {
        // The packages of WASI are as WASI publishes them.
        if path.starts_with("wit/deps") {
            continue;
        }
        // A file that was removed and not yet committed is still listed.
        if let Ok(text) = fs::read_to_string(workspace().join(&path)) {
            files.push((path, text));
        }
    }
    Ok(files)
}

/// The circles of imports between the files of one crate, each as a list of paths.
fn circles(files: &[(PathBuf, String)]) -> Outcome<Vec<String>> {
    let mut circles = Vec::new();
    for (root, _) in files {
        let is_root = root.ends_with("src/lib.rs") || root.ends_with("src/main.rs");
        if is_root {
            circles.extend(Modules::of(&workspace().join(root))?.circles());
        }
    }
    Ok(circles)
}
