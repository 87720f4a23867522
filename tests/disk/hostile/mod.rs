//! Files that somebody plants in the store: they never cause a trap, are never followed or read
//! without end, and break no promise.

#[cfg(unix)]
mod foreign;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use larder_disk::format::{Header, Kind, LostKeys, Put, Record, encode};
use larder_fuzz_checks::forge::{self, Directory, VERSION};
use larder_host_test::{Contents, Entry, Error, Instance, Subject, When, entry, put, tree, values};

use crate::{CACHE, version};

const GIB: u64 = 1 << 30;
/// The highest number that a version can have.
const LAST: u64 = u64::MAX - 1;

fn old_entries() -> [Entry; 2] {
    [entry("old", "value", None), entry("both", "old", None)]
}

fn new_entries() -> [Entry; 2] {
    [entry("new", "value", None), entry("both", "new", None)]
}

/// The keys of a load, in one string.
fn keys(contents: &Contents) -> String {
    let mut keys: Vec<&str> = contents.entries.iter().map(|entry| &*entry.key).collect();
    keys.sort_unstable();
    keys.join(" ")
}

/// Storage with a cache of two entries, as version 1.
fn saved(durability: &str) -> Subject {
    let s = Subject::disk().env("LARDER_DURABILITY", durability);
    s.open().save(CACHE, &old_entries()).unwrap();
    s
}

/// Makes every call that changes nothing, and gives the outcome of the load. No call may trap, even
/// if its outcome is an error.
fn look(backend: &mut Instance) -> Result<Contents, Error> {
    drop(backend.stat(CACHE));
    drop(backend.verify(CACHE));
    drop(backend.list_caches());
    drop(backend.load_in_batches(CACHE));
    backend.load(CACHE)
}

/// A reader gives the same as a load. But where the cache is too large for a load, a reader may
/// give it in batches.
fn assert_readers_agree(case: &str, backend: &mut Instance, loaded: &Result<Contents, Error>) {
    match (loaded, backend.load_in_batches(CACHE)) {
        (Ok(loaded), Ok(read)) => {
            assert_eq!(
                (keys(&read), read.lost),
                (keys(loaded), loaded.lost),
                "{case}"
            );
        }
        (Err(Error::TooLarge(_)), _) => {}
        (loaded, read) => assert_eq!(read.err().as_ref(), loaded.as_ref().err(), "{case}"),
    }
}

/// Plants something in the folder of a cache. Looking at the cache does what `is_right` says; an
/// apply does not trap; a save and a clear keep all their promises.
fn plant(case: &str, plant: impl Fn(&Path), is_right: impl Fn(&Result<Contents, Error>) -> bool) {
    for durability in ["full", "atomic"] {
        for heal in ["save", "clear", "apply"] {
            let s = saved(durability);
            plant(&s.folder().join(CACHE));
            let mut backend = s.open();
            let outcome = look(&mut backend);
            assert!(is_right(&outcome), "{case}, {durability}: {outcome:?}");
            assert_readers_agree(case, &mut backend, &outcome);
            match heal {
                "apply" => drop(backend.apply(CACHE, &[put("new", "value", None)])),
                "save" => {
                    let outcome = backend.save(CACHE, &new_entries());
                    assert_eq!(outcome, Ok(()), "{case}, {durability}: save heals");
                    let found = values(backend.load(CACHE).unwrap());
                    assert_eq!(found.len(), 2, "{case}, {durability}");
                    assert_eq!(found["both"], b"new", "{case}, {durability}");
                }
                _ => {
                    let outcome = backend.clear(CACHE);
                    assert_eq!(outcome, Ok(()), "{case}, {durability}: clear heals");
                    let found = values(backend.load(CACHE).unwrap());
                    assert_eq!(found, BTreeMap::new(), "{case}, {durability}");
                }
            }
            drop(look(&mut backend));
        }
    }
}

fn is_corrupt(outcome: &Result<Contents, Error>) -> bool {
    matches!(outcome, Err(Error::Corrupt(_)))
}

fn is_too_large(outcome: &Result<Contents, Error>) -> bool {
    matches!(outcome, Err(Error::TooLarge(_)))
}

fn is_as_before(outcome: &Result<Contents, Error>) -> bool {
    matches!(outcome, Ok(contents) if contents.lost == 0 && keys(contents) == "both old")
}

/// Nothing can be read. With `atomic`, which passes over unfinished versions, the version before is
/// given.
fn is_corrupt_or_as_before(outcome: &Result<Contents, Error>) -> bool {
    is_corrupt(outcome) || is_as_before(outcome)
}

