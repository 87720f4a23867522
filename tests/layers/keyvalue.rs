//! wasi:keyvalue above the cache layer and the disk backend, for a host that calls it and for an
//! application that knows only wasi:keyvalue.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use larder_components::{CACHE, DISK, KEYVALUE};
use larder_host_test::components::KEYVALUE_VISITS;
use larder_host_test::compose::plug;
use larder_host_test::surroundings::{Inside, Surroundings, compiled, linker};
use larder_host_test::tree;
use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker, ResourceAny};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "larder:cache/keyvalue",
        additional_derives: [PartialEq],
    });
}

use bindings::exports::wasi::{keyvalue0_2_0_draft as draft, keyvalue0_2_0_draft2 as draft2};
use draft::store::Error;
use draft2::atomics::CasError;

/// The keyvalue component, the cache layer and the disk backend as one.
static COMPOSED: LazyLock<Vec<u8>> =
    LazyLock::new(|| plug(KEYVALUE, &[&plug(CACHE, &[DISK]).unwrap()]).unwrap());

static COMPONENT: LazyLock<InstancePre<Inside>> =
    LazyLock::new(|| linker().instantiate_pre(&compiled(&COMPOSED)).unwrap());

/// An instance of the composed component.
struct Instance {
    store: Store<Inside>,
    exports: bindings::Keyvalue,
}

impl Instance {
    /// Starts an instance that keeps its buckets in this folder.
    fn on(folder: &Path) -> Instance {
        Instance::new(&Surroundings::default().on(folder))
    }

    fn read_only(folder: &Path) -> Instance {
        Instance::new(&Surroundings::default().on(folder).read_only())
    }

    fn new(surroundings: &Surroundings) -> Instance {
        let mut store = surroundings.store();
        let instance = COMPONENT.instantiate(&mut store).unwrap();
        let exports = bindings::Keyvalue::new(&mut store, &instance).unwrap();
        Instance { store, exports }
    }

    /// Opens a bucket that can be opened.
    fn bucket<V: Version>(&mut self, name: &str) -> ResourceAny {
        V::open(self, name).unwrap()
    }

    fn look(&mut self, bucket: ResourceAny, key: &str) -> ResourceAny {
        let atomics = self.exports.wasi_keyvalue0_2_0_draft2_atomics();
        let cas = atomics.cas().call_new(&mut self.store, bucket, key);
        cas.unwrap().unwrap()
    }

    fn seen(&mut self, cas: ResourceAny) -> Option<Vec<u8>> {
        let atomics = self.exports.wasi_keyvalue0_2_0_draft2_atomics();
        let current = atomics.cas().call_current(&mut self.store, cas);
        current.unwrap().unwrap()
    }

    fn swap(&mut self, cas: ResourceAny, value: &[u8]) -> Result<(), CasError> {
        let atomics = self.exports.wasi_keyvalue0_2_0_draft2_atomics();
        atomics.call_swap(&mut self.store, cas, value).unwrap()
    }
}

type Outcome<T> = Result<T, Error>;
type Pairs = Vec<Option<(String, Vec<u8>)>>;

/// A version of the interface. Cursors and numbers have the same types in both, and a function that
/// traps fails the test.
trait Version {
    fn open(at: &mut Instance, name: &str) -> Outcome<ResourceAny>;
    fn get(at: &mut Instance, bucket: ResourceAny, key: &str) -> Outcome<Option<Vec<u8>>>;
    fn set(at: &mut Instance, bucket: ResourceAny, key: &str, value: &[u8]) -> Outcome<()>;
    fn delete(at: &mut Instance, bucket: ResourceAny, key: &str) -> Outcome<()>;
    fn exists(at: &mut Instance, bucket: ResourceAny, key: &str) -> Outcome<bool>;
    fn list_keys(
        at: &mut Instance,
        bucket: ResourceAny,
        cursor: Option<&str>,
    ) -> Outcome<(Vec<String>, Option<String>)>;
    fn get_many(at: &mut Instance, bucket: ResourceAny, keys: &[String]) -> Outcome<Pairs>;
    fn set_many(at: &mut Instance, bucket: ResourceAny, pairs: &[(String, Vec<u8>)])
    -> Outcome<()>;
    fn delete_many(at: &mut Instance, bucket: ResourceAny, keys: &[String]) -> Outcome<()>;
    fn increment(at: &mut Instance, bucket: ResourceAny, key: &str, delta: i128) -> Outcome<i128>;
}

