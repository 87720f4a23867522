//! The file format: whatever is encoded is decoded, and whatever is damaged is
//! lost and counted, never wrong. Small blocks make small files have many.

use std::collections::BTreeMap;
use std::convert::Infallible;

use larder_disk::format::{
    Damage, Decoded, Header, Kind, LostKeys, Part, Put, Record, Unreadable, decode, decode_head,
    encode, key_hash,
};
use larder_disk::merge::merge;
use proptest::prelude::*;

type Owned = BTreeMap<String, Option<(Vec<u8>, Option<u64>)>>;

fn records(owned: &Owned) -> impl Iterator<Item = Record<'_>> {
    owned.iter().map(|(key, put)| Record {
        key,
        put: put.as_ref().map(|(value, ttl)| Put { value, ttl: *ttl }),
    })
}

fn file_of(kind: Kind, owned: &Owned, lost: &LostKeys, block_bytes: usize) -> Vec<u8> {
    let stores = owned.values().filter(|put| put.is_some()).count();
    let header = Header {
        id: 0x1234_5678_9abc_def0,
        kind,
        saved_at: 1_700_000_000_000_000_000,
        puts: (stores + lost.puts.len()) as u64,
        removes: (owned.len() - stores + lost.removes.len()) as u64,
        lost: 0,
    };
    let mut file = Vec::new();
    let Ok(()) = encode(header, records(owned), lost, block_bytes, |bytes| {
        file.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    file
}

fn snapshot(entries: usize, block_bytes: usize) -> (Owned, Vec<u8>) {
    let owned = (0..entries)
        .map(|i| {
            (
                format!("key-{i}"),
                Some((vec![i as u8; 5], (i % 3 == 0).then_some(i as u64 + 1))),
            )
        })
        .collect();
    let file = file_of(Kind::Snapshot, &owned, &LostKeys::default(), block_bytes);
    (owned, file)
}

fn read(decoded: &Decoded) -> Owned {
    let records = decoded.blocks.iter().filter_map(|block| block.records());
    let owned = |put: Put| (put.value.to_vec(), put.ttl);
    records
        .flatten()
        .map(|record| (record.key.to_owned(), record.put.map(owned)))
        .collect()
}

fn any_records() -> impl Strategy<Value = Owned> {
    let value = proptest::collection::vec(any::<u8>(), 0..200);
    let put = proptest::option::weighted(0.8, (value, any::<Option<u64>>()));
    proptest::collection::btree_map(any::<String>(), put, 0..60)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(owned in any_records(), block_bytes in 1usize..2000) {
        let file = file_of(Kind::Changes { covers: 3 }, &owned, &LostKeys::default(), block_bytes);
        let decoded = decode(&file).unwrap();
        prop_assert_eq!(decoded.header.kind, Kind::Changes { covers: 3 });
        prop_assert!(decoded.indexed);
        prop_assert_eq!(&decoded.damage, &[]);
        prop_assert_eq!(decoded.lost_records(), 0);
        prop_assert_eq!(read(&decoded), owned.clone());
        let hashes: Vec<u64> = decoded
            .blocks
            .iter()
            .flat_map(|block| block.put_hashes().chain(block.remove_hashes()).collect::<Vec<_>>())
            .collect();
        prop_assert_eq!(hashes.len(), owned.len());
        prop_assert!(owned.keys().all(|key| hashes.contains(&key_hash(key))));
    }

    #[test]
    fn arbitrary_damage_loses_entries_and_never_changes_one(
        owned in any_records(),
        block_bytes in 1usize..500,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = file_of(Kind::Snapshot, &owned, &LostKeys::default(), block_bytes);
        for (at, byte) in damage {
            *at.get_mut(&mut file) = byte;
        }
        file.truncate(cut.index(file.len() * 2));
        if let Ok(decoded) = decode(&file) {
            for (key, put) in read(&decoded) {
                prop_assert_eq!(owned.get(&key), Some(&put));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(decode(&bytes).is_err());
        let mut file = vec![0x93, b'L', b'A', b'R', b'D', b'E', b'R', 1];
        file.extend_from_slice(&bytes);
        prop_assert!(decode(&file).is_err());
    }

    #[test]
    fn a_block_of_another_file_is_never_taken_for_one_of_this(owned in any_records()) {
        prop_assume!(!owned.is_empty());
        let file = file_of(Kind::Snapshot, &owned, &LostKeys::default(), 100);
        let mut other = file.clone();
        // The same blocks under a header and an index of another id.
        let decoded = decode(&file).unwrap();
        let header = Header { id: 1, ..decoded.header };
        let mut fresh = Vec::new();
        let Ok(()) = encode(header, records(&owned), &LostKeys::default(), 100, |bytes| {
            fresh.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        });
        if fresh.len() == other.len() {
            let middle = other.len() / 2;
            other[..middle].copy_from_slice(&fresh[..middle]);
            if let Ok(decoded) = decode(&other) {
                for (key, put) in read(&decoded) {
                    prop_assert_eq!(owned.get(&key), Some(&put));
                }
            }
        }
    }

    #[test]
    fn a_merge_is_the_newest_record_of_every_key(files in proptest::collection::vec(any_records(), 1..6), seed: u64) {
        let mut model = Owned::new();
        for file in &files {
            model.extend(file.clone());
        }
        let bytes: Vec<Vec<u8>> = files
            .iter()
            .rev()
            .map(|owned| file_of(Kind::Changes { covers: 1 }, owned, &LostKeys::default(), 300))
            .collect();
        let decoded: Vec<Decoded> = bytes.iter().map(|file| decode(file).unwrap()).collect();
        let mut merged = Owned::new();
        let lost = merge(&decoded, seed, |_, record| {
            let put = record.put.map(|put| (put.value.to_vec(), put.ttl));
            assert!(merged.insert(record.key.to_owned(), put).is_none(), "a key comes once");
        });
        prop_assert_eq!(merged, model);
        prop_assert_eq!(lost.count(), 0);
    }

    /// The heart of salvage: over several files, each damaged or not, nothing
    /// that was replaced or removed shows, and where the indexes survive every
    /// entry is given or counted.
    #[test]
    fn a_merge_of_damaged_files_gives_or_counts_every_entry(
        files in proptest::collection::vec(
            proptest::collection::btree_map("[a-h]", any::<Option<u8>>(), 0..8), 1..5),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..), 0..4),
        seed: u64,
    ) {
        let files: Vec<Owned> = files
            .into_iter()
            .map(|file| {
                let owned = |(key, put): (String, Option<u8>)| (key, put.map(|byte| (vec![byte; 3], None)));
                file.into_iter().map(owned).collect()
            })
            .collect();
        let mut model = Owned::new();
        for file in &files {
            model.extend(file.clone());
        }
        let mut bytes: Vec<Vec<u8>> = files
            .iter()
            .enumerate()
            .rev()
            .map(|(age, owned)| {
                let kind = if age == 0 { Kind::Snapshot } else { Kind::Changes { covers: 1 } };
                file_of(kind, owned, &LostKeys::default(), 1)
            })
            .collect();
        for (file, at, flip) in flips {
            *at.get_mut(file.get_mut(bytes.as_mut_slice()).as_mut_slice()) ^= flip;
        }
        let Ok(decoded) = bytes.iter().map(|file| decode(file)).collect::<Result<Vec<_>, _>>() else {
            return Ok(());
        };
        let mut merged = Owned::new();
        let lost = merge(&decoded, seed, |_, record| {
            let put = record.put.map(|put| (put.value.to_vec(), put.ttl));
            merged.insert(record.key.to_owned(), put);
        });
        for (key, put) in &merged {
            prop_assert_eq!(model.get(key), Some(put));
        }
        let stored = model.values().filter(|put| put.is_some()).count() as u64;
        let given = merged.values().filter(|put| put.is_some()).count() as u64;
        if decoded.iter().all(|file| file.indexed) {
            prop_assert_eq!(given + lost.count(), stored);
        } else if given < stored {
            prop_assert!(lost.count() > 0);
        }
    }
}

#[test]
fn every_flip_of_a_bit_loses_one_block_at_most_and_counts_it() {
    let (owned, file) = snapshot(20, 100);
    let whole = decode(&file).unwrap();
    assert!(whole.blocks.len() > 5, "many blocks");
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let decoded =
                decode(&file).unwrap_or_else(|_| panic!("byte {at} makes all unreadable"));
            let read = read(&decoded);
            assert!(
                read.iter().all(|(key, put)| owned.get(key) == Some(put)),
                "byte {at}"
            );
            assert_eq!(read.len() as u64 + decoded.lost_puts(), 20, "byte {at}");
            assert!(
                decoded.lost_puts() <= 5,
                "byte {at} loses more than a block"
            );
            assert!(!decoded.damage.is_empty(), "byte {at} is not reported");
        }
    }
}