/// A forged file with right checksums, whose header claims anything.
fn forged(header: Header, records: &[Record]) -> Vec<u8> {
    let mut file = encode(
        header.id,
        header.kind,
        header.saved_at,
        &mut records.iter().copied(),
        &LostKeys::default(),
        0,
        100..=100,
    );
    let start = file.len() - 16;
    let (_, end) = file.split_at(start);
    let offset = u64::from_le_bytes(end[..8].try_into().unwrap()) as usize;
    let mut directory: Directory = postcard::take_from_bytes(&file[offset + 12..start])
        .unwrap()
        .0;
    directory.header = header;
    file.truncate(offset);
    let mut directory = postcard::to_allocvec(&directory).unwrap();
    // There is no table.
    directory.push(0);
    forge::push_end(VERSION, &mut file, &directory);
    let head = forge::head(VERSION, &header);
    file[..head.len()].copy_from_slice(&head);
    file
}

fn header(kind: Kind) -> Header {
    Header {
        id: 7,
        kind,
        saved_at: 1_700_000_000_000_000_000,
        puts: 1,
        removes: 0,
        lost: 0,
        key_bytes: 6,
    }
}

const PUT: Record = Record {
    key: "forged",
    put: Some(Put {
        value: b"value",
        ttl: None,
    }),
};

/// Writes these bytes into a file that is longer than them, and takes no space for the rest.
fn sparse(path: &Path, start: &[u8], length: u64, end: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(start).unwrap();
    file.set_len(length - end.len() as u64).unwrap();
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(end).unwrap();
}

#[test]
fn a_version_of_nothing_or_of_zeros_is_corrupt_however_long_it_is() {
    for length in [
        0,
        1,
        7,
        8,
        16,
        20,
        127,
        128,
        129,
        70_000,
        5 * GIB,
        4096 * GIB,
    ] {
        plant(
            &format!("{length} zeros"),
            |folder| sparse(&folder.join(version(2)), b"", length, b""),
            is_corrupt_or_as_before,
        );
    }
}

#[test]
fn a_file_that_claims_to_be_huge_is_too_large_and_not_read() {
    let whole = forged(header(Kind::Snapshot), &[PUT]);
    let head = &whole[..100];
    // An index that is nearly all of the file, and an index in an impossible place.
    for offset in [0, 8, 100, GIB, 5 * GIB - 17, 5 * GIB, u64::MAX] {
        let end = [&offset.to_le_bytes(), &whole[..8]].concat();
        for (start, name) in [(head, "header"), (&[0; 100], "zeros")] {
            plant(
                &format!("{name} and an index at {offset}"),
                |folder| sparse(&folder.join(version(2)), start, 5 * GIB, &end),
                |outcome| is_too_large(outcome) || is_corrupt_or_as_before(outcome),
            );
        }
    }
    plant(
        "a header alone",
        |folder| sparse(&folder.join(version(2)), head, 5 * GIB, b""),
        // With `atomic`, the file counts as unfinished.
        |outcome| is_too_large(outcome) || is_as_before(outcome),
    );
}

/// A frame is a length, a checksum, and as many bytes as the length says.
#[test]
fn a_frame_that_claims_to_be_huge_is_damage() {
    let whole = forged(header(Kind::Snapshot), &[PUT]);
    let s = saved("full");
    let mut backend = s.open();
    // A length may be at every byte of the file. Few of the zeros of a gap are tried.
    let is_tried =
        |at: &usize| at.is_multiple_of(256) || whole[*at..*at + 16].iter().any(|byte| *byte != 0);
    for at in (0..whole.len() - 16).filter(is_tried) {
        for claim in [u32::MAX, u32::MAX - 11, i32::MAX as u32, 0] {
            let mut claiming = whole.clone();
            claiming[at..at + 4].copy_from_slice(&claim.to_le_bytes());
            fs::write(s.folder().join(CACHE).join(version(2)), claiming).unwrap();
            match look(&mut backend) {
                Ok(contents) => {
                    let given = contents.entries.len() as u64;
                    assert_eq!(given + contents.lost, 1, "{claim} at {at}: {contents:?}");
                    assert!(contents.entries.iter().all(|entry| entry.key == "forged"));
                }
                Err(Error::Corrupt(_) | Error::UnsupportedVersion(_)) => {}
                Err(error) => panic!("{claim} at {at}: {error:?}"),
            }
        }
    }
}

