//! The promises of `larder_pickle` about the cache files of the Python module.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use larder_fuzz_checks::import::{check, check_bounds};
use larder_pickle::{Entry, Import, PickleError, read};
use proptest::prelude::*;

const PROTOCOLS: [u8; 6] = [0, 1, 2, 3, 4, 5];

/// The `save_time` of the files in `tests/data/pickle`.
const SAVE_TIME: f64 = 1_700_000_000.25;

/// The bytes of a file, by its path in the repository.
fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn at(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

fn import(bytes: &[u8], now: SystemTime) -> Import {
    read(bytes, now).expect("the file is a pickled cache")
}

fn error(bytes: &[u8]) -> String {
    read(bytes, at(SAVE_TIME))
        .expect_err("the file is no pickled cache")
        .to_string()
}

fn entry(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Entry {
    Entry {
        key: key.into(),
        value: value.as_ref().to_vec(),
        ttl,
    }
}

fn skipped(import: &Import) -> Vec<(&str, &str)> {
    let skipped = import.skipped.iter();
    skipped
        .map(|skipped| (&*skipped.key, &*skipped.reason))
        .collect()
}

/// A cache with the one key `k` and this value, without a save_time.
fn cache_of(value: &[u8]) -> Vec<u8> {
    [b"}U\x01k", value, b"N\x86s."].concat()
}

/// The imported value of the only entry of a cache, or the reason why it is skipped.
fn value_of(value: &[u8]) -> Result<String, String> {
    let import = import(&cache_of(value), at(SAVE_TIME));
    match (&*import.entries, &*import.skipped) {
        ([entry], []) => Ok(String::from_utf8_lossy(&entry.value).into()),
        ([], [skipped]) => Err(skipped.reason.clone()),
        _ => panic!("one entry became {import:?}"),
    }
}

/// The imported entries of `plain()` in `generate.py`, when `waited` has passed since the save.
fn plain(waited: Duration) -> Vec<Entry> {
    let long_bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
    let values: [(&str, &[u8]); 39] = [
        ("text", "caf\u{e9} \u{2603} \u{1f600}".as_bytes()),
        ("empty text", b""),
        ("escapes", b"a\\u0041\n\r\t\"\x00\x1a\x7f\\"),
        ("long text", &b"0123456789".repeat(30)),
        ("bytes", b"\x00\xff\n'\\"),
        ("empty bytes", b""),
        ("long bytes", &long_bytes),
        ("bytearray", b"\x80abc"),
        ("empty bytearray", b""),
        ("none", b"null"),
        ("yes", b"true"),
        ("no", b"false"),
        ("ints", b"[0,1,-1,255,256,65535,65536,-2147483648,2147483648,9223372036854775807,9223372036854775808,-9223372036854775808,-9223372036854775809]"),
        ("floats", b"[0.0,-0.0,1.5,-2.25,0.1,1e16,1e-7,1.7976931348623157e308,5e-324]"),
        ("list", br#"[1,"two",{"base64":"Mw=="},[],[[4]]]"#),
        ("tuples", b"[[],[1],[1,2],[1,2,3],[1,2,3,4]]"),
        ("set", b"[7]"),
        ("empty set", b"[]"),
        ("frozenset", b"[8]"),
        ("dict", br#"{"a":{"b":[1,2]},"1":"int","null":"none","[1,\"x\"]":"tuple","{\"base64\":\"aw==\"}":"bytes","2.5":"float"}"#),
        ("empty dict", b"{}"),
        ("ordered dict", br#"{"z":1,"a":2}"#),
        ("default dict", br#"{"a":[1]}"#),
        ("default dict without a factory", br#"{"a":1}"#),
        ("default dict of the user's factory", br#"{"a":1}"#),
        ("counter", br#"{"a":2,"b":1}"#),
        ("deque", b"[1,2]"),
        ("bounded deque", b"[3]"),
        ("nested bytes", br#"{"list":[{"base64":"AQ=="},{"base64":"Ag=="}]}"#),
        ("shared", br#"[[1,2],[1,2],{"again":[1,2]}]"#),
        ("quotes", "[\"\\\"\",\"\\\\\",\"\\n\",\"\\u0001\",\"\u{2028}\"]".as_bytes()),
        ("99", b"int key"),
        ("-1180591620717411303424", b"big key"),
        ("1.5", b"float key"),
        ("null", b"none key"),
        ("true", b"bool key"),
        (r#"["compound",7]"#, b"tuple key"),
        (r#"{"base64":"cmF3"}"#, b"bytes key"),
        ("[3]", b"frozenset key"),
    ];
    let mut entries: Vec<_> = values.map(|(key, value)| entry(key, value, None)).into();
    entries.push(entry("", "empty key", None));
    let ttls = [
        ("ttl", "short", 60_500),
        ("int ttl", "hour", 3_600_000),
        ("long ttl", "century", 3_153_600_000_000),
        ("list pair", "listed", 60_500),
        ("deque pair", "queued", 60_500),
        ("named pair", "named", 60_500),
    ];
    for (key, value, milliseconds) in ttls {
        let left = Duration::from_millis(milliseconds) - waited;
        entries.push(entry(key, value, Some(left)));
    }
    entries
}

#[test]
fn every_protocol_gives_the_same_entries() {
    for protocol in PROTOCOLS {
        let waited = Duration::from_millis(2_250);
        let current = import(
            &file(&format!("tests/data/pickle/plain-{protocol}.pkl")),
            at(SAVE_TIME) + waited,
        );
        let legacy = import(
            &file(&format!("tests/data/pickle/legacy-{protocol}.pkl")),
            at(SAVE_TIME) + waited,
        );
        for (mut import, waited) in [(current, waited), (legacy, Duration::ZERO)] {
            // 2^4096 - 1 is the widest integer that is written out, and too long to stand here.
            let wide = import
                .entries
                .iter()
                .position(|entry| entry.key == "4096 bits");
            let digits = import.entries.remove(wide.expect("it is there")).value;
            assert_eq!(digits.len(), 1234, "protocol {protocol}");
            assert!(digits.starts_with(
                b"10443888814131525066917527107166243825799642490473837803842334832839"
            ));
            assert!(digits.ends_with(b"36090243804708340403154190335"));

            assert_eq!(import.entries, plain(waited), "protocol {protocol}");
            assert_eq!(import.expired, 1, "protocol {protocol}");
            assert_eq!(import.skipped, [], "protocol {protocol}");
        }
    }
}

#[test]
fn a_file_of_the_python_module_keeps_its_ttls_running() {
    let saved = 1_795_353_224.740_218_2;
    let year = Duration::from_secs(365 * 86400);
    let expected = |left: Duration| -> Vec<Entry> {
        let entry = |number| {
            let ttl = (number % 3 == 0).then_some(left);
            entry(&format!("user:{number}"), format!("value-{number}"), ttl)
        };
        (0..500).map(entry).collect()
    };

    let fresh = import(&file("crates/cli/demo.pkl"), at(saved));
    assert_eq!(fresh.entries, expected(10 * year));
    let later = import(&file("crates/cli/demo.pkl"), at(saved) + year);
    assert_eq!(later.entries, expected(9 * year));
    let expired = import(&file("crates/cli/demo.pkl"), at(saved) + 10 * year);
    assert_eq!((expired.entries.len(), expired.expired), (333, 167));
    for import in [fresh, later, expired] {
        assert_eq!(import.skipped, []);
    }
}

#[test]
fn a_file_without_a_save_time_starts_its_ttls_now() {
    for now in [0.0, SAVE_TIME, 4e9] {
        let import = import(&file("tests/data/seed/legacy.pkl"), at(now));
        assert_eq!((import.entries.len(), import.expired), (500, 0));
        assert_eq!(import.skipped, []);
        let ten_years = Some(Duration::from_secs(315_360_000));
        assert_eq!(import.entries[0], entry("user:0", "value-0", ten_years));
        assert_eq!(import.entries[499], entry("user:499", "value-499", None));
    }
}

#[test]
fn every_kind_of_entry_in_one_file_comes_out_right() {
    let import = import(
        &file("tests/data/seed/mixed.pkl"),
        at(1_795_353_224.741_275_5) + Duration::from_secs(20),
    );
    let expected = [
        entry("text", "caf\u{e9} \u{2603}", None),
        entry("bytes", b"\x00\xff", Some(Duration::from_secs(40))),
        entry("int", "42", None),
        entry("big", "1208925819614629174706176", None),
        entry("float", "1.5", None),
        entry("none", "null", None),
        entry("bool", "true", None),
        entry("list", r#"[1,"two",{"base64":"Mw=="}]"#, None),
        entry(
            "dict",
            r#"{"a":{"b":[1,2]}}"#,
            Some(Duration::from_secs(100)),
        ),
        entry("tuple", "[1,2]", None),
        entry("set", "[1,2,3]", None),
        entry(r#"["compound",7]"#, "tuple key", None),
        entry("99", "int key", None),
        entry(r#"{"base64":"cmF3"}"#, "bytes key", None),
        entry("inf", "forever", None),
    ];
    assert_eq!(import.entries, expected);
    assert_eq!(import.expired, 1);
    let reason = "holds a Python object (__main__.Opaque), which is not plain data";
    assert_eq!(skipped(&import), [("object", reason)]);
}

#[test]
fn a_call_in_a_file_is_reported_and_not_run() {
    let import = import(&file("tests/data/seed/hostile.pkl"), at(1_795_353_225.0));
    assert_eq!(import.entries, []);
    assert_eq!(import.expired, 0);
    let reason = "would have Python call posix.system, which was not run";
    assert_eq!(skipped(&import), [("x", reason)]);
    assert!(!Path::new("pwned").exists(), "the file's command ran");
}

#[test]
fn python_objects_are_skipped_by_name_and_the_rest_is_kept() {
    for protocol in PROTOCOLS {
        let import = import(
            &file(&format!("tests/data/pickle/objects-{protocol}.pkl")),
            at(SAVE_TIME),
        );
        assert_eq!(
            import.entries,
            [entry("plain", "kept", None)],
            "protocol {protocol}"
        );
        // Protocols before 3 use the names of Python 2.
        let (builtins, range, error) = match protocol {
            0..=2 => ("__builtin__", "xrange", "exceptions"),
            _ => ("builtins", "range", "builtins"),
        };
        let (array, user_dict) = match protocol {
            0..=2 => ("array.array", "UserDict.IterableUserDict"),
            _ => ("array._array_reconstructor", "collections.UserDict"),
        };
        let call = |name: &str| format!("would have Python call {name}, which was not run");
        let object =
            |name: &str| format!("holds a Python object ({name}), which is not plain data");
        let expected = [
            ("instance", object("__main__.Session")),
            ("enum", call("__main__.Colour")),
            ("dict subclass", object("__main__.Counted")),
            ("datetime", call("datetime.datetime")),
            ("decimal", call("decimal.Decimal")),
            ("uuid", object("uuid.UUID")),
            ("complex", call(&format!("{builtins}.complex"))),
            ("range", call(&format!("{builtins}.{range}"))),
            ("class", object("__main__.Session")),
            ("function", object("posixpath.join")),
            ("builtin", object(&format!("{builtins}.len"))),
            ("method", call(&format!("{builtins}.getattr"))),
            ("partial", call("functools.partial")),
            ("default dict", call("collections.defaultdict")),
            ("named tuple", object("__main__.Point")),
            ("array", call(array)),
            ("user dict", object(user_dict)),
            ("exception", call(&format!("{error}.ValueError"))),
            ("ellipsis", object(&format!("{builtins}.Ellipsis"))),
            ("command", call("posix.system")),
            ("inside", object("__main__.Session")),
            (
                "item 22",
                format!("has a key that {}", call("datetime.date")),
            ),
            (
                "item 23",
                format!("has a key that {}", call("decimal.Decimal")),
            ),
            ("object pair", object("__main__.Session")),
            ("named pair", object("__main__.Session")),
        ];
        let expected = expected
            .each_ref()
            .map(|(key, reason)| (*key, reason.as_str()));
        assert_eq!(skipped(&import), expected, "protocol {protocol}");
    }
}

#[test]
fn what_cannot_be_represented_is_skipped_with_a_reason() {
    for protocol in [0, 5] {
        let import = import(
            &file(&format!("tests/data/pickle/awkward-{protocol}.pkl")),
            at(SAVE_TIME),
        );
        let longest = Some(Duration::from_nanos(u64::MAX));
        let expected = [
            entry("128 levels", "[".repeat(128) + &"]".repeat(128), None),
            entry("after the bomb", "kept", None),
            entry("99", "first", None),
            entry("[1,2]", "tuple", None),
            entry("ttl inf", "value", None),
            entry("ttl 1e300", "value", longest),
            entry("ttl 10**400", "value", longest),
            entry("ttl 10**11", "value", longest),
            entry("ttl 1e-9", "value", Some(Duration::from_nanos(1))),
        ];
        assert_eq!(import.entries, expected, "protocol {protocol}");
        assert_eq!(import.expired, 8, "protocol {protocol}");
        let expected = [
            ("list of itself", "holds something that contains itself"),
            ("tuple of itself", "holds something that contains itself"),
            ("dict of itself", "holds something that contains itself"),
            ("129 levels", "is nested too deeply"),
            ("400 levels", "is nested too deeply"),
            ("bomb", "would be far larger than the file that it is in"),
            ("nan", "holds NaN, for which JSON has no number"),
            ("inf", "holds inf, for which JSON has no number"),
            ("4097 bits", "holds an integer that is too large"),
            ("surrogate", "holds text that is not valid Unicode"),
            ("surrogate inside", "holds text that is not valid Unicode"),
            (
                "item 14",
                "has a key that holds text that is not valid Unicode",
            ),
            (
                "99",
                "has a key that is written like an earlier, different key",
            ),
            (
                "[1,2]",
                "has a key that is written like an earlier, different key",
            ),
            (
                "clash inside",
                "holds a dict with different keys that are written alike",
            ),
            ("no pair", "is not a pair of value and ttl"),
            ("set of two", "is not a pair of value and ttl"),
            ("frozenset of two", "is not a pair of value and ttl"),
            ("dict of two", "is not a pair of value and ttl"),
            ("single", "is not a pair of value and ttl"),
            ("triple", "is not a pair of value and ttl"),
            (
                "named triple",
                "holds a Python object (__main__.Triple), which is not plain data",
            ),
            ("ttl nan", "has a ttl that is not a number"),
            ("ttl bool", "has a ttl that is not a number"),
            ("ttl text", "has a ttl that is not a number"),
            ("ttl object", "has a ttl that is not a number"),
        ];
        assert_eq!(skipped(&import), expected, "protocol {protocol}");
    }
}

#[test]
fn the_last_value_of_a_key_counts() {
    let twice = b"}(X\x01\0\0\0aK\x01N\x86X\x01\0\0\0bK\x02N\x86X\x01\0\0\0aK\x03N\x86u.";
    let import = import(twice, at(SAVE_TIME));
    assert_eq!(
        import.entries,
        [entry("a", "3", None), entry("b", "2", None)]
    );
    assert_eq!(import.skipped, []);
    // The same holds inside a value, and for the payload itself.
    assert_eq!(
        value_of(b"}(K\x05K\x01K\x05K\x02u"),
        Ok(r#"{"5":2}"#.into())
    );
    let payload = b"}(U\x09save_timeNU\x07entriesNU\x07entries}U\x09save_timeK\x00u.";
    assert_eq!(read(payload, at(SAVE_TIME)), Ok(Import::default()));
}

#[test]
fn strings_of_python_2_are_text_where_they_can_be() {
    assert_eq!(
        value_of(b"](S'caf\\xc3\\xa9\\t\\'\"\\\\'\nU\x02\xc3\xa9T\x01\0\0\0xe"),
        Ok(r#"["café\t'\"\\","é","x"]"#.into())
    );
    assert_eq!(
        value_of(b"](S\"\\xff'\"\nU\x01\xffT\x01\0\0\0\xffe"),
        Ok(r#"[{"base64":"/yc="},{"base64":"/w=="},{"base64":"/w=="}]"#.into())
    );
}

#[test]
fn containers_of_every_python_are_read() {
    let values: [(&[u8], &str); 13] = [
        // An OrderedDict of Python 2, in the protocols 0 to 2, and an empty one.
        (
            b"ccollections\nOrderedDict\np5\n((lp6\n(lp7\nS'z'\np8\naI1\naa(lp9\nS'a'\naI2\naatp10\nRp11\n",
            r#"{"z":1,"a":2}"#,
        ),
        (
            b"ccollections\nOrderedDict\nq\x05(]q\x06(]q\x07(U\x01zK\x01e]q\x08(U\x01aK\x02eetq\x09Rq\x0a",
            r#"{"z":1,"a":2}"#,
        ),
        (
            b"ccollections\nOrderedDict\nq\x05]q\x06(]q\x07(U\x01zK\x01e]q\x08(U\x01aK\x02ee\x85q\x09Rq\x0a",
            r#"{"z":1,"a":2}"#,
        ),
        (b"ccollections\nOrderedDict\n]\x85R", "{}"),
        // One that holds another, and sets a key twice.
        (
            b"ccollections\nOrderedDict\n]](K\x01ccollections\nOrderedDict\n](](K\x02K\x03e](K\x02K\x04ee\x85Rea\x85R",
            r#"{"1":{"2":4}}"#,
        ),
        (
            b"ccollections\nOrderedDict\n](K\x01K\x02\x86K\x03K\x04\x86e\x85R",
            r#"{"1":2,"3":4}"#,
        ),
        (
            b"ccollections\ndefaultdict\nc__builtin__\nint\n\x85RK\x01K\x02s",
            r#"{"1":2}"#,
        ),
        (b"ccollections\ndefaultdict\nN\x85RK\x01K\x02s", r#"{"1":2}"#),
        (b"ccollections\nCounter\n)RK\x01K\x02s", r#"{"1":2}"#),
        // A deque of Python 2, which has its items as a list.
        (b"ccollections\ndeque\n](K\x01K\x02e\x85R", "[1,2]"),
        (b"ccollections\ndeque\n](K\x01K\x02eK\x05\x86R", "[1,2]"),
        (b"ccollections\ndeque\n](K\x01K\x02eN\x86R", "[1,2]"),
        (b"ccollections\ndeque\n)K\x05\x86R(K\x01K\x02e", "[1,2]"),
    ];
    for (value, expected) in values {
        let name = value.escape_ascii().to_string();
        assert_eq!(value_of(value), Ok(expected.into()), "{name}");
    }
}

#[test]
fn a_payload_may_be_any_dict_of_the_standard_library() {
    let item = b"U\x01kU\x01vN\x86";
    let ordered = b"ccollections\nOrderedDict\n".as_slice();
    let payloads: [&[&[u8]]; 5] = [
        &[ordered, b")R", item, b"s"],
        &[ordered, b"]](", item, b"ea\x85R"],
        &[b"ccollections\ndefaultdict\n)R", item, b"s"],
        &[
            b"ccollections\ndefaultdict\nc__builtin__\ntuple\n\x85R",
            item,
            b"s",
        ],
        &[b"ccollections\nCounter\n}", item, b"s\x85R"],
    ];
    for payload in payloads.map(<[_]>::concat) {
        let saved = [b"}(U\x09save_timeK\x01U\x07entries", &*payload, b"u"].concat();
        for payload in [payload, saved] {
            let import = import(&[payload, b".".into()].concat(), at(SAVE_TIME));
            assert_eq!(import.entries, [entry("k", "v", None)]);
            assert_eq!(import.skipped, []);
        }
    }
}

#[test]
fn a_call_that_only_looks_like_a_container_is_reported_and_not_run() {
    let call = |name: &str| format!("would have Python call {name}, which was not run");
    let values: [(&[u8], String); 10] = [
        (
            b"ccollections\nOrderedDict\n](K\x01K\x02e\x85R",
            "holds an OrderedDict whose items are not pairs".into(),
        ),
        (
            b"ccollections\nOrderedDict\n]](K\x01K\x02K\x03ea\x85R",
            "holds an OrderedDict whose items are not pairs".into(),
        ),
        // A list that is an item of itself.
        (
            b"ccollections\nOrderedDict\n]q\x01(h\x01h\x01e\x85R",
            "holds an OrderedDict whose items are not pairs".into(),
        ),
        (
            b"ccollections\nOrderedDict\nK\x01\x85R",
            call("collections.OrderedDict"),
        ),
        (
            b"ccollections\nCounter\n]\x85R",
            call("collections.Counter"),
        ),
        (
            b"ccollections\ndefaultdict\ncposix\nsystem\n(S'touch pwned'\ntR\x85R",
            call("collections.defaultdict"),
        ),
        (
            b"ccollections\ndefaultdict\nc__builtin__\nint\n}\x86R",
            call("collections.defaultdict"),
        ),
        (b"ccollections\ndeque\n}\x85R", call("collections.deque")),
        (
            b"ccollections\ndeque\n]U\x01x\x86R",
            call("collections.deque"),
        ),
        (b"capp\nOrderedDict\n)R", call("app.OrderedDict")),
    ];
    for (value, reason) in values {
        let name = value.escape_ascii().to_string();
        assert_eq!(value_of(value), Err(reason), "{name}");
    }
}

#[test]
fn a_pair_is_a_tuple_a_list_or_a_namedtuple() {
    let of_pair = |pair: &[u8]| {
        let import = import(&[b"}U\x01k", pair, b"s."].concat(), at(SAVE_TIME));
        match (&*import.entries, &*import.skipped) {
            ([entry], []) => Ok((entry.value.clone(), entry.ttl)),
            ([], [skipped]) => Err(skipped.reason.clone()),
            _ => panic!("one entry became {import:?}"),
        }
    };
    let pairs: [&[u8]; 7] = [
        b"U\x01vK\x07\x86",
        b"](U\x01vK\x07e",
        b"(lp0\nS'v'\naI7\na",
        b"capp\nPair\nU\x01vK\x07\x86\x81",
        b"ccopy_reg\n_reconstructor\n(capp\nPair\nc__builtin__\ntuple\n(U\x01vK\x07ttR",
        b"ccopyreg\n_reconstructor\n(capp\nPair\ncbuiltins\ntuple\n(U\x01vK\x07ttR",
        b"ccollections\ndeque\n)R(U\x01vK\x07e",
    ];
    for pair in pairs {
        let expected = Ok((b"v".to_vec(), Some(Duration::from_secs(7))));
        assert_eq!(of_pair(pair), expected, "{}", pair.escape_ascii());
    }

    let object = "holds a Python object (app.Pair), which is not plain data";
    let not_run = "would have Python call app.Pair, which was not run";
    let others: [(&[u8], &str); 8] = [
        (b"capp\nPair\n)\x81", object),
        (b"capp\nPair\nU\x01v\x85\x81", object),
        (b"capp\nPair\nU\x01vK\x07\x86}\x92", object),
        (b"capp\nPair\nU\x01vK\x07\x86\x81}U\x01aNsb", object),
        (
            b"ccopy_reg\n_reconstructor\n(capp\nPair\nc__builtin__\nobject\n(U\x01vK\x07ttR",
            object,
        ),
        (b"capp\nPair\nU\x01vK\x07\x86R", not_run),
        (b"capp\nPair\n)RU\x01vK\x07\x86\x81", object),
        (b"\x8f(U\x01vK\x07\x90", "is not a pair of value and ttl"),
    ];
    for (pair, reason) in others {
        assert_eq!(of_pair(pair), Err(reason.into()), "{}", pair.escape_ascii());
    }
}

#[test]
fn forms_that_python_writes_only_for_huge_or_odd_data_are_read() {
    let values: [(&[u8], &str); 9] = [
        (b"\x8d\x02\0\0\0\0\0\0\0hi", "hi"),
        (b"\x8e\x02\0\0\0\0\0\0\0hi", "hi"),
        (b"\x8b\x02\0\0\0\x00\xff", "-256"),
        (b"L12L\n", "12"),
        (b"I-12\n", "-12"),
        (b"K\x07r\x00\x00\x01\x000j\x00\x00\x01\x002\x86", "[7,7]"),
        (b"K\x07(K\x08K\x091", "7"),
        (b"((K\x081K\x071K\x06", "6"),
        (
            b"cbuiltins\nbytearray\n(U\x04\xc3\xa9abU\x07latin-1tR",
            "\u{fffd}ab",
        ),
    ];
    for (value, expected) in values {
        assert_eq!(
            value_of(value),
            Ok(expected.into()),
            "{}",
            value.escape_ascii()
        );
    }
}

#[test]
fn what_no_file_can_hold_is_skipped_however_it_is_written() {
    let values: [(&[u8], &str); 13] = [
        (
            b"(capp\nSession\nK\x01o",
            "holds a Python object (app.Session), which is not plain data",
        ),
        (
            b"(K\x01iapp\nSession\n",
            "holds a Python object (app.Session), which is not plain data",
        ),
        (
            b"capp\nSession\n)}\x92",
            "holds a Python object (app.Session), which is not plain data",
        ),
        (
            b"capp\nmake\n)R)R}b",
            "would have Python call app.make, which was not run",
        ),
        (
            b"K\x01)R",
            "would have Python call an unnamed object, which was not run",
        ),
        (
            b"capp\n\x1b[2J\n",
            "holds a Python object (app.\\u{1b}[2J), which is not plain data",
        ),
        (b"]}b", "holds a Python object with attributes"),
        (b"Pid\n", "holds a reference to an object outside the file"),
        (b"K\x01Q", "holds a reference to an object outside the file"),
        (
            b"\x82\x01",
            "holds an object of Python's extension registry",
        ),
        (
            b"\x84\x01\0\0\0",
            "holds an object of Python's extension registry",
        ),
        (b"\x97\x98", "holds a buffer that is outside the file"),
        (
            b"c_codecs\nencode\n(X\x03\0\0\0\xe2\x98\x83U\x06latin1tR",
            "holds bytes with a character beyond Latin-1",
        ),
    ];
    for (value, reason) in values {
        assert_eq!(
            value_of(value),
            Err(reason.into()),
            "{}",
            value.escape_ascii()
        );
    }
    let name = "n".repeat(1000);
    let reason = format!(
        "holds a Python object (app.{}…), which is not plain data",
        &name[..76]
    );
    assert_eq!(value_of(format!("capp\n{name}\n").as_bytes()), Err(reason));
}

#[test]
fn a_clock_that_went_backwards_makes_no_ttl_longer() {
    let saved_at =
        |time: &str| format!("}}(U\x09save_timeF{time}\nU\x07entries}}U\x01k(NF10\ntsu.");
    let left = |time: &str, now: f64| {
        let import = import(saved_at(time).as_bytes(), at(now));
        assert_eq!(import.skipped, []);
        assert_eq!(import.entries.len() as u64 + import.expired, 1);
        import.entries.first().and_then(|entry| entry.ttl)
    };
    let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
    assert_eq!(left("100", 100.0), seconds(10.0));
    assert_eq!(left("100", 107.5), seconds(2.5));
    assert_eq!(left("100", 110.0), None);
    assert_eq!(left("100", 99.0), seconds(10.0));
    assert_eq!(left("1e300", 100.0), seconds(10.0));
    assert_eq!(left("-4", 4.0), seconds(2.0));
    assert_eq!(left("-1e300", 4.0), None);
}

#[test]
fn a_pickle_of_something_else_is_refused_by_what_it_is() {
    let files: [(&[u8], &str); 9] = [
        (b"].", "the payload is not a dict"),
        (
            b"cposix\nsystem\n(S'touch pwned'\ntR.",
            "the payload would have Python call posix.system, which was not run",
        ),
        (
            b"capp\nCache\n)\x81.",
            "the payload holds a Python object (app.Cache), which is not plain data",
        ),
        (
            b"}(U\x09save_timeNU\x07entries}u.",
            "its save_time is not a time",
        ),
        (
            b"}(U\x09save_time\x88U\x07entries}u.",
            "its save_time is not a time",
        ),
        (
            b"}(U\x09save_timeFnan\nU\x07entries}u.",
            "its save_time is not a time",
        ),
        (
            b"}(U\x09save_timeFinf\nU\x07entries}u.",
            "its save_time is not a time",
        ),
        (
            b"}(U\x09save_timeK\x01U\x07entries]u.",
            "the dict of entries is not a dict",
        ),
        (
            b"}(U\x09save_timeK\x01U\x07entriescapp\nload\n)Ru.",
            "the dict of entries would have Python call app.load, which was not run",
        ),
    ];
    for (bytes, reason) in files {
        assert_eq!(error(bytes), format!("not a pickled cache: {reason}"));
    }
    // Without `entries`, a dict is of the older form, as for the Python module.
    let import = import(b"}(U\x09save_timeK\x01N\x86U\x01k)u.", at(SAVE_TIME));
    assert_eq!(import.entries, [entry("save_time", "1", None)]);
    assert_eq!(skipped(&import), [("k", "is not a pair of value and ttl")]);
}

#[test]
fn a_malformed_file_is_refused_with_the_place_and_the_reason() {
    let files: [(&[u8], &str); 29] = [
        (b"", "the file ends too soon, at byte 0"),
        (b"}", "the file ends too soon, at byte 1"),
        (b"}X\x05\0\0\0abcd", "the file ends too soon, at byte 1"),
        (
            b"}\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
            "the file ends too soon, at byte 1",
        ),
        (
            b"}\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
            "the file ends too soon, at byte 1",
        ),
        (
            b"}\x8b\xff\xff\xff\x7f",
            "the file ends too soon, at byte 1",
        ),
        (b"}\x8b\xff\xff\xff\xff", "a negative length, at byte 1"),
        (b"}T\xff\xff\xff\xff", "a negative length, at byte 1"),
        (b"}S'abc", "the file ends too soon, at byte 1"),
        (b"}Sabc\n", "a string without quotes, at byte 1"),
        (b"}S'\\x4g'\n", "an escape that is not a number, at byte 1"),
        (b"}S'\\q'\n", "an escape that is not known, at byte 1"),
        (b"}V\\u00\n", "an escape that is cut short, at byte 1"),
        (b"}V\\U00110000\n", "an escape beyond Unicode, at byte 1"),
        (b"\x80\x06}.", "protocol 6 is not known, at byte 0"),
        (b"}?", "unknown instruction 0x3f, at byte 1"),
        (b"Good morning", "the file ends too soon, at byte 9"),
        (b"}I1_0\n", "malformed number, at byte 1"),
        (b"}L-\n", "malformed number, at byte 1"),
        (b"}Fone\n", "malformed number, at byte 1"),
        (b"}g-1\n", "malformed number, at byte 1"),
        (b"}h\x05.", "the memo has nothing at 5, at byte 1"),
        (b"\x94", "the stack is empty, at byte 0"),
        (b"}(.", "the stack is empty, at byte 2"),
        (b"}u.", "no mark is set, at byte 1"),
        (b"}(Nu.", "a key without a value, at byte 3"),
        (
            b"}Na.",
            "elements for an object that is not a list, at byte 2",
        ),
        (
            b"]NNs.",
            "items for an object that is not a dict, at byte 3",
        ),
        (
            b"capp\nf\nNR.",
            "the arguments of a call are not a tuple, at byte 8",
        ),
    ];
    for (bytes, reason) in files {
        assert_eq!(
            error(bytes),
            format!("not a readable pickle file: {reason}"),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn a_file_of_another_format_is_refused_by_its_name() {
    let gzip = "gzip: unpack it first, with `gzip -d`";
    let zlib = "zlib: unpack it first, with `zlib.decompress` of Python";
    let sqlite = "SQLite: read its rows with `sqlite3`, and store them with `larder save`";
    let json = "JSON: store its entries with `larder save`, which reads JSON lines";
    let files: [(&[u8], &str); 14] = [
        (b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xab\xae\x05\0", gzip),
        (b"\x1f\x8b", gzip),
        (b"x\x01\xab\xae\xd5\x03\0\x01\xd3\x00\xfc", zlib),
        (b"x^\xab\xae\xd5\x03\0\x01\xd3\x00\xfc", zlib),
        (b"x\x9c\xab\xae\xd5\x03\0\x01\xd3\x00\xfc", zlib),
        (b"x\xda\xab\xae\xd5\x03\0\x01\xd3\x00\xfc", zlib),
        (b"SQLite format 3\0\x10\0\x02\x02\0@  ", sqlite),
        (b"SQLite format 3\0'\n'\n.", sqlite),
        (b"{}", json),
        (b"{\"k\": [\"v\", null]}\n", json),
        (b" \r\n\t[1, 2]", json),
        (b"\xef\xbb\xbf{\"k\": 1}", json),
        (b"{\"key\": \"a\"}\n{\"key\": \"b\"}\n", json),
        (b"[[1], [2]] and more", json),
    ];
    for (bytes, what) in files {
        assert_eq!(
            error(bytes),
            format!("not a pickle file, but {what}"),
            "{}",
            bytes.escape_ascii()
        );
    }
    // What only begins alike is not named so.
    let others: [&[u8]; 7] = [
        b"{'k': 1}",
        b"[section]\n",
        b"{\"k\": ",
        b"1",
        b"xylophone",
        b"SQLite",
        b"\xef\xbb\xbf",
    ];
    for bytes in others {
        let error = error(bytes);
        assert!(error.starts_with("not a readable pickle file: "), "{error}");
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    for protocol in PROTOCOLS {
        let whole = file(&format!("tests/data/pickle/plain-{protocol}.pkl"));
        for length in 0..whole.len() {
            let error = read(&whole[..length], at(SAVE_TIME));
            let Err(PickleError::Malformed { offset, .. }) = error else {
                panic!("{length} bytes of protocol {protocol} gave {error:?}");
            };
            assert!(offset <= length);
        }
    }
}

#[test]
fn a_million_levels_are_no_deeper_than_the_stack_allows() {
    let levels = 1_000_000;
    let lists = [b"]".repeat(levels), b"a".repeat(levels - 1)].concat();
    assert_eq!(value_of(&lists), Err("is nested too deeply".into()));
    let tuples = [b")".to_vec(), b"\x85".repeat(levels)].concat();
    assert_eq!(value_of(&tuples), Err("is nested too deeply".into()));
    let keys = [b"}".repeat(levels), b"Ns".repeat(levels - 1)].concat();
    assert_eq!(value_of(&keys), Err("is nested too deeply".into()));
}

#[test]
fn entries_that_share_data_cannot_outgrow_the_file_without_bound() {
    let shared = [
        b"X\x00\x00\x01\x00".as_slice(),
        &b"x".repeat(1 << 16),
        b"\x940",
    ]
    .concat();
    let sharing: [(&str, &[u8]); 4] = [
        ("text", b"h\x00"),
        ("list", b"](h\x00h\x00e"),
        ("bytes", b"c_codecs\nencode\n(h\x00U\x06latin1tR"),
        ("name", b"h\x00h\x00\x93"),
    ];
    for (what, value) in sharing {
        let mut file = [&shared, b"}(".as_slice()].concat();
        for number in 0..20_000_u32 {
            file.extend([b"J".as_slice(), &number.to_le_bytes(), value, b"N\x86"].concat());
        }
        file.extend(b"u.");
        let import = import(&file, at(SAVE_TIME));
        assert_eq!(
            import.entries.len() + import.skipped.len(),
            20_000,
            "{what}"
        );
        check_bounds(&import, &file);
    }
}

#[test]
fn a_flipped_bit_is_never_more_than_an_error() {
    for name in ["objects-0", "objects-2", "objects-5"] {
        let mut bytes = file(&format!("tests/data/pickle/{name}.pkl"));
        for position in 0..bytes.len() {
            for bit in 0..8 {
                bytes[position] ^= 1 << bit;
                check(&bytes);
                bytes[position] ^= 1 << bit;
            }
        }
    }
}

/// Programs of instructions that fit together more often than random bytes do.
fn program() -> impl Strategy<Value = Vec<u8>> {
    const INSTRUCTIONS: [&[u8]; 43] = [
        b"(",
        b"(",
        b"0",
        b"1",
        b"2",
        b"2",
        b")",
        b"]",
        b"}",
        b"\x8f",
        b"t",
        b"l",
        b"d",
        b"\x91",
        b"\x85",
        b"\x86",
        b"\x87",
        b"a",
        b"e",
        b"\x90",
        b"s",
        b"u",
        b"b",
        b"o",
        b"R",
        b"\x81",
        b"\x92",
        b"\x93",
        b"\x94",
        b"q\x00",
        b"h\x00",
        b"h\x01",
        b"N",
        b"\x88",
        b"K\x07",
        b"X\x01\0\0\0a",
        b"U\x06latin1",
        b"c_codecs\nencode\n",
        b"cbuiltins\nset\n",
        b"ccollections\nOrderedDict\n",
        b"ccollections\ndefaultdict\n",
        b"ccollections\nCounter\n",
        b"ccollections\ndeque\n",
    ];
    let instructions = prop::collection::vec(prop::sample::select(&INSTRUCTIONS[..]), 0..200);
    instructions.prop_map(|instructions| instructions.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn arbitrary_bytes_are_never_more_than_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_instructions_are_never_more_than_an_error(program in program()) {
        check(&[&program, b".".as_slice()].concat());
    }

    #[test]
    fn spliced_files_are_never_more_than_an_error(
        (first, second) in (prop::sample::select(&PROTOCOLS[..]), prop::sample::select(&PROTOCOLS[..])),
        (cut, resume) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let mut bytes = file(&format!("tests/data/pickle/plain-{first}.pkl"));
        let other = file(&format!("tests/data/pickle/awkward-{}.pkl", second % 2 * 5));
        bytes.truncate(cut.index(bytes.len()));
        bytes.extend(&other[resume.index(other.len())..]);
        check(&bytes);
    }
}
