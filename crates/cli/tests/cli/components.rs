//! `larder components`: the built components as files.

use std::fs;

use larder_components::{ALL, DISK};
use serde_json::json;

use crate::place::{Place, objects};

/// How every component in the binary format begins.
const MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

const NAMES: [&str; 6] = [
    "larder-cache.wasm",
    "larder-disk.wasm",
    "larder-keyvalue.wasm",
    "larder-memory.wasm",
    "larder-simple-updates.wasm",
    "larder-tiered.wasm",
];

#[test]
fn components_writes_each_component_to_a_file_in_a_new_folder() {
    let place = Place::new();
    let told = place.run(&["components", "--out", "new/folder"]).done();
    let files = fs::read_dir(place.path("new/folder")).expect("the folder was created");
    let mut names: Vec<_> = files
        .map(|file| file.expect("a file").file_name())
        .collect();
    names.sort();
    assert_eq!(names, NAMES);
    for name in NAMES {
        let bytes = fs::read(place.path("new/folder").join(name)).expect("a file");
        assert!(bytes.starts_with(MAGIC), "{name}");
        let line = format!("new/folder/{name}: {} bytes", bytes.len());
        assert!(told.lines().any(|told| told == line), "no {line} in {told}");
    }
    let disk = fs::read(place.path("new/folder/larder-disk.wasm")).expect("a file");
    assert!(disk == DISK);
}

#[test]
fn components_replaces_files_and_tells_programs_of_each() {
    let place = Place::new();
    fs::create_dir(place.path("out")).expect("a folder");
    // Longer than the component, so that a file that is only overwritten keeps the end of this one.
    place.write("out/larder-disk.wasm", vec![7; DISK.len() + 1]);
    place.write("out/other.wasm", "other");
    let told = place.run(&["components", "--out", "out", "--json"]).done();
    let expected = ALL.iter().map(|component| {
        json!({
            "operation": "components",
            "file": format!("out/{}", component.file_name()),
            "bytes": component.bytes.len(),
        })
    });
    assert_eq!(objects(&told), expected.collect::<Vec<_>>());
    let read = |name: &str| fs::read(place.path("out").join(name)).expect("a file");
    assert!(read("larder-disk.wasm") == DISK);
    assert_eq!(read("other.wasm"), b"other");
}

#[test]
fn components_in_a_folder_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    place.write("file", "");
    for folder in ["file", "file/below"] {
        let told = place.run(&["components", "--out", folder]);
        let told = told.failed(&[&format!("larder: components: {folder}: ")]);
        assert_eq!(told, "");
    }
    // A folder with the name of a file is in the way of that file alone.
    fs::create_dir_all(place.path("out/larder-disk.wasm")).expect("a folder");
    let told = place.run(&["components", "--out", "out"]);
    told.failed(&["larder: components: out/larder-disk.wasm: "]);
}