macro_rules! version {
    (
        $version:ident, $module:ident: $store:ident, $batch:ident, $atomics:ident,
        $cursor:expr, $number:ty
    ) => {
        struct $version;

        impl $version {
            fn error(error: $module::store::Error) -> Error {
                match error {
                    $module::store::Error::NoSuchStore => Error::NoSuchStore,
                    $module::store::Error::AccessDenied => Error::AccessDenied,
                    $module::store::Error::Other(reason) => Error::Other(reason),
                }
            }
        }

        impl Version for $version {
            fn open(at: &mut Instance, name: &str) -> Outcome<ResourceAny> {
                let opened = at.exports.$store().call_open(&mut at.store, name);
                opened.unwrap().map_err($version::error)
            }

            fn get(at: &mut Instance, bucket: ResourceAny, key: &str) -> Outcome<Option<Vec<u8>>> {
                let buckets = at.exports.$store().bucket();
                let got = buckets.call_get(&mut at.store, bucket, key);
                got.unwrap().map_err($version::error)
            }

            fn set(at: &mut Instance, bucket: ResourceAny, key: &str, value: &[u8]) -> Outcome<()> {
                let buckets = at.exports.$store().bucket();
                let set = buckets.call_set(&mut at.store, bucket, key, value);
                set.unwrap().map_err($version::error)
            }

            fn delete(at: &mut Instance, bucket: ResourceAny, key: &str) -> Outcome<()> {
                let buckets = at.exports.$store().bucket();
                let deleted = buckets.call_delete(&mut at.store, bucket, key);
                deleted.unwrap().map_err($version::error)
            }

            fn exists(at: &mut Instance, bucket: ResourceAny, key: &str) -> Outcome<bool> {
                let buckets = at.exports.$store().bucket();
                let exists = buckets.call_exists(&mut at.store, bucket, key);
                exists.unwrap().map_err($version::error)
            }

            fn list_keys(
                at: &mut Instance,
                bucket: ResourceAny,
                cursor: Option<&str>,
            ) -> Outcome<(Vec<String>, Option<String>)> {
                let buckets = at.exports.$store().bucket();
                let cursor = cursor.map($cursor);
                let listed = buckets.call_list_keys(&mut at.store, bucket, cursor);
                let listed = listed.unwrap().map_err($version::error)?;
                Ok((listed.keys, listed.cursor.map(|cursor| cursor.to_string())))
            }

            fn get_many(at: &mut Instance, bucket: ResourceAny, keys: &[String]) -> Outcome<Pairs> {
                let batch = at.exports.$batch();
                let got = batch.call_get_many(&mut at.store, bucket, keys);
                got.unwrap().map_err($version::error)
            }

            fn set_many(
                at: &mut Instance,
                bucket: ResourceAny,
                pairs: &[(String, Vec<u8>)],
            ) -> Outcome<()> {
                let batch = at.exports.$batch();
                let set = batch.call_set_many(&mut at.store, bucket, pairs);
                set.unwrap().map_err($version::error)
            }

            fn delete_many(at: &mut Instance, bucket: ResourceAny, keys: &[String]) -> Outcome<()> {
                let batch = at.exports.$batch();
                let deleted = batch.call_delete_many(&mut at.store, bucket, keys);
                deleted.unwrap().map_err($version::error)
            }

            fn increment(
                at: &mut Instance,
                bucket: ResourceAny,
                key: &str,
                delta: i128,
            ) -> Outcome<i128> {
                let delta = <$number>::try_from(delta).unwrap();
                let atomics = at.exports.$atomics();
                let sum = atomics.call_increment(&mut at.store, bucket, key, delta);
                sum.unwrap().map(i128::from).map_err($version::error)
            }
        }
    };
}

