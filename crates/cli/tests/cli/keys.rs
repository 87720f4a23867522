//! `larder get`, `set`, `rm` and `keys`: single keys.

use serde_json::json;

use crate::place::{Place, by_key};

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_value_that_is_set_is_got_byte_for_byte_until_it_is_removed() {
    let place = Place::new();
    place.run(&["set", "a", "text", "one line"]).done();
    place
        .feed(&["set", "a", "bytes", "-"], "from\nstdin\n")
        .done();
    place.feed(&["set", "a", "from stdin"], "").done();
    place.run(&["set", "a", "hyphen", "-x"]).done();
    assert_eq!(place.run(&["get", "a", "text"]).done(), "one line");
    assert_eq!(place.run(&["get", "a", "bytes"]).done(), "from\nstdin\n");
    assert_eq!(place.run(&["get", "a", "from stdin"]).done(), "");
    assert_eq!(place.run(&["get", "a", "hyphen"]).done(), "-x");
    assert_eq!(
        place
            .run(&["rm", "a", "text", "hyphen", "never there"])
            .done(),
        "removed 3 keys from cache \"a\"\n"
    );
    let missing = "get of cache \"a\" in larder-data: the key \"text\" has no value";
    place.run(&["get", "a", "text"]).failed(&[missing]);
    assert_eq!(place.run(&["get", "a", "bytes"]).done(), "from\nstdin\n");
}

#[test]
fn a_value_that_is_set_with_a_ttl_has_one() {
    let place = Place::new();
    place.run(&["set", "a", "k", "v", "--ttl", "5d"]).done();
    let line = by_key(&place.run(&["get", "a", "k", "--json"]).done()).remove(0);
    assert_eq!((&line["key"], &line["value"]), (&json!("k"), &json!("v")));
    assert!(line["ttl"].is_string(), "{line}");
    place.run(&["set", "a", "k", "v", "--ttl", "0s"]).done();
    place.run(&["get", "a", "k"]).failed(&["has no value"]);
}

#[test]
fn keys_are_listed_once_each_and_by_their_prefix() {
    let place = Place::new();
    assert_eq!(place.run(&["keys", "a"]).done(), "");
    for key in ["user:1", "user:2", "page:1", "two\nlines"] {
        place.run(&["set", "a", key, "v"]).done();
    }
    let all = place.run(&["keys", "a"]).done();
    assert_eq!(sorted(&all), ["page:1", "two\\nlines", "user:1", "user:2"]);
    let users = place.run(&["keys", "a", "--prefix", "user:"]).done();
    assert_eq!(sorted(&users), ["user:1", "user:2"]);
    let page = place
        .run(&["keys", "a", "--prefix", "page", "--json"])
        .done();
    assert_eq!(page, "{\"key\":\"page:1\"}\n");
}

#[test]
fn a_look_at_a_key_creates_no_folder() {
    let place = Place::new();
    place.run(&["get", "a", "k"]).failed(&["has no value"]);
    place.run(&["rm", "a", "k"]).done();
    place.run(&["keys", "a"]).done();
    place.run(&["set", "a/b", "k", "v"]).failed(&["a/b"]);
    assert!(!place.path("larder-data").exists());
}
