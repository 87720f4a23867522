//! `larder demo`: it shows the whole idea, and touches no other data.

use std::fs;

use serde_json::json;

use crate::place::{Place, ended, entries, objects};

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