#[test]
fn every_truncation_keeps_what_is_before_it_and_counts_the_rest() {
    let (owned, file) = snapshot(20, 100);
    let mut most = 0;
    for length in 0..file.len() {
        match decode(&file[..length]) {
            Ok(decoded) => {
                let read = read(&decoded);
                assert!(read.iter().all(|(key, put)| owned.get(key) == Some(put)));
                assert_eq!(
                    read.len() as u64 + decoded.lost_puts(),
                    20,
                    "{length} bytes"
                );
                assert!(
                    read.len() >= most,
                    "{length} bytes give less than fewer did"
                );
                most = read.len();
            }
            Err(why) => {
                assert_eq!(why, Unreadable::Damaged);
                assert!(length < 64, "{length} bytes hold the header");
            }
        }
    }
    assert_eq!(most, 20);
}

#[test]
fn a_damaged_header_and_a_damaged_index_each_lose_nothing() {
    let (owned, file) = snapshot(20, 100);
    let mut headless = file.clone();
    headless[..20].fill(0);
    let decoded = decode(&headless).unwrap();
    assert_eq!(read(&decoded), owned);
    assert_eq!(decoded.damage[0].part, Part::Header);

    let mut endless = file.clone();
    let end = endless.len();
    endless[end - 20..].fill(0);
    let decoded = decode(&endless).unwrap();
    assert_eq!(read(&decoded), owned);
    assert!(matches!(
        decoded.damage[..],
        [Damage {
            part: Part::Index,
            ..
        }]
    ));

    headless[end - 20..].fill(0);
    assert_eq!(decode(&headless).err(), Some(Unreadable::Damaged));
}