version!(
    Draft, draft: wasi_keyvalue0_2_0_draft_store, wasi_keyvalue0_2_0_draft_batch,
    wasi_keyvalue0_2_0_draft_atomics,
    |cursor| cursor.parse().unwrap(), u64
);
version!(
    Draft2, draft2: wasi_keyvalue0_2_0_draft2_store, wasi_keyvalue0_2_0_draft2_batch,
    wasi_keyvalue0_2_0_draft2_atomics,
    |cursor| cursor, i64
);

/// Makes two tests of one function, one for each version.
macro_rules! in_both_versions {
    ($($test:ident)*) => {
        mod in_draft {
            $(#[test] fn $test() { super::$test::<super::Draft>(); })*
        }
        mod in_draft2 {
            $(#[test] fn $test() { super::$test::<super::Draft2>(); })*
        }
    };
}

in_both_versions! {
    values_are_given_back_as_they_were_set
    several_keys_are_set_read_and_removed_in_one_call
    what_was_changed_lasts_and_nothing_else
    every_key_is_listed_once_a_page_at_a_time
    a_large_value_is_kept
    a_bad_name_is_no_such_store_and_touches_nothing
    increment_counts_in_decimal
    increment_changes_nothing_that_it_cannot_add_to
    a_bucket_without_a_backend_is_not_opened
    a_read_only_backend_fails_every_change_and_loses_nothing
    what_a_backend_refused_is_handed_over_by_the_next_change
    a_bucket_that_cannot_be_read_is_left_alone_and_opened_when_it_can
}

fn reason<T: std::fmt::Debug>(outcome: Outcome<T>) -> String {
    match outcome {
        Err(Error::Other(reason)) => reason,
        outcome => panic!("{outcome:?} gives no reason"),
    }
}

fn pair(key: &str, value: &[u8]) -> (String, Vec<u8>) {
    (key.to_owned(), value.to_vec())
}

#[test]
fn it_exports_both_versions_and_composed_it_imports_nothing_of_larder() {
    let names = |bytes: &[u8]| {
        let component = compiled(bytes);
        let (ty, engine) = (component.component_type(), component.engine());
        let exports = ty.exports(engine).map(|(name, _)| name.to_owned());
        let imports = ty.imports(engine).map(|(name, _)| name.to_owned());
        (BTreeSet::from_iter(exports), Vec::from_iter(imports))
    };
    let (exports, imports) = names(KEYVALUE);
    let expected = ["draft", "draft2"].into_iter().flat_map(|version| {
        ["atomics", "batch", "store"]
            .map(|interface| format!("wasi:keyvalue/{interface}@0.2.0-{version}"))
    });
    let expected = BTreeSet::from_iter(expected);
    assert_eq!(exports, expected);
    assert!(imports.contains(&"larder:cache/cache@0.1.0".to_owned()));
    let (exports, imports) = names(&COMPOSED);
    assert_eq!(exports, expected);
    let unmet = |name: &&String| !name.starts_with("wasi:") || name.starts_with("wasi:keyvalue");
    assert_eq!(imports.iter().find(unmet), None);
}

#[test]
fn it_takes_at_most_250_kib() {
    assert!(KEYVALUE.len() <= 250 * 1024, "{} bytes", KEYVALUE.len());
}

fn values_are_given_back_as_they_were_set<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    assert_eq!(V::get(at, bucket, "missing"), Ok(None));
    assert_eq!(V::exists(at, bucket, "missing"), Ok(false));
    assert_eq!(V::delete(at, bucket, "missing"), Ok(()));
    for (key, value) in [("key", &b"\0\xff"[..]), ("", b""), ("\0 /ü", b"v")] {
        V::set(at, bucket, key, b"old").unwrap();
        V::set(at, bucket, key, value).unwrap();
        assert_eq!(V::get(at, bucket, key), Ok(Some(value.to_vec())));
        assert_eq!(V::exists(at, bucket, key), Ok(true));
        V::delete(at, bucket, key).unwrap();
        assert_eq!(V::get(at, bucket, key), Ok(None));
        assert_eq!(V::exists(at, bucket, key), Ok(false));
    }
    assert_eq!(V::list_keys(at, bucket, None), Ok((Vec::new(), None)));
}

fn several_keys_are_set_read_and_removed_in_one_call<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    let set = [
        pair("a", b"old"),
        pair("", b""),
        pair("b", b"2"),
        pair("a", b"1"),
    ];
    V::set_many(at, bucket, &set).unwrap();
    let keys = ["b", "missing", "a", "", "a"].map(str::to_owned);
    let expected = vec![
        Some(pair("b", b"2")),
        None,
        Some(pair("a", b"1")),
        Some(pair("", b"")),
        Some(pair("a", b"1")),
    ];
    assert_eq!(V::get_many(at, bucket, &keys), Ok(expected));
    V::delete_many(at, bucket, &keys[..3]).unwrap();
    assert_eq!(
        V::get_many(at, bucket, &keys),
        Ok(vec![None, None, None, Some(pair("", b"")), None])
    );
    // No keys are no error.
    V::set_many(at, bucket, &[]).unwrap();
    V::delete_many(at, bucket, &[]).unwrap();
    assert_eq!(V::get_many(at, bucket, &[]), Ok(Vec::new()));
    // The next instance finds the same.
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    assert_eq!(
        V::list_keys(at, bucket, None),
        Ok((vec![String::new()], None))
    );
}

