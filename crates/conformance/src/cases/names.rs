//! Cases about the names of caches.

use super::{live, loaded};
use crate::contract::{Error, entry, put};
use crate::{Feature, Subject};

/// The error is `invalid-name`, with a text. Nothing changes.
pub(crate) fn names_that_break_the_rules_are_refused_by_every_function(s: &dyn Subject) {
    let names = [
        "".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "/".to_owned(),
        "/etc".to_owned(),
        "../sessions".to_owned(),
        "a/b".to_owned(),
        "a/".to_owned(),
        "a\\b".to_owned(),
        "a\0b".to_owned(),
        "\0".to_owned(),
        "a\nb".to_owned(),
        "a\tb".to_owned(),
        "a\u{1f}b".to_owned(),
        "a\u{7f}b".to_owned(),
        "a\u{85}b".to_owned(),
        "a:b".to_owned(),
        "*".to_owned(),
        "a?".to_owned(),
        "a\"b".to_owned(),
        "a<b".to_owned(),
        "a>b".to_owned(),
        "a|b".to_owned(),
        ".hidden".to_owned(),
        " a".to_owned(),
        "a ".to_owned(),
        "a.".to_owned(),
        "...".to_owned(),
        " ".to_owned(),
        "x.postcard".to_owned(),
        ".postcard".to_owned(),
        "n".repeat(201),
        "n".repeat(300),
        "é".repeat(100) + "n",
        "🔑".repeat(300),
        "n".repeat(1 << 20),
    ];
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    for name in &names {
        let shown: String = name.chars().take(20).collect();
        let refused = |function: &str, outcome: Result<(), Error>| match outcome {
            Err(Error::InvalidName(reason)) => {
                assert!(
                    !reason.is_empty(),
                    "{function} of {shown:?} does not say why"
                );
            }
            other => panic!("{function} of {shown:?}: {other:?}"),
        };
        refused("load", backend.load(name).map(drop));
        refused("save", backend.save(name, &[entry("b", "2", None)]));
        refused("save of nothing", backend.save(name, &[]));
        refused("clear", backend.clear(name));
        if s.offers(Feature::Bulk) {
            refused("open-reader", backend.open_reader(name).map(drop));
            refused("open-writer", backend.open_writer(name).map(drop));
        }
        if s.offers(Feature::Updates) {
            refused("apply", backend.apply(name, &[put("b", "2", None)]));
            refused("apply of nothing", backend.apply(name, &[]));
        }
        if s.offers(Feature::Lookup) {
            refused("get-many", backend.get_many(name, &[]).map(drop));
            refused("scan", backend.scan(name, None, 1).map(drop));
        }
        if s.offers(Feature::Atomics) {
            refused("apply-if", backend.apply_if(name, &[], &[]).map(drop));
        }
        if s.offers(Feature::Inspect) {
            refused("stat", backend.stat(name).map(drop));
            refused("verify", backend.verify(name).map(drop));
        }
    }
    assert_eq!(loaded(&mut backend, "sessions"), [live("a", "1", None)]);
    if s.offers(Feature::Inspect) {
        assert_eq!(backend.list_caches().unwrap(), ["sessions"]);
    }
}

/// A backend must not have stricter rules.
pub(crate) fn unusual_names_within_the_rules_work(s: &dyn Subject) {
    let mut names = [
        "n".repeat(200),
        "é".repeat(100),
        "a".to_owned(),
        "0".to_owned(),
        "-".to_owned(),
        "-rf".to_owned(),
        "~".to_owned(),
        "$HOME".to_owned(),
        "a.b-c_d".to_owned(),
        "a..b".to_owned(),
        "a b  c".to_owned(),
        "it's; `this` & (that)".to_owned(),
        "#%!@+=,[]{}^".to_owned(),
        "postcard".to_owned(),
        "a.postcard.b".to_owned(),
        "00000000000000000001.larder".to_owned(),
        "0123456789abcdef.tmp".to_owned(),
        "lost+found".to_owned(),
        "キャッシュ🔑".to_owned(),
    ];
    names.sort();
    let mut backend = s.open();
    for name in &names {
        let entries = [entry("key", name.as_str(), None)];
        backend.save(name, &entries).unwrap();
    }
    let mut restarted = s.open();
    for name in &names {
        let expected = [live("key", name.as_str(), None)];
        assert_eq!(loaded(&mut restarted, name), expected, "cache {name:?}");
    }
    if s.offers(Feature::Inspect) {
        assert_eq!(restarted.list_caches().unwrap(), names);
    }
    for name in &names {
        backend.clear(name).unwrap();
        assert_eq!(loaded(&mut restarted, name), [], "cache {name:?}");
    }
}
