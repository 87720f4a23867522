//! `larder clear`: it removes the named caches.

use crate::place::{Place, objects};

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
