//! The command `larder`, run as people and scripts run it: processes over real files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An empty folder in which the command runs, without settings from outside.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a file can be written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_remove("LARDER_DIR")
            .env_remove("LARDER_DURABILITY")
            .env(
                "LARDER_CODE_CACHE",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/code"),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        ended(self.command(args).output().expect("larder runs"))
    }

    fn feed(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ended {
        fed(self.command(args), input.as_ref())
    }

    /// Saves entries of a hundred bytes each, enough for several blocks.
    fn save_many(&self, cache: &str) -> BTreeMap<String, String> {
        let entries: BTreeMap<_, _> = (0..2000)
            .map(|n| (format!("key {n:04}"), format!("{n:0100}")))
            .collect();
        self.feed(&["save", cache], lines(&entries)).done();
        entries
    }
}

fn fed(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("larder runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that refuses its arguments does not read.
    let written = stdin.write_all(input);
    drop(stdin);
    let ended = ended(child.wait_with_output().expect("larder ends"));
    assert!(written.is_ok() || ended.code != 0, "{written:?}");
    ended
}

/// What a process that has ended left behind.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

fn ended(output: Output) -> Ended {
    let ended = Ended {
        code: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    };
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

impl Ended {
    /// Everything that was asked was done, and there was nothing to complain about.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (0, ""),
            "{}",
            self.stdout
        );
        self.stdout
    }

    /// Something was not done, and standard error says all of this about it.
    #[track_caller]
    fn failed(self, saying: &[&str]) -> String {
        assert_eq!(self.code, 1, "{}{}", self.stdout, self.stderr);
        for part in saying {
            assert!(self.stderr.contains(part), "no {part:?} in {}", self.stderr);
        }
        self.stdout
    }
}

fn lines(entries: &BTreeMap<String, String>) -> String {
    entries
        .iter()
        .map(|(key, value)| format!("{}\n", json!({"key": key, "value": value})))
        .collect()
}

#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// What `load` wrote, sorted by key.
#[track_caller]
fn by_key(text: &str) -> Vec<Value> {
    let mut entries = objects(text);
    entries.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    entries
}

/// Keys and values of what `load` wrote, which has to be text.
fn entries(text: &str) -> BTreeMap<String, String> {
    objects(text)
        .iter()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().expect("text").to_owned();
            (text("key"), text("value"))
        })
        .collect()
}

fn ttl(entry: &Value) -> Duration {
    let span = SpanParser::new().parse_span(entry["ttl"].as_str().expect("a ttl"));
    let ttl = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    ttl.and_then(Duration::try_from).expect("a duration")
}

/// Flips a bit in the middle of the one file of a cache.
fn damage(place: &Place, cache: &str) {
    let folder = place.path("larder-data").join(cache);
    let files: Vec<_> = fs::read_dir(folder).expect("a folder").collect();
    let [Ok(file)] = files.as_slice() else {
        panic!("not one file: {files:?}");
    };
    let mut bytes = fs::read(file.path()).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file.path(), bytes).expect("a file can be written");
}