#[test]
fn a_header_that_claims_anything_is_counted_and_nothing_else() {
    type Claim = fn(&mut Header, u64);
    let fields: [(&str, Claim); 6] = [
        ("puts", |header, claim| header.puts = claim),
        ("removes", |header, claim| header.removes = claim),
        ("lost", |header, claim| header.lost = claim),
        ("key-bytes", |header, claim| header.key_bytes = claim),
        ("saved-at", |header, claim| header.saved_at = claim),
        ("id", |header, claim| header.id = claim),
    ];
    for claim in [0, 1, 2, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        for (field, set) in fields {
            let mut changed = header(Kind::Snapshot);
            set(&mut changed, claim);
            plant(
                &format!("{field} of {claim}"),
                |folder| fs::write(folder.join(version(2)), forged(changed, &[PUT])).unwrap(),
                // With `atomic`, a file without all of its records counts as unfinished.
                |outcome| match outcome {
                    Ok(contents) if keys(contents) == "forged" => {
                        contents.lost == 0 || matches!(field, "puts" | "removes" | "lost")
                    }
                    // The file itself says that it holds nothing.
                    Ok(contents) if contents.entries.is_empty() => (field, claim) == ("puts", 0),
                    outcome => is_as_before(outcome),
                },
            );
        }
    }
}

/// Changes that claim to cover so many versions, which leads to the file below them.
#[test]
fn a_chain_that_leads_nowhere_is_cut_off_and_counted() {
    for covers in [0, 2, 3, 4, LAST, u64::MAX] {
        plant(
            &format!("covers {covers}"),
            |folder| {
                let changes = forged(header(Kind::Changes { covers }), &[PUT]);
                fs::write(folder.join(version(3)), changes).unwrap();
            },
            |outcome| match outcome {
                // The chain does lead to version 1.
                Ok(contents) if covers == 2 => keys(contents) == "both forged old",
                Ok(contents) if keys(contents) == "forged" => contents.lost == 2,
                outcome => is_as_before(outcome),
            },
        );
    }
}

#[test]
fn changes_upon_what_is_damaged_are_given_and_the_rest_is_counted() {
    plant(
        "a damaged base",
        |folder| {
            fs::write(folder.join(version(1)), "no cache").unwrap();
            let changes = forged(header(Kind::Changes { covers: 1 }), &[PUT]);
            fs::write(folder.join(version(2)), changes).unwrap();
        },
        |outcome| matches!(outcome, Ok(contents) if keys(contents) == "forged" && contents.lost == 1),
    );
}

#[test]
fn thousands_of_changes_are_one_cache() {
    let s = saved("full");
    let folder = s.folder().join(CACHE);
    let changes = forged(header(Kind::Changes { covers: 1 }), &[PUT]);
    for number in 2..=3000 {
        fs::write(folder.join(version(number)), &changes).unwrap();
    }
    let mut backend = s.open();
    assert_eq!(keys(&look(&mut backend).unwrap()), "both forged old");
    for _ in 0..8 {
        backend.apply(CACHE, &[put("new", "value", None)]).unwrap();
        assert_eq!(keys(&look(&mut backend).unwrap()), "both forged new old");
    }
    // One of the changes caused a compaction, and the compacted files are gone.
    let files = fs::read_dir(&folder).unwrap().count();
    assert!(files < 20, "{files} files");
}

#[test]
fn a_file_of_another_version_or_cache_is_what_it_says_and_never_a_mixture() {
    plant(
        "the same snapshot again",
        |folder| {
            fs::copy(folder.join(version(1)), folder.join(version(9))).unwrap();
        },
        is_as_before,
    );
    plant(
        "changes far above what they were upon",
        |folder| {
            let changes = forged(header(Kind::Changes { covers: 1 }), &[PUT]);
            fs::write(folder.join(version(9)), changes).unwrap();
        },
        |outcome| match outcome {
            Ok(contents) if keys(contents) == "forged" => contents.lost == 2,
            outcome => is_as_before(outcome),
        },
    );
}

#[test]
fn the_last_version_that_there_can_be_is_followed_by_an_error() {
    let s = saved("full");
    let folder = s.folder().join(CACHE);
    fs::rename(folder.join(version(1)), folder.join(version(LAST - 1))).unwrap();
    let mut backend = s.open();
    backend.apply(CACHE, &[put("new", "value", None)]).unwrap();
    assert_eq!(keys(&look(&mut backend).unwrap()), "both new old");
    assert_eq!(backend.stat(CACHE).unwrap().version, LAST);
    let before = tree(s.folder());
    let outcomes = [
        backend.save(CACHE, &new_entries()),
        backend.apply(CACHE, &[put("more", "value", None)]),
        backend.clear(CACHE),
    ];
    for outcome in outcomes {
        let Err(Error::Other(why)) = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(why.contains(&version(LAST)), "{why}");
    }
    assert_eq!(tree(s.folder()), before);
}

