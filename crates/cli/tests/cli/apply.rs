//! `larder apply`: changes to some entries.

use std::process::Child;
use std::time::Duration;

use serde_json::json;

use crate::place::{Place, by_key, ended, entries, lines, ttl};

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
    let expected = (0..8)
        .flat_map(|process| (0..50).map(move |n| (format!("{process}/{n}"), format!("value {n}"))));
    assert_eq!(loaded, expected.collect());
    place.run(&["verify", "shared"]).done();
}