fn what_was_changed_lasts_and_nothing_else<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    // Each instance ends without closing its buckets.
    let begin = || Instance::on(folder.path());
    let at = &mut begin();
    let bucket = at.bucket::<V>("bucket");
    V::set(at, bucket, "kept", b"1").unwrap();
    V::set(at, bucket, "removed", b"2").unwrap();
    V::increment(at, bucket, "number", 3).unwrap();
    let other = at.bucket::<V>("other");
    V::set(at, other, "kept", b"4").unwrap();
    let at = &mut begin();
    let bucket = at.bucket::<V>("bucket");
    assert_eq!(V::get(at, bucket, "removed"), Ok(Some(b"2".to_vec())));
    V::delete(at, bucket, "removed").unwrap();
    let at = &mut begin();
    let bucket = at.bucket::<V>("bucket");
    let keys = ["kept", "removed", "number"].map(str::to_owned);
    assert_eq!(
        V::get_many(at, bucket, &keys),
        Ok(vec![
            Some(pair("kept", b"1")),
            None,
            Some(pair("number", b"3"))
        ])
    );
    let other = at.bucket::<V>("other");
    assert_eq!(V::get(at, other, "kept"), Ok(Some(b"4".to_vec())));
    let before = tree(folder.path());
    let unused = at.bucket::<V>("unused");
    assert_eq!(V::get(at, unused, "kept"), Ok(None));
    assert_eq!(tree(folder.path()), before, "a read writes nothing");
}