#[test]
fn numbers_beyond_the_last_version_are_foreign() {
    for name in [
        version(0),
        version(u64::MAX),
        "18446744073709551616.larder".into(),
        "99999999999999999999.larder".into(),
        "+0000000000000000009.larder".into(),
        "-0000000000000000009.larder".into(),
        " 0000000000000000009.larder".into(),
        "0x000000000000000009.larder".into(),
        "٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٩.larder".into(),
    ] {
        plant(
            &name,
            |folder| {
                fs::copy(folder.join(version(1)), folder.join(&name)).unwrap();
            },
            is_as_before,
        );
    }
}

/// A file from before the format that takes no space, and is larger than the memory of a component.
#[test]
fn an_old_file_that_is_huge_is_too_large_and_save_and_clear_heal_it() {
    for heal in ["save", "clear"] {
        let s = Subject::disk();
        let path = s.folder().join("sessions.postcard");
        sparse(&path, &[0xff, 0xff, 0xff, 0xff, 0x7f], 5 * GIB, b"");
        let mut backend = s.open();
        let outcome = look(&mut backend);
        assert!(is_too_large(&outcome), "{outcome:?}");
        match heal {
            "save" => backend.save(CACHE, &new_entries()).unwrap(),
            _ => backend.clear(CACHE).unwrap(),
        }
        assert!(!path.exists(), "{heal}");
        look(&mut backend).unwrap();
    }
}

#[test]
fn an_old_file_that_claims_too_many_entries_is_corrupt() {
    // A number of entries, each of which takes at least three bytes.
    for claim in [1_u64, 1000, u64::from(u32::MAX), u64::MAX] {
        let s = Subject::disk();
        let mut bytes = postcard::to_allocvec(&claim).unwrap();
        bytes.extend_from_slice(&[0; 2]);
        fs::write(s.folder().join("sessions.postcard"), bytes).unwrap();
        let mut backend = s.open();
        assert!(is_corrupt(&look(&mut backend)), "{claim}");
        backend.save(CACHE, &new_entries()).unwrap();
        assert_eq!(keys(&look(&mut backend).unwrap()), "both new");
    }
}

#[test]
fn one_cache_that_is_too_large_does_not_hide_the_others() {
    let s = saved("full");
    sparse(&s.folder().join("huge.postcard"), b"", 5 * GIB, b"");
    assert_eq!(s.open().list_caches().unwrap(), ["huge", CACHE]);
}

/// No writer makes such blocks, but their checksums hold. With any amount of memory, each block is
/// given, lost, or too large.
#[test]
fn a_block_of_very_many_records_is_never_too_much() {
    const RECORDS: usize = 30_000;
    let keys: Vec<String> = (0..RECORDS).map(|n| format!("{n:x}")).collect();
    type Of = fn(usize) -> bool;
    let kinds: [(&str, Of, Of); 3] = [
        ("without ttls", |_| true, |_| false),
        ("with ttls", |_| true, |_| true),
        ("half of which remove", |n| n % 2 == 0, |_| false),
    ];
    for (what, is_put, has_ttl) in kinds {
        for (kind, is_damaged) in [
            (Kind::Snapshot, false),
            (Kind::Snapshot, true),
            (Kind::Changes { covers: 1 }, false),
            (Kind::Changes { covers: 1 }, true),
        ] {
            let mut records = keys.iter().enumerate().map(|(n, key)| Record {
                key,
                put: is_put(n).then(|| Put {
                    value: b"",
                    ttl: has_ttl(n).then_some(u64::MAX - 1),
                }),
            });
            let one = 1 << 28..=1 << 28;
            let mut file = encode(7, kind, 0, &mut records, &LostKeys::default(), 0, one);
            file[1_000] ^= u8::from(is_damaged);
            let s = saved("full");
            fs::write(s.folder().join(CACHE).join(version(2)), file).unwrap();
            let puts = (0..RECORDS).filter(|n| is_put(*n)).count();
            let old = if kind == Kind::Snapshot { 0 } else { 2 };
            let (mut given, mut refused) = (0, 0);
            for memory in (8..96).step_by(16) {
                let mut backend = s.clone().memory(memory << 18).open();
                for outcome in [backend.load(CACHE), backend.load_in_batches(CACHE)] {
                    match outcome {
                        Ok(contents) => {
                            let lost = if is_damaged { puts } else { 0 };
                            assert_eq!(contents.lost, lost as u64, "{what}, {kind:?}");
                            let expected = puts - lost + old;
                            assert_eq!(contents.entries.len(), expected, "{what}, {kind:?}");
                            given += 1;
                        }
                        Err(Error::TooLarge(_)) => refused += 1,
                        Err(error) => panic!("{what}, {memory}: {error:?}"),
                    }
                }
                drop(backend.verify(CACHE));
            }
            assert!(given > 0 && refused > 0, "{what}: {given}, {refused}");
        }
    }
}