#[test]
fn bytes_after_the_end_lose_nothing() {
    let (owned, mut file) = snapshot(20, 100);
    file.extend_from_slice(b"more");
    assert_eq!(read(&decode(&file).unwrap()), owned);
}

/// A lost extent reads as zeros. Every twelve of them could pass for an empty
/// frame, and every damaged block for one more thing to tell.
#[test]
fn what_cannot_be_read_is_told_in_few_words_however_long_it_is() {
    let (_, file) = snapshot(20, 100);
    let mut zeros = file[..100].to_vec();
    zeros.resize(4 << 20, 0);
    let mut garbage = file[..100].to_vec();
    while garbage.len() < 4 << 20 {
        garbage.extend_from_slice(&[1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
    }
    for file in [zeros, garbage] {
        let decoded = decode(&file).unwrap();
        assert!(decoded.blocks.len() <= 1);
        assert!(decoded.damage.len() <= 3, "{:?}", decoded.damage.len());
        assert!(decoded.lost_puts() >= 15);
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let (_, mut file) = snapshot(3, 100);
    let end = file.len();
    file[7] = 2;
    assert_eq!(decode_head(&file), Err(Unreadable::Version(2)));
    assert!(decode(&file).is_ok(), "the end of the file says version 1");
    file[end - 1] = 2;
    assert_eq!(decode(&file).err(), Some(Unreadable::Version(2)));
}

#[test]
fn an_entry_larger_than_a_block_has_one_of_its_own() {
    let mut owned = Owned::new();
    owned.insert("small".into(), Some((vec![1], None)));
    owned.insert("large".into(), Some((vec![7; 1_000_000], None)));
    let file = file_of(Kind::Snapshot, &owned, &LostKeys::default(), 100);
    let decoded = decode(&file).unwrap();
    assert_eq!(decoded.blocks.len(), 2);
    assert_eq!(read(&decoded), owned);
}

#[test]
fn no_records_make_a_whole_file() {
    let file = file_of(Kind::Snapshot, &Owned::new(), &LostKeys::default(), 100);
    let decoded = decode(&file).unwrap();
    assert_eq!(decoded.blocks.len(), 0);
    assert_eq!(decoded.damage, []);
}

#[test]
fn keys_that_were_lost_before_stay_lost_and_hide_older_values() {
    let older: Owned = [("a", 1u8), ("b", 2), ("c", 3)]
        .map(|(key, value)| (key.to_owned(), Some((vec![value], None))))
        .into();
    let older = file_of(Kind::Snapshot, &older, &LostKeys::default(), 100);
    let lost = LostKeys {
        puts: vec![key_hash("a")],
        removes: vec![key_hash("b")],
    };
    let newer = file_of(Kind::Changes { covers: 1 }, &Owned::new(), &lost, 100);
    let decoded = [decode(&newer).unwrap(), decode(&older).unwrap()];
    let mut keys = Vec::new();
    let lost = merge(&decoded, 0, |_, record| keys.push(record.key));
    assert_eq!(keys, ["c"]);
    assert_eq!(lost.count(), 1, "a removal is no entry");
}