fn every_key_is_listed_once_a_page_at_a_time<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    let pairs: Vec<_> = (0..4321).map(|n| pair(&format!("key {n}"), b"v")).collect();
    V::set_many(at, bucket, &pairs).unwrap();
    // The next instance lists them in another order.
    for at in [at, &mut Instance::on(folder.path())] {
        let bucket = at.bucket::<V>("bucket");
        let (mut listed, mut pages, mut cursor) = (Vec::new(), 0, None);
        loop {
            let (keys, next) = V::list_keys(at, bucket, cursor.as_deref()).unwrap();
            assert!(!keys.is_empty() && keys.len() <= 1000, "{}", keys.len());
            listed.extend(keys);
            pages += 1;
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((listed.len(), pages), (4321, 5));
        let listed = BTreeSet::from_iter(listed);
        assert!(pairs.iter().all(|(key, _)| listed.contains(key)));
        let past_the_end = u64::MAX.to_string();
        let page = V::list_keys(at, bucket, Some(&past_the_end));
        assert_eq!(page, Ok((Vec::new(), None)));
    }
}

#[test]
fn a_cursor_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<Draft2>("bucket");
    for cursor in ["", "x", "-1", "1.5", "18446744073709551616"] {
        assert_eq!(
            reason(Draft2::list_keys(at, bucket, Some(cursor))),
            r#"list-keys, bucket "bucket": the cursor is not one that list-keys gave"#
        );
    }
}

fn a_large_value_is_kept<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let value: Vec<u8> = (0..20_000_003u32).map(|n| (n >> 7) as u8).collect();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    V::set(at, bucket, "large", &value).unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    assert!(V::get(at, bucket, "large") == Ok(Some(value)));
}

fn a_bad_name_is_no_such_store_and_touches_nothing<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let long = "x".repeat(201);
    for name in [
        "..",
        "a/b",
        "/",
        " a",
        "a.",
        "a\n",
        "a*",
        "a.postcard",
        &long,
    ] {
        assert_eq!(
            V::open(at, name).err(),
            Some(Error::NoSuchStore),
            "{name:?}"
        );
    }
    assert!(tree(folder.path()).is_empty());
    let longest = at.bucket::<V>(&long[1..]);
    V::set(at, longest, "key", b"value").unwrap();
}

#[test]
fn all_handles_to_a_bucket_share_it_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    // The empty name stands for the cache `default`.
    let one = at.bucket::<Draft>("");
    let two = at.bucket::<Draft2>("default");
    let three = at.bucket::<Draft2>("");
    Draft::set(at, one, "key", b"1").unwrap();
    assert_eq!(Draft2::get(at, two, "key"), Ok(Some(b"1".to_vec())));
    assert_eq!(Draft2::increment(at, three, "key", 1), Ok(2));
    one.resource_drop(&mut at.store).unwrap();
    let one = at.bucket::<Draft>("default");
    assert_eq!(Draft::increment(at, one, "key", 1), Ok(3));
    Draft2::delete(at, two, "key").unwrap();
    assert_eq!(Draft::exists(at, one, "key"), Ok(false));
    let other = at.bucket::<Draft>("Default");
    assert_eq!(Draft::list_keys(at, other, None), Ok((Vec::new(), None)));
    assert!(folder.path().join("default").is_dir());
}

fn increment_counts_in_decimal<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    assert_eq!(V::increment(at, bucket, "n", 0), Ok(0));
    assert_eq!(V::get(at, bucket, "n"), Ok(Some(b"0".to_vec())));
    assert_eq!(V::increment(at, bucket, "n", 7), Ok(7));
    assert_eq!(V::increment(at, bucket, "n", 35), Ok(42));
    assert_eq!(V::get(at, bucket, "n"), Ok(Some(b"42".to_vec())));
    V::set(at, bucket, "n", b"+0099").unwrap();
    assert_eq!(V::increment(at, bucket, "n", 1), Ok(100));
    assert_eq!(V::get(at, bucket, "n"), Ok(Some(b"100".to_vec())));
}