fn seed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/seed");
    path.join(name).to_str().expect("text").to_owned()
}

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
    place.feed(&["save", "a"], "").done();
    assert_eq!(place.run(&["load", "a"]).done(), "");
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
    // The deadlines are apart by what the pipe took, and no more than that.
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
        (r#"{"key": "k", "value": "v", "ttl": 90}"#, "invalid type"),
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
        ("[]", "a line is a JSON object"),
        (r#"["k", "v", null, null, null]"#, "a line is a JSON object"),
        ("\"k\"", "a line is a JSON object"),
        ("k", "a line is a JSON object"),
    ];
    let place = Place::new();
    for verb in ["save", "apply"] {
        let also = match verb {
            "save" => (r#"{"remove": "k"}"#, "\"remove\" is for `larder apply`"),
            _ => (
                r#"{"remove": "k", "key": "k"}"#,
                "something else beside \"remove\"",
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
fn apply_changes_what_is_named_and_leaves_the_rest() {
    let place = Place::new();
    let saved = r#"{"key": "kept", "value": "1", "ttl": "5d"}
{"key": "replaced", "value": "1"}
{"key": "removed", "value": "1"}"#;
    place.feed(&["save", "a"], saved).done();
    let changes = r#"{"remove": "removed"}
{"key": "replaced", "value": "2"}
{"key": "added", "base64": "/w=="}
{"remove": "never there"}"#;
    assert_eq!(
        place.feed(&["apply", "a"], changes).done(),
        "changed cache \"a\" by 4 lines\n"
    );
    let loaded = by_key(&place.run(&["load", "a"]).done());
    assert_eq!(loaded[0], json!({"key": "added", "base64": "/w=="}));
    assert_eq!(
        (&loaded[1]["key"], &loaded[1]["value"]),
        (&json!("kept"), &json!("1"))
    );
    assert!(ttl(&loaded[1]) < Duration::from_secs(5 * 86_400));
    assert_eq!(loaded[2], json!({"key": "replaced", "value": "2"}));
    assert_eq!(loaded.len(), 3);

    let before = place.run(&["stat", "a", "--json"]).done();
    let bad = "{\"remove\": \"kept\"}\n{\"remove\": 1}";
    place.feed(&["apply", "a"], bad).failed(&["line 2"]);
    assert_eq!(place.run(&["stat", "a", "--json"]).done(), before);
}

#[test]
fn clear_removes_each_cache_that_is_named_and_no_other() {
    let place = Place::new();
    for cache in ["a", "b", "c"] {
        place
            .feed(&["save", cache], r#"{"key": "k", "value": "v"}"#)
            .done();
    }
    assert_eq!(
        place.run(&["clear", "a", "b", "not there"]).done(),
        "cleared cache \"a\"\ncleared cache \"b\"\ncleared cache \"not there\"\n"
    );
    let left = objects(&place.run(&["ls", "--json"]).done());
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["cache"], "c");
    place
        .run(&["clear", "..", "c"])
        .failed(&["larder: clear of cache \"..\" in larder-data: "]);
    assert_eq!(place.run(&["ls"]).done(), "no caches in larder-data\n");
}

#[test]
fn looking_at_a_folder_that_does_not_exist_finds_nothing_and_leaves_it_so() {
    let place = Place::new();
    for args in [
        ["load", "a"].as_slice(),
        &["load", "a", "--json"],
        &["ls"],
        &["ls", "--json"],
        &["stat", "a"],
        &["verify", "a"],
        &["verify"],
        &["clear", "a"],
    ] {
        place.run(args).done();
    }
    assert_eq!(place.run(&["load", "a"]).done(), "");
    assert_eq!(place.run(&["ls", "--json"]).done(), "");
    let stat = objects(&place.run(&["stat", "a", "--json"]).done());
    assert_eq!(
        (&stat[0]["entries"], &stat[0]["saved_at"]),
        (&json!(0), &json!(null))
    );
    // A name that is not valid anywhere is not valid here.
    place
        .run(&["load", "../a"])
        .failed(&["load of cache \"../a\" in larder-data: invalid name"]);
    assert_eq!(fs::read_dir(place.0.path()).expect("a folder").count(), 0);
}

#[test]
fn the_folder_is_the_one_named_or_that_of_the_environment() {
    let place = Place::new();
    let entry = br#"{"key": "k", "value": "v"}"#;
    let in_environment = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("LARDER_DIR", "from environment");
        command
    };
    fed(in_environment(&["save", "a"]), entry).done();
    fed(
        in_environment(&["--dir", "named/below", "save", "b"]),
        entry,
    )
    .done();
    place.feed(&["save", "c"], entry).done();
    for (dir, cache) in [
        ("from environment", "a"),
        ("named/below", "b"),
        ("larder-data", "c"),
    ] {
        assert!(place.path(dir).join(cache).is_dir(), "{dir}");
        let caches = objects(&place.run(&["--dir", dir, "ls", "--json"]).done());
        assert_eq!(caches.len(), 1);
        assert_eq!(caches[0]["cache"], cache);
    }
}

#[test]
fn ls_and_stat_tell_sizes_versions_and_ages() {
    let place = Place::new();
    place.save_many("many");
    place
        .feed(&["save", "one"], r#"{"key": "k", "value": "v"}"#)
        .done();
    place
        .feed(&["save", "one"], r#"{"key": "k", "value": "w"}"#)
        .done();

    let listed = objects(&place.run(&["ls", "--json"]).done());
    assert_eq!(
        listed,
        objects(&place.run(&["stat", "many", "one", "--json"]).done())
    );
    let [many, one] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(
        (&many["cache"], &many["entries"]),
        (&json!("many"), &json!(2000))
    );
    assert_eq!((&one["cache"], &one["entries"]), (&json!("one"), &json!(1)));
    assert!(many["bytes"].as_u64().expect("a number") > 2000 * 100);
    assert!(one["version"].as_u64() > many["version"].as_u64());
    assert_eq!(one["files"], 1);
    let saved: jiff::Timestamp = one["saved_at"]
        .as_str()
        .expect("text")
        .parse()
        .expect("a time");
    assert!(jiff::Timestamp::now().duration_since(saved).as_hours() < 1);

    for args in [["ls"].as_slice(), &["stat", "many", "one"]] {
        let table = place.run(args).done();
        let rows: Vec<Vec<_>> = table
            .lines()
            .map(|row| row.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows[0],
            ["cache", "entries", "bytes", "files", "version", "saved"]
        );
        assert_eq!(rows[1][..2], ["many", "2,000"]);
        assert_eq!(rows[2][..2], ["one", "1"]);
        assert_eq!(rows[2].last(), Some(&"ago"));
        assert_eq!(rows.len(), 3);
    }
    assert!(place.run(&["stat", "nothing"]).done().contains("never"));
}

#[test]
fn a_name_cannot_act_on_the_terminal() {
    let place = Place::new();
    let name = "a\u{202e}b";
    place
        .feed(&["save", name], r#"{"key": "k", "value": "v"}"#)
        .done();
    for args in [
        ["ls"].as_slice(),
        &["ls", "--json"],
        &["verify"],
        &["clear", name],
    ] {
        let shown = place.run(args).done();
        assert!(
            !shown.contains('\u{202e}') && shown.contains("202e"),
            "{shown}"
        );
    }
    let shown = place.run(&["load", "a\u{1b}[31m"]);
    assert!(!shown.stderr.contains('\u{1b}'));
    shown.failed(&["\\u{1b}[31m", "invalid name"]);
}

#[test]
fn a_flipped_byte_is_found_by_verify_and_load_gives_the_rest() {
    let place = Place::new();
    let saved = place.save_many("hit");
    place.save_many("whole");
    let report = objects(&place.run(&["verify", "hit", "--json"]).done()).remove(0);
    assert_eq!(
        (&report["whole"], &report["damage"]),
        (&json!(true), &json!([]))
    );
    assert!(
        place
            .run(&["verify", "hit", "whole"])
            .done()
            .contains("whole")
    );

    damage(&place, "hit");
    for args in [
        ["verify", "--json"].as_slice(),
        &["verify", "hit", "whole", "--json"],
    ] {
        let complaint = "larder: verify of cache \"hit\" in larder-data: 1 place damaged, with ";
        let reports = objects(&place.run(args).failed(&[complaint]));
        assert_eq!(
            (&reports[0]["cache"], &reports[0]["whole"]),
            (&json!("hit"), &json!(false))
        );
        assert_eq!(
            (&reports[1]["cache"], &reports[1]["whole"]),
            (&json!("whole"), &json!(true))
        );
    }
    let report = objects(&place.run(&["verify", "hit", "--json"]).failed(&[])).remove(0);
    let [hit] = report["damage"].as_array().expect("a list").as_slice() else {
        panic!("{report}");
    };
    assert_eq!(hit["part"], "block");
    let lost = hit["entries"].as_u64().expect("a number");
    assert!(lost > 0 && lost < 2000, "{lost}");
    let file = hit["file"].as_str().expect("text");
    assert!(
        place
            .path("larder-data")
            .join(file.trim_start_matches('/'))
            .is_file(),
        "{file}"
    );
    let table = place.run(&["verify", "hit"]).failed(&[]);
    assert!(table.contains(file) && table.contains("block"), "{table}");

    let complaint = format!("load of cache \"hit\" in larder-data: {lost} entries are lost");
    let loaded = entries(&place.run(&["load", "hit"]).failed(&[&complaint]));
    assert_eq!(loaded.len() as u64, 2000 - lost);
    assert!(
        loaded
            .iter()
            .all(|entry| saved.get_key_value(entry.0) == Some(entry))
    );
}

#[test]
fn import_stores_what_the_python_module_pickled() {
    for file in ["current.pkl", "legacy.pkl"] {
        let place = Place::new();
        let told = place
            .run(&["import", "--strict", &seed(file), "users"])
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
    let file = seed("mixed.pkl");
    let strict = place.run(&["import", "--strict", &file, "mixed"]);
    strict.failed(&[
        "import of cache \"mixed\" in larder-data: ",
        "nothing is stored",
        "skipped \"object\"",
    ]);
    assert!(!place.path("larder-data").exists());

    let told = place.run(&["import", &file, "mixed", "--json"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
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
        ["import", &seed("hostile.pkl"), "a"].as_slice(),
        &["import", &seed("hostile.pkl"), "a", "--strict"],
    ] {
        assert_eq!(place.run(args).failed(&["hostile.pkl"]), "");
    }
    assert!(!place.path("pwned").exists());
    assert_eq!(entries(&place.run(&["load", "a"]).done()).len(), 1);
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

#[test]
fn demo_shows_the_whole_idea_and_leaves_nothing_behind() {
    let place = Place::new();
    fs::create_dir(place.path("tmp")).expect("a folder");
    let mut command = place.command(&["demo"]);
    command
        .env("TMPDIR", place.path("tmp"))
        .env("LARDER_DIR", "mine");
    let told = ended(command.output().expect("larder runs")).done();
    for part in [
        "500 entries",
        "Restart",
        "Tomorrow",
        "expired",
        "salvages",
        "cleared",
    ] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    assert_eq!(
        fs::read_dir(place.path("tmp")).expect("a folder").count(),
        0
    );
    assert!(!place.path("mine").exists());
}

#[test]
fn demo_keeps_a_folder_that_it_is_given_and_touches_no_other_data() {
    let place = Place::new();
    let told = objects(&place.run(&["--dir", "kept", "demo", "--json"]).done()).remove(0);
    assert_eq!(
        (&told["imported"], &told["skipped"]),
        (&json!(500), &json!(0))
    );
    let [salvaged, lost] = ["salvaged", "lost"].map(|field| told[field].as_u64().expect(field));
    assert_eq!(salvaged + lost, 500);
    assert!(salvaged > 0 && lost > 0, "{told}");
    place
        .run(&["--dir", "kept/damaged", "verify"])
        .failed(&["1 place damaged"]);
    place.run(&["--dir", "kept/store", "verify"]).done();

    place
        .feed(&["save", "a"], r#"{"key": "k", "value": "v"}"#)
        .done();
    place
        .run(&["--dir", "larder-data", "demo"])
        .failed(&["larder-data", "empty folder"]);
    assert_eq!(entries(&place.run(&["load", "a"]).done()).len(), 1);
}

#[test]
fn another_component_is_run_when_it_is_named() {
    let place = Place::new();
    place.write("backend.wasm", larder_components::DISK);
    let entry = r#"{"key": "k", "value": "v"}"#;
    place
        .feed(&["--backend", "backend.wasm", "save", "a"], entry)
        .done();
    assert_eq!(entries(&place.run(&["load", "a"]).done()).len(), 1);

    place.write("no component.wasm", "this is no component");
    for file in ["no component.wasm", "missing.wasm"] {
        for args in [["save", "b"], ["load", "b"]] {
            place
                .feed(&[&["--backend", file], args.as_slice()].concat(), entry)
                .failed(&[
                    &format!("{} of cache \"b\" in larder-data: ", args[0]),
                    file,
                ]);
        }
    }
    assert!(!place.path("larder-data/b").exists());
}

#[test]
fn a_component_is_compiled_once_and_kept_for_its_user_unless_that_is_turned_off() {
    let place = Place::new();
    let run = |name: &str, value: &str| {
        let mut command = place.command(&["ls", "--json"]);
        command
            .env_remove("LARDER_CODE_CACHE")
            .env("HOME", place.path("home"));
        command.env_remove("XDG_CACHE_HOME").env(name, value);
        ended(command.output().expect("larder runs")).done();
    };
    let files = |folder: &str| match fs::read_dir(place.path(folder)) {
        Ok(files) => files.count(),
        Err(_) => 0,
    };
    run("LARDER_CODE_CACHE", "");
    assert!(!place.path("home").exists());
    for _ in 0..2 {
        run("LARDER_CODE_CACHE", "code");
        assert_eq!(files("code"), 1);
    }
    let caches = place.path("caches");
    run("XDG_CACHE_HOME", caches.to_str().expect("text"));
    assert_eq!(files("caches/larder"), 1);
    assert!(!place.path("home").exists());
    // What is not a path from the root does not count there.
    run("XDG_CACHE_HOME", "caches");
    assert_eq!(files("home/.cache/larder"), 1);
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
fn durability_is_a_setting_of_the_command_and_of_the_environment() {
    let place = Place::new();
    let entry = br#"{"key": "k", "value": "v"}"#;
    for level in ["full", "atomic"] {
        place
            .feed(&["--durability", level, "save", "a"], entry)
            .done();
        let mut command = place.command(&["save", "a"]);
        command.env("LARDER_DURABILITY", level);
        fed(command, entry).done();
    }
    let with_bad_environment = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("LARDER_DURABILITY", "sometimes");
        fed(command, entry)
    };
    with_bad_environment(&["save", "b"]).failed(&["LARDER_DURABILITY", "sometimes"]);
    with_bad_environment(&["save", "b", "--durability", "full"]).done();
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_nothing_is_lost() {
    let place = Place::new();
    place.write("file", "");
    let entry = r#"{"key": "k", "value": "v"}"#;
    for dir in ["file", "file/below"] {
        place
            .feed(&["--dir", dir, "save", "a"], entry)
            .failed(&[&format!("larder: save of cache \"a\" in {dir}: ")]);
    }
    place
        .run(&["--dir", "file", "load", "a"])
        .failed(&["load of cache \"a\" in file: "]);

    place.feed(&["save", "a"], entry).done();
    let read_only = place.path("larder-data");
    let permissions = |writable: bool| {
        for folder in [read_only.join("a"), read_only.clone()] {
            let mut permissions = fs::metadata(&folder).expect("a folder").permissions();
            permissions.set_readonly(!writable);
            fs::set_permissions(&folder, permissions).expect("permissions can be set");
        }
    };
    permissions(false);
    if fs::write(read_only.join("probe"), "").is_ok() {
        eprintln!("skipped the rest: this user may write to read-only folders, as root may");
        return permissions(true);
    }
    let refused = place.feed(&["save", "a"], r#"{"key": "other", "value": "v"}"#);
    let loaded = place.run(&["load", "a"]);
    permissions(true);
    refused.failed(&["save of cache \"a\" in larder-data: access denied"]);
    assert!(entries(&loaded.done()).contains_key("k"));
}

#[test]
fn processes_that_apply_to_one_cache_at_once_all_take_effect() {
    let place = Place::new();
    let children: Vec<Child> = (0..8)
        .map(|process| {
            let name = format!("{process}.jsonl");
            let entries = (0..50).map(|n| (format!("{process}/{n}"), format!("value {n}")));
            place.write(&name, lines(&entries.collect()));
            place
                .command(&["apply", "shared", &name])
                .spawn()
                .expect("larder runs")
        })
        .collect();
    for child in children {
        ended(child.wait_with_output().expect("larder ends")).done();
    }
    let loaded = entries(&place.run(&["load", "shared"]).done());
    let expected: BTreeSet<_> = (0..8)
        .flat_map(|process| (0..50).map(move |n| format!("{process}/{n}")))
        .collect();
    assert_eq!(loaded.into_keys().collect::<BTreeSet<_>>(), expected);
    place.run(&["verify", "shared"]).done();
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

#[test]
fn a_reader_that_stops_early_is_no_error_to_shout_about() {
    let place = Place::new();
    // Far more than a pipe holds.
    let entries = (0..20).map(|n| (format!("{n}"), "x".repeat(100_000)));
    place
        .feed(&["save", "big"], lines(&entries.collect()))
        .done();
    let mut load = place
        .command(&["load", "big"])
        .spawn()
        .expect("larder runs");
    let mut line = String::new();
    BufReader::new(load.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    assert!(line.starts_with('{'));
    let mut complaints = String::new();
    let mut stderr = load.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut complaints).expect("text");
    assert_eq!(complaints, "");
    assert_eq!(load.wait().expect("larder ends").code(), Some(1));
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    place
        .feed(&["save", "a"], r#"{"key": "k", "value": "v"}"#)
        .done();
    for args in [["load", "a"].as_slice(), &["ls"], &["ls", "--json"]] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("a full device");
        let output = place
            .command(args)
            .stdout(full)
            .output()
            .expect("larder runs");
        ended(output).failed(&["larder: standard output: "]);
    }
}

#[test]
fn a_command_line_that_cannot_be_understood_is_told_apart() {
    let place = Place::new();
    for args in [
        [].as_slice(),
        &["sav", "a"],
        &["save"],
        &["stat"],
        &["clear"],
        &["load", "a", "b"],
        &["load", "a", "--durability", "some"],
        &["--dir"],
    ] {
        let refused = place.run(args);
        assert_eq!(refused.code, 2, "{args:?}");
        assert!(
            refused.stderr.contains("--help"),
            "{args:?}: {}",
            refused.stderr
        );
    }
    assert!(
        place.run(&["sav", "a"]).stderr.contains("save"),
        "a suggestion"
    );
}

#[test]
fn every_verb_is_documented_with_an_example() {
    let place = Place::new();
    let help = place.run(&["--help"]).done();
    assert!(help.contains("Exit codes"));
    let verbs = [
        "save",
        "load",
        "apply",
        "clear",
        "ls",
        "stat",
        "verify",
        "import",
        "conformance",
        "demo",
    ];
    for verb in verbs {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(verb)),
            "{verb}"
        );
        let help = place.run(&[verb, "--help"]).done();
        assert!(help.contains(&format!("Usage: larder {verb}")), "{help}");
        let (_, example) = help.split_once("Example").expect("an example");
        assert!(example.contains("larder "), "{help}");
    }
}
