//! `larder recover`: the versions of a cache that are whole, and the way back to one.

use std::fs;

use serde_json::json;

use crate::place::{Place, objects};

#[test]
fn a_corrupt_cache_says_so_and_is_got_back_by_going_to_an_earlier_version() {
    let place = Place::new();
    place.run(&["set", "a", "k", "old"]).done();
    place.run(&["set", "a", "k", "new"]).done();
    let newest = place
        .0
        .path()
        .join("larder-data/a/00000000000000000002.larder");
    fs::write(newest, "").expect("the newest file is emptied");
    let hint = "load of cache \"a\" in larder-data: corrupt";
    let recover = "`larder recover a` lists earlier versions";
    place.run(&["load", "a"]).failed(&[hint, recover]);

    let listed = objects(&place.run(&["recover", "a", "--json"]).done());
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["version"], &listed[0]["newer_changes"]),
        (&json!(1), &json!(0))
    );
    assert!(
        place
            .run(&["recover", "a"])
            .done()
            .contains("newer changes")
    );
    place.run(&["load", "a"]).failed(&[hint]);
    let refused = "recover of cache \"a\" in larder-data: invalid argument: there is no version 2";
    place.run(&["recover", "a", "--to", "2"]).failed(&[refused]);
    assert_eq!(
        place.run(&["recover", "a", "--to", "1"]).done(),
        "cache \"a\" is at version 1 again, without 0 newer changes that could be read\n"
    );
    assert_eq!(place.run(&["get", "a", "k"]).done(), "old");
}

#[test]
fn going_back_tells_how_many_changes_it_undid() {
    let place = Place::new();
    for value in ["1", "2", "3"] {
        place.run(&["set", "a", "k", value]).done();
    }
    let done = place.run(&["recover", "a", "--to", "1", "--json"]).done();
    assert_eq!(
        objects(&done),
        [json!({"operation": "recover", "cache": "a", "version": 1, "undone_changes": 2})]
    );
    assert_eq!(place.run(&["get", "a", "k"]).done(), "1");
    // A cache that does not exist has no versions, and stays missing.
    assert_eq!(place.run(&["recover", "b", "--json"]).done(), "");
    place
        .run(&["recover", "b", "--to", "1"])
        .failed(&["there is no version 1"]);
}