fn increment_changes_nothing_that_it_cannot_add_to<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    // The last value is too large for both versions.
    for value in [
        "",
        "text",
        " 1",
        "1 ",
        "0x1",
        "1.0",
        "-",
        "18446744073709551616",
    ] {
        V::set(at, bucket, "n", value.as_bytes()).unwrap();
        assert_eq!(
            reason(V::increment(at, bucket, "n", 1)),
            r#"increment, bucket "bucket": the value is not a number in its range (key "n")"#,
            "{value:?}"
        );
        assert_eq!(V::get(at, bucket, "n"), Ok(Some(value.into())));
    }
    V::set(at, bucket, "n", b"1\xff").unwrap();
    reason(V::increment(at, bucket, "n", 1));
    assert_eq!(V::get(at, bucket, "n"), Ok(Some(b"1\xff".to_vec())));
}

#[test]
fn increment_reaches_the_ends_of_its_range_and_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<Draft>("bucket");
    let most = i128::from(u64::MAX);
    assert_eq!(Draft::increment(at, bucket, "n", most), Ok(most));
    let out_of_range = r#"increment, bucket "bucket": the sum is out of range (key "n")"#;
    assert_eq!(reason(Draft::increment(at, bucket, "n", 1)), out_of_range);
    assert_eq!(Draft::increment(at, bucket, "n", 0), Ok(most));

    let bucket = at.bucket::<Draft2>("bucket");
    // A number of one version may be too large for the other.
    reason(Draft2::increment(at, bucket, "n", -1));
    Draft2::delete(at, bucket, "n").unwrap();
    for (end, beyond) in [(i64::MAX, 1), (i64::MIN, -1)] {
        let end = i128::from(end);
        assert_eq!(Draft2::increment(at, bucket, "n", end), Ok(end));
        assert_eq!(
            reason(Draft2::increment(at, bucket, "n", beyond)),
            out_of_range
        );
        assert_eq!(
            Draft2::increment(at, bucket, "n", -beyond),
            Ok(end - beyond)
        );
        Draft2::delete(at, bucket, "n").unwrap();
    }
    Draft2::increment(at, bucket, "n", -5).unwrap();
    let bucket = at.bucket::<Draft>("bucket");
    reason(Draft::increment(at, bucket, "n", 6));
    assert_eq!(Draft::get(at, bucket, "n"), Ok(Some(b"-5".to_vec())));
}

#[test]
fn a_value_is_swapped_if_it_is_as_it_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<Draft2>("bucket");
    // A missing value.
    let cas = at.look(bucket, "key");
    assert_eq!(at.seen(cas), None);
    assert_eq!(at.swap(cas, b"1"), Ok(()));
    // A value that was deleted and set again in between.
    let cas = at.look(bucket, "key");
    assert_eq!(at.seen(cas), Some(b"1".to_vec()));
    Draft2::delete(at, bucket, "key").unwrap();
    Draft2::set(at, bucket, "key", b"1").unwrap();
    // The handle works without the bucket.
    bucket.resource_drop(&mut at.store).unwrap();
    assert_eq!(at.swap(cas, b"2"), Ok(()));
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<Draft2>("bucket");
    assert_eq!(Draft2::get(at, bucket, "key"), Ok(Some(b"2".to_vec())));
}

#[test]
fn a_value_that_has_changed_is_not_swapped_but_seen_anew() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<Draft2>("bucket");
    let failed = |at: &mut Instance, cas, now: Option<&[u8]>| {
        let Err(CasError::CasFailed(cas)) = at.swap(cas, b"swapped") else {
            panic!("the value has changed");
        };
        assert_eq!(at.seen(cas).as_deref(), now);
        assert_eq!(Draft2::get(at, bucket, "key").unwrap().as_deref(), now);
        cas
    };
    let cas = at.look(bucket, "key");
    // An empty value is not a missing one.
    Draft2::set(at, bucket, "key", b"").unwrap();
    assert_eq!(at.seen(cas), None);
    let cas = failed(at, cas, Some(b""));
    let draft = at.bucket::<Draft>("bucket");
    Draft::set(at, draft, "key", b"by the other version").unwrap();
    let cas = failed(at, cas, Some(b"by the other version"));
    Draft2::delete(at, bucket, "key").unwrap();
    let cas = failed(at, cas, None);
    // Of two handles that saw the same value, one swaps.
    let second = at.look(bucket, "key");
    assert_eq!(at.swap(cas, b"first"), Ok(()));
    let cas = failed(at, second, Some(b"first"));
    assert_eq!(at.swap(cas, b"second"), Ok(()));
    assert_eq!(Draft2::get(at, bucket, "key"), Ok(Some(b"second".to_vec())));
    // A handle can be dropped without a swap.
    let cas = at.look(bucket, "key");
    cas.resource_drop(&mut at.store).unwrap();
}

