//! `larder import`: caches that the Python module pickled.

use std::fs;
use std::time::Duration;

use crate::place::{Place, by_key, entries, in_package, objects, ttl};

#[test]
fn import_stores_what_the_python_module_pickled() {
    for file in ["demo.pkl", "../../tests/data/seed/legacy.pkl"] {
        let place = Place::new();
        let told = place
            .run(&["import", "--strict", &in_package(file), "users"])
            .done();
        assert!(told.contains("500 entries, 0 expired, 0 skipped"), "{told}");
        let loaded = by_key(&place.run(&["load", "users"]).done());
        assert_eq!(loaded.len(), 500);
        for entry in loaded {
            let number: u32 = entry["key"]
                .as_str()
                .and_then(|key| key.strip_prefix("user:"))
                .and_then(|number| number.parse().ok())
                .expect("a user");
            assert_eq!(entry["value"], format!("value-{number}"));
            // Every third user was given ten years.
            let third = number.is_multiple_of(3);
            assert_eq!(entry["ttl"].is_null(), !third, "{entry}");
            if third {
                assert!(ttl(&entry) <= Duration::from_secs(315_360_000), "{entry}");
            }
        }
    }
}

#[test]
fn import_names_what_it_skips_and_strict_makes_that_an_error() {
    let place = Place::new();
    let file = in_package("../../tests/data/seed/mixed.pkl");
    let strict = place.run(&["import", "--strict", &file, "mixed"]);
    strict.failed(&[
        "import of cache \"mixed\" in larder-data: ",
        "nothing is stored",
        "skipped \"object\"",
    ]);
    assert!(!place.path("larder-data").exists());

    let told = place.run(&["import", &file, "mixed", "--json"]);
    // The command did only a part.
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(
        told.stderr.contains("skipped \"object\", which "),
        "{}",
        told.stderr
    );
    let told = objects(&told.stdout).remove(0);
    let skipped = told["skipped"].as_array().expect("a list");
    assert!(
        skipped.iter().any(|skipped| skipped["key"] == "object"),
        "{told}"
    );
    let loaded = by_key(&place.run(&["load", "mixed"]).done());
    assert_eq!(told["imported"], loaded.len());
    let by_key = |key: &str| loaded.iter().find(|entry| entry["key"] == key);
    assert_eq!(by_key("text").expect("text")["value"], "café ☃");
    assert_eq!(by_key("int").expect("a number")["value"], "42");
    assert!(by_key("object").is_none() && by_key("expired").is_none());
}

#[test]
fn import_runs_nothing_and_keeps_the_cache_where_nothing_can_be_imported() {
    let place = Place::new();
    place
        .feed(&["save", "a"], r#"{"key": "k", "value": "v"}"#)
        .done();
    for args in [
        [
            "import",
            &in_package("../../tests/data/seed/hostile.pkl"),
            "a",
        ]
        .as_slice(),
        &[
            "import",
            &in_package("../../tests/data/seed/hostile.pkl"),
            "a",
            "--strict",
        ],
    ] {
        assert_eq!(place.run(args).failed(&["hostile.pkl"]), "");
    }
    assert!(!place.path("pwned").exists());
    assert_eq!(entries(&place.run(&["load", "a"]).done()).len(), 1);
}

#[test]
fn import_reads_standard_input_in_place_of_a_file() {
    let place = Place::new();
    let read = |file: &str| fs::read(in_package(file)).expect("the file is there");
    let told = place
        .feed(&["import", "-", "users"], read("demo.pkl"))
        .done();
    assert!(told.contains("imported standard input as"), "{told}");
    assert!(told.contains("500 entries, 0 expired, 0 skipped"), "{told}");
    let loaded = entries(&place.run(&["load", "users"]).done());
    assert_eq!(loaded.len(), 500);

    let mixed = read("../../tests/data/seed/mixed.pkl");
    let told = place.feed(&["import", "-", "users", "--strict"], mixed);
    told.failed(&[
        "standard input: nothing is stored",
        "standard input: skipped \"object\"",
    ]);
    let nothing = place.feed(&["import", "-", "users"], "");
    nothing.failed(&["users", "standard input: not a readable pickle file"]);
    assert_eq!(entries(&place.run(&["load", "users"]).done()), loaded);

    // A file of that name is still within reach.
    place.write("-", read("demo.pkl"));
    place.run(&["import", "./-", "dash"]).done();
    assert_eq!(entries(&place.run(&["load", "dash"]).done()).len(), 500);
}

#[test]
fn import_names_the_format_of_a_file_that_is_no_pickle() {
    let place = Place::new();
    let files: [(&str, &[u8], &str); 4] = [
        ("cache.gz", b"\x1f\x8b\x08\0", "gzip: unpack it"),
        ("cache.z", b"x\x9c\xab\xae", "zlib: unpack it"),
        ("cache.db", b"SQLite format 3\0", "SQLite: read its rows"),
        ("cache.json", b"{\"k\": \"v\"}\n", "JSON: store its entries"),
    ];
    for (file, bytes, format) in files {
        place.write(file, bytes);
        let told = format!("{file}: not a pickle file, but {format}");
        place.run(&["import", file, "a"]).failed(&[&told]);
    }
    assert!(!place.path("larder-data").exists());
}

#[test]
fn import_refuses_what_is_no_pickled_cache() {
    let place = Place::new();
    place.write("text.pkl", "this is no pickle");
    place.write("empty.pkl", "");
    for file in ["text.pkl", "empty.pkl", "missing.pkl", "."] {
        place.run(&["import", file, "a"]).failed(&[&format!(
            "larder: import of cache \"a\" in larder-data: {file}: "
        )]);
    }
    assert!(!place.path("larder-data").exists());
}
