//! `larder save` and `larder load`: entries as JSON lines, in and out.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::Duration;

use serde_json::json;

use crate::place::{Place, by_key, ended, entries, in_package, lines, ttl};

#[test]
fn load_writes_what_save_read_in_any_order() {
    let place = Place::new();
    let saved = r#"{"key": "text", "value": "café ☃ \"quoted\"\nsecond line"}
{"key": "bytes", "base64": "AP+A"}

{"key": "", "value": ""}
{"key": "text as base64", "base64": "aGk="}
{"key": "twice", "value": "first"}
{"key": "twice", "value": "last"}
{"key": "never", "value": "stored", "ttl": "0s"}
"#;
    assert_eq!(
        place.feed(&["save", "things"], saved).done(),
        "saved cache \"things\" from 7 lines\n"
    );
    assert_eq!(
        by_key(&place.run(&["load", "things"]).done()),
        [
            json!({"key": "", "value": ""}),
            json!({"key": "bytes", "base64": "AP+A"}),
            json!({"key": "text", "value": "café ☃ \"quoted\"\nsecond line"}),
            json!({"key": "text as base64", "value": "hi"}),
            json!({"key": "twice", "value": "last"}),
        ]
    );
}

#[test]
fn save_replaces_what_the_cache_held() {
    let place = Place::new();
    place
        .feed(&["save", "a"], r#"{"key": "old", "value": "1"}"#)
        .done();
    place
        .feed(&["save", "a"], r#"{"key": "new", "value": "2"}"#)
        .done();
    assert_eq!(
        place.run(&["load", "a"]).done(),
        "{\"key\":\"new\",\"value\":\"2\"}\n"
    );
}

#[test]
fn an_input_without_a_line_empties_a_cache_only_if_that_is_allowed() {
    let place = Place::new();
    let entry = "{\"key\":\"k\",\"value\":\"v\"}\n";
    place.feed(&["save", "a"], entry).done();
    for empty in ["", "\n \n"] {
        place.feed(&["save", "a"], empty).failed(&["--allow-empty"]);
        place.write("empty.jsonl", empty);
        place
            .run(&["save", "a", "empty.jsonl"])
            .failed(&["--allow-empty"]);
    }
    // A closed standard input is empty too.
    place.run(&["save", "a"]).failed(&["--allow-empty"]);
    assert_eq!(place.run(&["load", "a"]).done(), entry);
    place.run(&["save", "new"]).failed(&["--allow-empty"]);
    place.feed(&["save", "a", "--allow-empty"], "").done();
    assert_eq!(place.run(&["load", "a"]).done(), "");
    place.feed(&["save", "a", "--allow-empty"], entry).done();
    assert_eq!(place.run(&["load", "a"]).done(), entry);
}

#[test]
fn a_byte_order_mark_at_the_beginning_is_skipped() {
    let place = Place::new();
    let lines = "{\"key\":\"k\",\"value\":\"v\"}\n";
    let marked = format!("\u{feff}{lines}");
    place.feed(&["save", "a"], &marked).done();
    assert_eq!(place.run(&["load", "a"]).done(), lines);
    place.feed(&["apply", "a"], &marked).done();
    place
        .feed(&["save", "a"], format!("{lines}{marked}"))
        .failed(&["line 2: "]);
}

#[test]
fn every_number_of_nanoseconds_is_a_ttl() {
    let place = Place::new();
    let written = format!("{}ns", u64::MAX);
    let line = json!({"key": "k", "value": "v", "ttl": written}).to_string();
    place.feed(&["save", "a"], line).done();
    let loaded = by_key(&place.run(&["load", "a"]).done());
    let left = ttl(&loaded[0]);
    assert!(
        left > Duration::from_nanos(u64::MAX) - Duration::from_secs(3600),
        "{left:?}"
    );
}

#[test]
fn lines_come_from_a_file_as_well() {
    let place = Place::new();
    place.write("entries.jsonl", r#"{"key": "k", "value": "v"}"#);
    place.run(&["save", "a", "entries.jsonl"]).done();
    place
        .feed(&["apply", "a", "-"], r#"{"key": "l", "value": "w"}"#)
        .done();
    assert_eq!(entries(&place.run(&["load", "a"]).done()).len(), 2);
    place
        .run(&["save", "a", "missing.jsonl"])
        .failed(&["larder: save of cache \"a\" in larder-data: missing.jsonl: "]);
}

#[test]
fn a_ttl_runs_on_to_the_nanosecond_and_is_never_longer_than_saved() {
    let place = Place::new();
    let ttls = [
        ("500000000ms", 500_000),
        ("900000s", 900_000),
        ("15000m", 900_000),
        ("2000h", 7_200_000),
        ("7d", 604_800),
        ("1w 1d 1h30m", 696_600),
    ];
    let lines = ttls.map(|(ttl, _)| json!({"key": ttl, "value": "", "ttl": ttl}).to_string());
    place.feed(&["save", "a"], lines.join("\n")).done();
    let loaded = by_key(&place.run(&["load", "a"]).done());
    assert_eq!(loaded.len(), ttls.len());
    for (written, seconds) in ttls {
        let entry = loaded
            .iter()
            .find(|entry| entry["key"] == written)
            .expect("the entry");
        let (saved, left) = (Duration::from_secs(seconds), ttl(entry));
        assert!(left < saved && left > saved / 2, "{written}: {left:?}");
    }
    // One deadline out of a thousand falls on a microsecond, and six hardly do.
    assert!(
        loaded
            .iter()
            .any(|entry| !ttl(entry).subsec_nanos().is_multiple_of(1000))
    );
}

#[test]
fn load_into_save_is_a_copy() {
    let place = Place::new();
    let saved = r#"{"key": "bytes", "base64": "AP8="}
{"key": "control \u001b[31m \u009b \u202e", "value": "\u0000\u007f", "ttl": "90d"}
{"key": "text", "value": "v"}"#;
    place.feed(&["save", "a"], saved).done();
    let mut load = place.command(&["load", "a"]).spawn().expect("larder runs");
    let mut save = place.command(&["save", "b"]);
    save.stdin(load.stdout.take().expect("a pipe"));
    ended(save.output().expect("larder runs")).done();
    assert!(load.wait().expect("larder ends").success());

    let [a, b] = ["a", "b"].map(|cache| by_key(&place.run(&["load", cache]).done()));
    assert_eq!(a.len(), 3);
    for (a, b) in a.iter().zip(&b) {
        for field in ["key", "value", "base64"] {
            assert_eq!(a[field], b[field]);
        }
        assert_eq!(a["ttl"].is_null(), b["ttl"].is_null());
    }
    // The deadlines differ only by the time that the pipe took.
    let apart = ttl(&a[1]).abs_diff(ttl(&b[1]));
    assert!(apart < Duration::from_secs(3600), "{apart:?}");
}

#[test]
fn a_line_that_is_not_acceptable_is_named_and_nothing_is_stored() {
    let bad = [
        (r#"{"key": "k"}"#, "neither \"value\" nor \"base64\""),
        (
            r#"{"key": "k", "value": "v", "base64": "dg=="}"#,
            "both \"value\" and \"base64\"",
        ),
        (r#"{"value": "v"}"#, "no \"key\""),
        (r#"{"key": "k", "base64": "?"}"#, "\"base64\": "),
        (r#"{"key": "k", "base64": "dg"}"#, "\"base64\": "),
        (
            r#"{"key": "k", "value": "v", "ttl": "soon"}"#,
            "\"soon\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "90"}"#,
            "\"90\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": ""}"#,
            "\"\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "-5s"}"#,
            "\"-5s\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "5s ago"}"#,
            "\"5s ago\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "99999999999999999999s"}"#,
            "is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "1,500ms"}"#,
            "\"1,500ms\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "10,000m"}"#,
            "\"10,000m\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "+5s"}"#,
            "\"+5s\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "-0s"}"#,
            "\"-0s\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "1:30:00"}"#,
            "\"1:30:00\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "18446744073709551616ns"}"#,
            "is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": "ns"}"#,
            "\"ns\" is not a duration",
        ),
        (
            r#"{"key": "k", "value": "v", "ttl": 90}"#,
            "\"ttl\" has to be a text such as \"90s\", not 90",
        ),
        (r#"{"key": "k", "value": 1}"#, "invalid type"),
        (
            r#"{"key": "k", "value": "v", "tll": "90s"}"#,
            "unknown field `tll`",
        ),
        (
            r#"{"key": "k", "key": "k", "value": "v"}"#,
            "duplicate field `key`",
        ),
        (
            r#"{"key": "k", "value": "v"} trailing"#,
            "trailing characters",
        ),
        (r#"{"key": "k", "value": "v""#, "at column"),
        ("[]", "a line has to be a JSON object"),
        (
            r#"["k", "v", null, null, null]"#,
            "a line has to be a JSON object",
        ),
        ("\"k\"", "a line has to be a JSON object"),
        ("k", "a line has to be a JSON object"),
    ];
    let place = Place::new();
    for verb in ["save", "apply"] {
        let also = match verb {
            "save" => (r#"{"remove": "k"}"#, "only `larder apply` takes \"remove\""),
            _ => (
                r#"{"remove": "k", "key": "k"}"#,
                "another field beside \"remove\"",
            ),
        };
        for (line, why) in bad.into_iter().chain([also]) {
            let input = format!("{{\"key\": \"good\", \"value\": \"v\"}}\n\n{line}\n");
            place.feed(&[verb, "a"], &input).failed(&[
                &format!("larder: {verb} of cache \"a\" in larder-data: standard input, line 3: "),
                why,
            ]);
            place.write("bad.jsonl", &input);
            place
                .run(&[verb, "a", "bad.jsonl"])
                .failed(&["bad.jsonl, line 3: ", why]);
        }
        place
            .feed(&[verb, "a"], b"{\"key\": \"k\", \"value\": \"\xff\"}")
            .failed(&["standard input, line 1: "]);
    }
    assert_eq!(place.run(&["ls", "--json"]).done(), "");
}

#[test]
fn a_refused_name_or_input_creates_no_folder() {
    let place = Place::new();
    let entry = r#"{"key": "k", "value": "v"}"#;
    place.write("junk", "junk");
    let pickle = in_package("../../tests/data/pickle/plain-5.pkl");
    for verb in ["save", "apply"] {
        let refused = place.feed(&[verb, "a/b"], entry);
        refused.failed(&[&format!(
            "{verb} of cache \"a/b\" in larder-data: invalid name: "
        )]);
        place.run(&[verb, "a", "junk"]).failed(&["junk, line 1: "]);
        place.run(&[verb, "a", "missing"]).failed(&["missing: "]);
    }
    place.feed(&["apply", "a"], "").done();
    place
        .run(&["import", &pickle, "a/b"])
        .failed(&["invalid name: "]);
    place.run(&["import", "junk", "a"]).failed(&["junk: "]);
    assert!(!place.path("larder-data").exists());
}

#[test]
fn more_than_a_batch_is_saved_and_loaded_whole_or_not_at_all() {
    let place = Place::new();
    let saved: BTreeMap<_, _> = (0..5000)
        .map(|n| (format!("key {n}"), format!("{n:0200}")))
        .collect();
    let input = lines(&saved);
    place.feed(&["save", "a"], &input).done();
    assert_eq!(entries(&place.run(&["load", "a"]).done()), saved);

    let refused = place.feed(&["save", "a"], [&input, "bad"].concat());
    refused.failed(&["standard input, line 5001: "]);
    place.write("bad.jsonl", [&input, "bad"].concat());
    let refused = place.run(&["save", "a", "bad.jsonl"]);
    refused.failed(&["bad.jsonl, line 5001: "]);
    assert_eq!(entries(&place.run(&["load", "a"]).done()), saved);
}

#[test]
fn processes_that_save_one_cache_at_once_leave_one_of_what_they_saved() {
    let place = Place::new();
    let saved: Vec<BTreeMap<_, _>> = (0..6)
        .map(|process| {
            (0..500)
                .map(|n| (format!("key {n}"), format!("of {process}")))
                .collect()
        })
        .collect();
    let children: Vec<Child> = saved
        .iter()
        .enumerate()
        .map(|(process, entries)| {
            let name = format!("{process}.jsonl");
            place.write(&name, lines(entries));
            place
                .command(&["save", "shared", &name])
                .spawn()
                .expect("larder runs")
        })
        .collect();
    for child in children {
        ended(child.wait_with_output().expect("larder ends")).done();
    }
    let loaded = entries(&place.run(&["load", "shared"]).done());
    assert!(saved.contains(&loaded));
    place.run(&["verify", "shared"]).done();
}