fn a_bucket_without_a_backend_is_not_opened<V: Version>() {
    let at = &mut Instance::new(&Surroundings::default());
    for _ in 0..2 {
        assert_eq!(
            reason(V::open(at, "bucket")),
            r#"open, bucket "bucket": the component was given no directory to store in"#
        );
    }
}

fn a_read_only_backend_fails_every_change_and_loses_nothing<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    V::set_many(at, bucket, &[pair("a", b"1"), pair("b", b"2")]).unwrap();
    let before = tree(folder.path());

    let at = &mut Instance::read_only(folder.path());
    let bucket = at.bucket::<V>("bucket");
    let denied = Err(Error::AccessDenied);
    assert_eq!(V::set(at, bucket, "a", b"new"), denied);
    assert_eq!(V::delete(at, bucket, "b"), denied);
    assert_eq!(V::set_many(at, bucket, &[pair("c", b"")]), denied);
    assert_eq!(V::delete_many(at, bucket, &["c".to_owned()]), denied);
    assert_eq!(V::increment(at, bucket, "n", 1), Err(Error::AccessDenied));
    // The instance sees its own changes.
    assert_eq!(V::get(at, bucket, "a"), Ok(Some(b"new".to_vec())));
    assert_eq!(V::exists(at, bucket, "b"), Ok(false));
    assert_eq!(V::get(at, bucket, "n"), Ok(Some(b"1".to_vec())));
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_swap_that_does_not_last_is_an_error_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::read_only(folder.path());
    let bucket = at.bucket::<Draft2>("bucket");
    let cas = at.look(bucket, "key");
    let denied = draft2::store::Error::AccessDenied;
    assert_eq!(at.swap(cas, b"1"), Err(CasError::StoreError(denied)));
}

fn what_a_backend_refused_is_handed_over_by_the_next_change<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let (there, away) = (folder.path().join("bucket"), folder.path().join("away"));
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    V::set(at, bucket, "before", b"1").unwrap();
    V::set(at, bucket, "gone", b"1").unwrap();

    // A file stands where the cache's folder should be.
    fs::rename(&there, &away).unwrap();
    fs::write(&there, "in the way").unwrap();
    let refused = reason(V::set(at, bucket, "meanwhile", b"2"));
    assert!(refused.starts_with("set, bucket \"bucket\": "), "{refused}");
    let refused = reason(V::delete(at, bucket, "gone"));
    assert!(
        refused.starts_with("delete, bucket \"bucket\": "),
        "{refused}"
    );
    fs::remove_file(&there).unwrap();
    fs::rename(&away, &there).unwrap();

    V::set(at, bucket, "after", b"3").unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    let keys = ["before", "gone", "meanwhile", "after"].map(str::to_owned);
    let expected = vec![
        Some(pair("before", b"1")),
        None,
        Some(pair("meanwhile", b"2")),
        Some(pair("after", b"3")),
    ];
    assert_eq!(V::get_many(at, bucket, &keys), Ok(expected));
}

