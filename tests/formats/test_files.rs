//! No two test files have one name, and none is left out of the program that it is a part of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const WORKSPACE: &str = env!("CARGO_MANIFEST_DIR");

/// Names that say nothing by themselves: the folder does.
const HEADS: [&str; 4] = ["lib.rs", "main.rs", "mod.rs", "tests.rs"];

/// Folders that hold no source of ours.
const FOREIGN: [&str; 4] = [".git", "built", "target", "data"];

/// All Rust files in a folder and below.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for found in fs::read_dir(folder).unwrap() {
        let path = found.unwrap().path();
        let name = path.file_name().unwrap();
        if !path.is_dir() {
            files.extend((path.extension().is_some_and(|end| end == "rs")).then_some(path));
        } else if !FOREIGN.iter().any(|foreign| name == *foreign) {
            collect(&path, files);
        }
    }
}

/// The Rust files in folders named `tests`, by their paths from the top of the workspace.
fn test_files() -> Vec<PathBuf> {
    let workspace = Path::new(WORKSPACE);
    let mut files = Vec::new();
    collect(workspace, &mut files);
    let files = files
        .iter()
        .map(|file| file.strip_prefix(workspace).unwrap());
    let is_test = |file: &&Path| {
        let mut folders = file.parent().into_iter().flatten();
        folders.any(|folder| folder == "tests")
    };
    files.filter(is_test).map(Path::to_owned).collect()
}

#[test]
fn no_two_test_files_have_one_name() {
    let mut named: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in test_files() {
        let name = file.file_name().unwrap().to_str().unwrap();
        if !HEADS.contains(&name) {
            named.entry(name.to_owned()).or_default().push(file);
        }
    }
    assert!(named.len() > 30, "{} test files", named.len());
    named.retain(|_, files| files.len() > 1);
    assert_eq!(named, BTreeMap::new());
}

#[test]
fn every_test_file_is_a_module_of_a_program() {
    let files = test_files();
    let mut left_out = Vec::new();
    for file in &files {
        let folder = file.parent().unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        // A file beside `main.rs` or `mod.rs`, or a `mod.rs` below, is a module of it.
        let (module, above) = match name {
            "main" => continue,
            "mod" => (
                folder.file_name().unwrap().to_str().unwrap(),
                folder.parent().unwrap(),
            ),
            _ => (name, folder),
        };
        let heads = ["main.rs", "mod.rs"].map(|head| above.join(head));
        if let Some(head) = heads.iter().find(|head| files.contains(head)) {
            let source = fs::read_to_string(Path::new(WORKSPACE).join(head)).unwrap();
            let declared = format!("mod {module};");
            if !source
                .lines()
                .any(|line| line.trim_start_matches("pub ") == declared)
            {
                left_out.push(file);
            }
        }
    }
    assert_eq!(left_out, [""; 0].map(Path::new), "nobody runs these");
}
