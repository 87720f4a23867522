//! `larder ls`, `stat` and `verify`: they look and change nothing.

use std::fs;

use serde_json::json;

use crate::place::{Place, damage, ended, entries, objects};

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
fn a_look_at_a_folder_that_does_not_exist_needs_no_temporary_folder_of_the_user() {
    let place = Place::new();
    for args in [
        ["ls"].as_slice(),
        &["load", "a"],
        &["stat", "a"],
        &["verify"],
        &["clear", "a"],
    ] {
        let mut command = place.command(args);
        command.env("TMPDIR", place.path("missing"));
        ended(command.output().expect("larder runs")).done();
    }
    assert!(!place.path("missing").exists());
}