fn a_bucket_that_cannot_be_read_is_left_alone_and_opened_when_it_can<V: Version>() {
    let folder = tempfile::tempdir().unwrap();
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<V>("bucket");
    V::set(at, bucket, "key", b"value").unwrap();
    let intact = tree(folder.path());
    let damage = |name: &Path, bytes: &[u8]| {
        let path = folder.path().join(name);
        if path.is_file() {
            fs::write(path, bytes).unwrap();
        }
    };
    for name in intact.keys() {
        damage(name, b"nothing that anybody wrote");
    }
    let damaged = tree(folder.path());

    let at = &mut Instance::on(folder.path());
    for _ in 0..2 {
        let refused = reason(V::open(at, "bucket"));
        let begin = "open, bucket \"bucket\": nothing of it can be read: ";
        assert!(refused.starts_with(begin), "{refused}");
        assert_eq!(tree(folder.path()), damaged);
    }
    // Another bucket of the same instance still opens.
    at.bucket::<V>("other");
    for (name, bytes) in &intact {
        damage(name, bytes);
    }
    let bucket = at.bucket::<V>("bucket");
    assert_eq!(V::get(at, bucket, "key"), Ok(Some(b"value".to_vec())));
}

#[test]
fn instances_that_set_different_keys_of_one_bucket_lose_none() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = &mut [(); 2].map(|()| Instance::on(folder.path()));
    let first = one.bucket::<Draft>("bucket");
    let second = two.bucket::<Draft2>("bucket");
    for n in 0..20 {
        Draft::set(one, first, &format!("one {n}"), b"").unwrap();
        Draft2::set(two, second, &format!("two {n}"), b"").unwrap();
    }
    // Neither sees the other's changes after it has opened the bucket.
    assert_eq!(Draft::exists(one, first, "two 0"), Ok(false));
    let at = &mut Instance::on(folder.path());
    let bucket = at.bucket::<Draft>("bucket");
    assert_eq!(Draft::list_keys(at, bucket, None).unwrap().0.len(), 40);
}

/// Runs a command. Returns its output, or none if it fails.
fn run<T: Send + 'static>(
    component: &[u8],
    linker: &Linker<Inside<T>>,
    surroundings: &Surroundings,
    extra: T,
) -> Option<String> {
    let mut store = surroundings.store_with(extra);
    let command = Command::instantiate(&mut store, &compiled(component), linker).unwrap();
    let outcome = command.wasi_cli_run().call_run(&mut store);
    let succeeded = outcome.is_ok_and(|outcome| outcome.is_ok());
    succeeded.then(|| surroundings.written())
}

#[test]
fn an_application_that_knows_only_wasi_keyvalue_finds_its_data_again() {
    let visits = plug(KEYVALUE_VISITS, &[&COMPOSED]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |bucket: Option<&str>| {
        let mut surroundings = Surroundings::default().on(folder.path()).argument("visits");
        if let Some(bucket) = bucket {
            surroundings = surroundings.argument(bucket);
        }
        run(&visits, &linker(), &surroundings, ())
    };
    for count in ["1\n", "2\n", "3\n"] {
        assert_eq!(run(None).as_deref(), Some(count));
    }
    assert_eq!(run(Some("other")).as_deref(), Some("1\n"));
    assert_eq!(run(Some("default")).as_deref(), Some("4\n"));
    // A failed count is not printed.
    assert_eq!(run(Some("no/such/bucket")), None);
}

#[test]
fn the_same_application_runs_unchanged_on_the_host_of_wasmtime() {
    // wasmtime's own store, in memory.
    let store = WasiKeyValueCtx::builder().build();
    let mut linker = linker();
    wasmtime_wasi_keyvalue::add_to_linker(&mut linker, |inside: &mut Inside<_>| {
        WasiKeyValue::new(&inside.extra, &mut inside.table)
    })
    .unwrap();
    let printed = run(KEYVALUE_VISITS, &linker, &Surroundings::default(), store);
    assert_eq!(printed.as_deref(), Some("1\n"));
}
