//! The file format: all encoded records are read, and damaged records are lost and counted, never
//! wrong. Small blocks make small files have many blocks, in many segments.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::RangeInclusive;

use larder_disk::format::{
    Batch, Damage, Encoder, GAP, HEAD_BYTES, Header, Keys, Kind, LostKeys, Part, Piece, Put,
    Reader, Record, Source, UNLIMITED, Unreadable, check, decode_head, encode, header, key_hash,
};
use larder_disk::records::{Lost, Merge, Share};
use proptest::prelude::*;

type Owned = BTreeMap<String, Option<(Vec<u8>, Option<u64>)>>;

const ID: u64 = 0x1234_5678_9abc_def0;
const SAVED_AT: u64 = 1_700_000_000_000_000_000;

/// Blocks of this size all through the file.
fn blocks(bytes: usize) -> RangeInclusive<usize> {
    bytes..=bytes
}

fn records(owned: &Owned) -> impl Iterator<Item = Record<'_>> {
    owned.iter().map(|(key, put)| Record {
        key,
        put: put.as_ref().map(|(value, ttl)| Put { value, ttl: *ttl }),
    })
}

fn file_of(kind: Kind, owned: &Owned, lost: &LostKeys, block_bytes: usize) -> Vec<u8> {
    file_with_id(ID, kind, owned, lost, block_bytes)
}

fn file_with_id(
    id: u64,
    kind: Kind,
    owned: &Owned,
    lost: &LostKeys,
    block_bytes: usize,
) -> Vec<u8> {
    let blocks = blocks(block_bytes);
    encode(id, kind, SAVED_AT, &mut records(owned), lost, 0, blocks)
}

fn snapshot(entries: usize, block_bytes: usize) -> (Owned, Vec<u8>) {
    let entry = |i: usize| {
        let ttl = i.is_multiple_of(3).then_some(i as u64 + 1);
        (format!("key-{i}"), Some((vec![i as u8; 5], ttl)))
    };
    let owned = (0..entries).map(entry).collect();
    let file = file_of(Kind::Snapshot, &owned, &LostKeys::default(), block_bytes);
    (owned, file)
}

/// A file of a few segments, of several blocks each.
fn in_segments() -> (Owned, Vec<u8>) {
    snapshot(70, 40)
}

/// A value and its ttl.
type Stored = (Vec<u8>, Option<u64>);

/// Everything that a reader gives of a file.
#[derive(Debug, Default)]
struct Read {
    header: Option<Header>,
    blocks: usize,
    /// The records, in their order.
    records: Vec<(String, Option<Stored>)>,
    lost: LostKeys,
    missing_puts: u64,
    missing_removes: u64,
    /// Something is missing, and its keys are not known.
    is_blind: bool,
}

impl Read {
    fn owned(&self) -> Owned {
        self.records.iter().cloned().collect()
    }

    fn lost_puts(&self) -> u64 {
        self.lost.puts.len() as u64 + self.missing_puts
    }

    fn lost_records(&self) -> u64 {
        self.lost_puts() + self.lost.removes.len() as u64 + self.missing_removes
    }
}

fn owned_put(put: Put) -> (Vec<u8>, Option<u64>) {
    (put.value.to_vec(), put.ttl)
}

fn read(file: &[u8]) -> Result<Read, Unreadable> {
    let Ok(reader) = Reader::open(file);
    let mut reader = reader?;
    let mut read = Read {
        header: Some(*reader.header()),
        ..Read::default()
    };
    loop {
        let Ok(piece) = reader.next();
        match piece {
            None => return Ok(read),
            Some(Piece::Block(block)) => {
                read.blocks += 1;
                for record in block.columns().records() {
                    let put = record.put.map(owned_put);
                    read.records.push((record.key.to_owned(), put));
                }
            }
            Some(Piece::Lost(keys)) => {
                read.lost.puts.extend(keys.puts);
                read.lost.removes.extend(keys.removes);
            }
            Some(Piece::Missing { puts, removes }) => {
                read.missing_puts += puts;
                read.missing_removes += removes;
                read.is_blind = true;
            }
        }
    }
}

fn checked(file: &[u8]) -> Result<(u64, Vec<Damage>), Unreadable> {
    let Ok(checked) = check(file);
    checked
}

fn damage(file: &[u8]) -> Vec<Damage> {
    checked(file).unwrap().1
}

/// The hashes of all keys, from the indexes alone. None where an index is damaged.
fn keys(file: &[u8]) -> Option<LostKeys> {
    let Ok(Ok(mut reader)) = Reader::open(file) else {
        return None;
    };
    let mut all = LostKeys::default();
    loop {
        let Ok(piece) = reader.next_keys();
        match piece {
            None => return Some(all),
            Some(Keys::Known(index)) => {
                for (hash, is_put) in index.puts_and_removes() {
                    match is_put {
                        true => all.puts.push(hash),
                        false => all.removes.push(hash),
                    }
                }
            }
            Some(Keys::Unknown { .. }) => return None,
        }
    }
}

/// The merge of several files, the newest first: the newest record of every key, whether each key
/// comes once, and the losses.
fn merged(files: &[impl AsRef<[u8]>], shares: u64, seed: u64) -> Option<(Owned, bool, Lost)> {
    let mut merge = Merge::new(
        Share {
            number: 0,
            of: shares,
        },
        seed,
    );
    let (mut given, mut is_once) = (Owned::new(), true);
    for share in 0..shares {
        if share > 0 {
            merge.next_share(seed + share);
        }
        for (at, file) in files.iter().enumerate() {
            let Ok(reader) = Reader::open(file.as_ref());
            let mut reader = reader.ok()?;
            if !merge.begin(reader.header(), at + 1 == files.len()) {
                continue;
            }
            while let Ok(Some(piece)) = reader.next() {
                let Piece::Block(block) = &piece else {
                    merge.lose(&piece).unwrap();
                    continue;
                };
                for record in block.columns().records() {
                    if merge.is_newest(record.key).unwrap() {
                        let put = record.put.map(owned_put);
                        is_once &= given.insert(record.key.to_owned(), put).is_none();
                    }
                }
            }
        }
    }
    Some((given, is_once, merge.finish()))
}

/// Where the parts of a file lie: the blocks and indexes of its segments, and its directory, to
/// whose frame the trailer leads.
struct Layout {
    /// Every frame after the header: where it begins and ends.
    frames: Vec<(usize, usize)>,
    directory: usize,
}

impl Layout {
    fn of(file: &[u8]) -> Layout {
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let trailer = file.len() - 16;
        let directory = number(trailer);
        let mut frames = Vec::new();
        let mut at = 8 + 12 + number(8);
        while at < trailer {
            if number(at) == 0 {
                at += GAP as usize;
            }
            let end = at + 12 + number(at);
            frames.push((at, end));
            at = end;
        }
        assert_eq!(at, trailer);
        Layout { frames, directory }
    }

    /// The frames that are indexes: their damage loses nothing, and is reported.
    fn indexes(&self, file: &[u8]) -> Vec<(usize, usize)> {
        let is_index = |(start, end): &&(usize, usize)| {
            let mut damaged = file.to_vec();
            damaged[end - 1] ^= 1;
            let is_told = damage(&damaged).iter().any(|damage| {
                damage.part == Part::Index && damage.offset == *start as u64 && damage.records == 0
            });
            is_told && *start != self.directory
        };
        self.frames.iter().filter(is_index).copied().collect()
    }
}

fn any_records() -> impl Strategy<Value = Owned> {
    let value = proptest::collection::vec(any::<u8>(), 0..200);
    let put = proptest::option::weighted(0.8, (value, any::<Option<u64>>()));
    proptest::collection::btree_map(any::<String>(), put, 0..60)
}

/// Entries in columns, to make a batch of.
#[derive(Debug, Default)]
struct Columns {
    keys: String,
    key_lengths: Vec<u32>,
    values: Vec<u8>,
    value_lengths: Vec<u32>,
    ttls: Vec<u64>,
}

impl Columns {
    fn push(&mut self, key: &str, value: &[u8], ttl: Option<u64>) {
        self.keys.push_str(key);
        self.key_lengths.push(key.len() as u32);
        self.values.extend_from_slice(value);
        self.value_lengths.push(value.len() as u32);
        self.ttls.push(ttl.unwrap_or(UNLIMITED));
    }

    fn batch(&self) -> Batch<'_> {
        Batch::new(
            &self.keys,
            &self.key_lengths,
            &self.values,
            &self.value_lengths,
            &self.ttls,
        )
        .unwrap()
    }
}

/// A file of batches.
fn appended(batches: &[Columns], blocks: RangeInclusive<usize>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(ID, Kind::Snapshot, blocks);
    for columns in batches {
        let Ok::<_, Infallible>(()) = encoder.append(columns.batch(), &mut file);
    }
    let Ok::<_, Infallible>(length) = encoder.finish(SAVED_AT, &LostKeys::default(), 0, &mut file);
    assert_eq!(length, file.len() as u64);
    file
}

proptest! {
    #[test]
    fn what_is_encoded_is_read(owned in any_records(), block_bytes in 1usize..2000) {
        let file = file_of(Kind::Changes { covers: 3 }, &owned, &LostKeys::default(), block_bytes);
        let read = read(&file).unwrap();
        let header = read.header.unwrap();
        prop_assert_eq!((header.id, header.kind), (ID, Kind::Changes { covers: 3 }));
        prop_assert_eq!(header.saved_at, SAVED_AT);
        prop_assert_eq!(header.puts + header.removes, owned.len() as u64);
        prop_assert_eq!(header.key_bytes, owned.keys().map(|key| key.len() as u64).sum::<u64>());
        prop_assert_eq!(decode_head(&file[..HEAD_BYTES.min(file.len())]), Ok(header));
        prop_assert_eq!(read.lost_records(), 0);
        prop_assert_eq!(&read.owned(), &owned);
        prop_assert_eq!(read.records.len(), owned.len());
        let (blocks, damage) = checked(&file).unwrap();
        prop_assert_eq!((blocks, damage), (read.blocks as u64, vec![]));
        let hashes = keys(&file).unwrap();
        let hashes_of = |is_put: bool| {
            let keys = owned.iter().filter(move |(_, put)| put.is_some() == is_put);
            keys.map(|(key, _)| key_hash(key)).collect::<Vec<_>>()
        };
        prop_assert_eq!(hashes, LostKeys { puts: hashes_of(true), removes: hashes_of(false) });
    }

    /// With any batches.
    #[test]
    fn batches_make_the_file_that_single_records_make(
        entries in proptest::collection::vec(
            (any::<String>(), proptest::collection::vec(any::<u8>(), 0..300), any::<Option<u64>>()), 0..80),
        batch in 1usize..30,
        least in 1usize..2000,
        most in 0usize..2000,
    ) {
        let blocks = least..=least + most;
        let batches: Vec<Columns> = entries
            .chunks(batch)
            .map(|entries| {
                let mut columns = Columns::default();
                for (key, value, ttl) in entries {
                    columns.push(key, value, *ttl);
                }
                columns
            })
            .collect();
        let expected: Vec<_> = entries
            .iter()
            .map(|(key, value, ttl)| {
                let ttl = ttl.filter(|ttl| *ttl != UNLIMITED);
                (key.clone(), (ttl != Some(0)).then(|| (value.clone(), ttl)))
            })
            .collect();
        let file = appended(&batches, blocks);
        let read = read(&file).unwrap();
        // A removal has a value, which nobody is given.
        prop_assert_eq!(read.records, expected);
        prop_assert_eq!(damage(&file), vec![]);
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
        if let Ok(read) = read(&file) {
            prop_assert!(read.records.len() <= owned.len());
            for (key, put) in read.records {
                prop_assert_eq!(owned.get(&key), Some(&put));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(read(&bytes).is_err());
        for version in 1..=2 {
            let mut file = vec![0x93, b'L', b'A', b'R', b'D', b'E', b'R', version];
            file.extend_from_slice(&bytes);
            prop_assert!(read(&file).is_err());
            prop_assert!(checked(&file).is_err());
        }
    }

    #[test]
    fn a_part_of_another_file_is_never_taken_for_one_of_this(
        values in proptest::collection::btree_map("[a-z]{3}", any::<[u8; 2]>(), 20..60),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let owned = |swap: bool| -> Owned {
            let value = |[a, b]: [u8; 2]| if swap { vec![b, a] } else { vec![a, b] };
            values.iter().map(|(key, both)| (key.clone(), Some((value(*both), None)))).collect()
        };
        let (one, other) = (owned(false), owned(true));
        let file = |id, owned| file_with_id(id, Kind::Snapshot, owned, &LostKeys::default(), 40);
        let mut spliced = file(ID, &one);
        // Checksums take nine bytes or ten, so that the files of some ids differ in length.
        let mut files = (1..500).map(|n| file(ID + n, &other));
        let foreign = files.find(|foreign| foreign.len() == spliced.len());
        prop_assume!(foreign.is_some());
        let foreign = foreign.unwrap();
        let (from, to) = (from.index(spliced.len()), to.index(spliced.len()));
        let part = from.min(to)..from.max(to);
        spliced[part.clone()].copy_from_slice(&foreign[part]);
        if let Ok(read) = read(&spliced) {
            let given = read.owned();
            let of = |owned: &Owned| given.iter().all(|(key, put)| owned.get(key) == Some(put));
            prop_assert!(of(&one) || of(&other), "entries of both");
            prop_assert_eq!(given.len() as u64 + read.lost_puts(), one.len() as u64);
        }
    }

    #[test]
    fn a_merge_is_the_newest_record_of_every_key(
        files in proptest::collection::vec(any_records(), 1..6),
        shares in 1u64..5,
        seed in 0..u64::MAX - 10,
    ) {
        let mut model = Owned::new();
        for file in &files {
            model.extend(file.clone());
        }
        let file = |owned| file_of(Kind::Changes { covers: 1 }, owned, &LostKeys::default(), 300);
        let files: Vec<Vec<u8>> = files.iter().rev().map(file).collect();
        let (given, is_once, lost) = merged(&files, shares, seed).unwrap();
        prop_assert!(is_once, "a key comes once");
        prop_assert_eq!(given, model);
        prop_assert_eq!(lost, Lost::default());
    }

    /// The heart of salvage, over several files, each damaged or not. No replaced or removed record
    /// shows. Where the indexes are intact, every entry is given or counted.
    #[test]
    fn a_merge_of_damaged_files_gives_or_counts_every_entry(
        files in proptest::collection::vec(
            proptest::collection::btree_map("[a-h]", any::<Option<u8>>(), 0..8), 1..5),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..), 0..4),
        shares in 1u64..5,
        seed in 0..u64::MAX - 10,
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
        let Some((given, is_once, lost)) = merged(&bytes, shares, seed) else {
            return Ok(());
        };
        prop_assert!(is_once, "a key comes once");
        for (key, put) in &given {
            prop_assert_eq!(model.get(key), Some(put));
        }
        let stored = model.values().filter(|put| put.is_some()).count() as u64;
        let live = given.values().filter(|put| put.is_some()).count() as u64;
        let is_known = |file: &Vec<u8>| read(file).is_ok_and(|read| !read.is_blind);
        if bytes.iter().all(is_known) {
            prop_assert_eq!(live + lost.count(), stored);
            prop_assert!(!lost.blind);
        } else if live < stored {
            prop_assert!(lost.count() > 0);
        }
        // The result is the same in shares and at once.
        let (at_once, _, lost_at_once) = merged(&bytes, 1, seed).unwrap();
        prop_assert_eq!(given, at_once);
        prop_assert_eq!(lost.count(), lost_at_once.count());
        prop_assert_eq!(lost.blind, lost_at_once.blind);
    }
}

#[test]
fn small_blocks_make_several_segments() {
    let (_, file) = in_segments();
    let layout = Layout::of(&file);
    assert!(layout.indexes(&file).len() >= 3, "several segments");
    assert!(layout.frames.len() > 20, "of several blocks");
    assert_eq!(layout.frames.last().unwrap().0, layout.directory);
}

#[test]
fn every_flip_of_a_bit_loses_one_block_at_most_and_counts_it() {
    let (owned, file) = in_segments();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let read = read(&file).unwrap_or_else(|_| panic!("byte {at} makes all unreadable"));
            let is_right = |(key, put): &(String, _)| owned.get(key) == Some(put);
            assert!(read.records.iter().all(is_right), "byte {at}");
            assert_eq!(
                read.records.len() as u64 + read.lost_puts(),
                owned.len() as u64,
                "byte {at}"
            );
            assert!(read.lost_puts() <= 2, "byte {at} loses more than a block");
            assert!(!read.is_blind, "byte {at}: the keys are known");
            assert_eq!(read.header.unwrap().puts, owned.len() as u64);
            let damage = damage(&file);
            let hit = damage.iter().any(|damage| {
                (damage.offset..damage.offset + damage.length).contains(&(at as u64))
            });
            assert!(hit, "byte {at} is not where the damage is: {damage:?}");
            let records: u64 = damage.iter().map(|damage| damage.records).sum();
            assert_eq!(records, read.lost_records(), "byte {at}");
        }
    }
}

/// This holds also where the damage makes the version another one.
#[test]
fn every_value_of_a_byte_that_is_not_of_a_block_loses_nothing() {
    let (owned, file) = in_segments();
    let layout = Layout::of(&file);
    let head = 0..layout.frames[0].0;
    for at in head.chain(layout.directory..file.len()) {
        for flip in 1..=255 {
            let mut file = file.clone();
            file[at] ^= flip;
            let read = read(&file).unwrap_or_else(|_| panic!("byte {at} ^ {flip}"));
            assert_eq!(read.owned(), owned, "byte {at} ^ {flip}");
            assert_eq!(read.header.unwrap().puts, owned.len() as u64);
            assert!(
                decode_head(&file).is_err() || decode_head(&file) == Ok(read.header.unwrap()),
                "byte {at} ^ {flip} makes another header"
            );
        }
    }
}

#[test]
fn every_truncation_keeps_what_is_before_it_and_counts_the_rest() {
    let (owned, file) = in_segments();
    let mut most = 0;
    for length in 0..file.len() {
        match read(&file[..length]) {
            Ok(read) => {
                let is_right = |(key, put): &(String, _)| owned.get(key) == Some(put);
                assert!(read.records.iter().all(is_right));
                assert_eq!(
                    read.records.len() as u64 + read.lost_puts(),
                    owned.len() as u64,
                    "{length} bytes"
                );
                assert!(
                    read.records.len() >= most,
                    "{length} bytes give less than fewer did"
                );
                most = read.records.len();
                assert_ne!(damage(&file[..length]), [], "{length} bytes");
            }
            Err(why) => {
                assert_eq!(why, Unreadable::Damaged);
                assert!(length < 70, "{length} bytes hold the header");
            }
        }
    }
    assert_eq!(most, owned.len());
}

#[test]
fn a_damaged_header_and_a_damaged_directory_each_lose_nothing() {
    let (owned, file) = in_segments();
    let directory = Layout::of(&file).directory;
    let mut headless = file.clone();
    headless[..20].fill(0);
    let read_headless = read(&headless).unwrap();
    assert_eq!(read_headless.owned(), owned);
    assert_eq!(damage(&headless)[0].part, Part::Header);

    let (all, trailer) = (directory..file.len(), file.len() - 16..file.len());
    for damaged in [all, directory..directory + 20, trailer] {
        let mut endless = file.clone();
        endless[damaged.clone()].fill(0);
        let read_endless = read(&endless).unwrap();
        assert_eq!(read_endless.owned(), owned);
        assert_eq!(read_endless.header, read(&file).unwrap().header);
        let damage = damage(&endless);
        assert!(
            matches!(damage[..], [Damage { part: Part::Index, offset, records: 0, .. }] if offset <= damaged.start as u64),
            "{damage:?}"
        );
        assert!(keys(&endless).is_some(), "the indexes are found");

        endless[..20].fill(0);
        assert_eq!(read(&endless).err(), Some(Unreadable::Damaged));
        assert_eq!(checked(&endless).err(), Some(Unreadable::Damaged));
    }
}

#[test]
fn damaged_indexes_lose_nothing_with_the_directory_or_without() {
    let (owned, file) = in_segments();
    let layout = Layout::of(&file);
    let indexes = layout.indexes(&file);
    let mut indexless = file.clone();
    for (start, _) in &indexes {
        let mut file = file.clone();
        for file in [&mut file, &mut indexless] {
            file[start + 12] ^= 1;
        }
        assert_eq!(read(&file).unwrap().owned(), owned);
        assert!(matches!(
            damage(&file)[..],
            [Damage { part: Part::Index, offset, .. }] if offset == *start as u64
        ));
        assert_eq!(keys(&file), None, "what is damaged is not made up");

        // Without the directory, the blocks after it are found all the same.
        file[layout.directory..].fill(0);
        let read = read(&file).unwrap();
        assert_eq!(read.owned(), owned);
        assert_eq!(read.lost_records(), 0);
        assert_ne!(damage(&file), []);
    }
    assert_eq!(read(&indexless).unwrap().owned(), owned);
    assert_eq!(damage(&indexless).len(), indexes.len());
    indexless[layout.directory..].fill(0);
    assert_eq!(read(&indexless).unwrap().owned(), owned);
}

/// Two places are damaged: the other segments are as they were.
#[test]
fn a_block_that_is_damaged_with_its_index_is_counted_and_its_keys_are_not_known() {
    let (owned, file) = in_segments();
    let layout = Layout::of(&file);
    let mut is_after = 0;
    for (start, _) in layout.indexes(&file) {
        let block = layout.frames.iter().rfind(|(_, end)| *end <= start);
        let mut damaged = file.clone();
        damaged[start + 12] ^= 1;
        damaged[block.unwrap().1 - 1] ^= 1;
        let read = read(&damaged).unwrap();
        assert!(read.is_blind);
        assert!(read.lost_puts() >= 1);
        assert_eq!(
            read.records.len() as u64 + read.lost_puts(),
            owned.len() as u64
        );
        let is_right = |(key, put): &(String, _)| owned.get(key) == Some(put);
        assert!(read.records.iter().all(is_right));
        assert!(read.records.len() > is_after, "only a block is lost");
        is_after = 40;
    }
}

/// A source that is never asked for more than so many bytes at once.
struct Limited<'a>(&'a [u8], u64);

impl Source for Limited<'_> {
    type Error = u64;

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, u64> {
        let end = end.min(self.size());
        let bytes = end.saturating_sub(offset);
        if bytes > self.1 {
            return Err(bytes);
        }
        let Ok(bytes) = self.0.read(offset, end);
        Ok(bytes)
    }
}

/// However large the file is, no length and no offset in it is trusted.
#[test]
fn no_flip_of_a_bit_makes_a_reader_ask_for_more_than_a_segment() {
    let (owned, file) = snapshot(6000, 1000);
    let layout = Layout::of(&file);
    let indexes = layout.indexes(&file);
    let starts = [0].into_iter().chain(indexes.iter().map(|(_, end)| *end));
    let ends = starts.zip(&indexes).map(|(start, (_, end))| end - start);
    let segment = ends.max().unwrap() as u64;
    assert!(segment < file.len() as u64 / 3);
    let lengths = layout
        .frames
        .iter()
        .flat_map(|(start, _)| *start..start + 4);
    for at in (0..40).chain(lengths).chain(file.len() - 16..file.len()) {
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let mut reader = Reader::open(Limited(&file, segment)).unwrap().unwrap();
            let mut given = 0;
            while let Some(piece) = reader.next().unwrap() {
                if let Piece::Block(block) = piece {
                    given += block.columns().len();
                }
            }
            assert_eq!(given, owned.len(), "byte {at}");
            let told = header(&Limited(&file, segment)).unwrap();
            assert_eq!(told, Ok(*reader.header()), "byte {at}");
        }
    }
}

#[test]
fn bytes_after_the_end_lose_nothing() {
    let (owned, mut file) = in_segments();
    file.extend_from_slice(b"more");
    assert_eq!(read(&file).unwrap().owned(), owned);
    assert_ne!(damage(&file), []);
}

/// A lost extent reads as zeros. Every twelve of them could pass for an empty frame, and every
/// damaged block would be one more piece to report.
#[test]
fn what_cannot_be_read_is_told_in_few_words_however_long_it_is() {
    let (_, file) = snapshot(20, 100);
    let mut zeros = file[..120].to_vec();
    zeros.resize(4 << 20, 0);
    let mut garbage = file[..120].to_vec();
    while garbage.len() < 4 << 20 {
        garbage.extend_from_slice(&[1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
    }
    for file in [zeros, garbage] {
        let read = read(&file).unwrap();
        assert!(read.blocks <= 1);
        assert!(damage(&file).len() <= 3, "{:?}", damage(&file));
        assert!(read.lost_puts() >= 15);
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let (owned, mut file) = snapshot(3, 100);
    let end = file.len();
    file[7] = 4;
    assert_eq!(decode_head(&file), Err(Unreadable::Version(4)));
    let read_by_its_end = read(&file).expect("the end of the file says version 2");
    assert_eq!(read_by_its_end.owned(), owned);
    file[end - 1] = 4;
    assert_eq!(read(&file).err(), Some(Unreadable::Version(4)));
    assert_eq!(checked(&file).err(), Some(Unreadable::Version(4)));
}

#[test]
fn an_entry_larger_than_a_block_has_one_of_its_own() {
    let mut owned = Owned::new();
    owned.insert("a small one".into(), Some((vec![1], None)));
    owned.insert("large".into(), Some((vec![7; 1_000_000], None)));
    owned.insert("small again".into(), Some((vec![2], None)));
    let file = file_of(Kind::Snapshot, &owned, &LostKeys::default(), 100);
    let pushed = read(&file).unwrap();
    assert_eq!(pushed.blocks, 3);
    assert_eq!(pushed.owned(), owned);

    let mut columns = Columns::default();
    for record in records(&owned) {
        let put = record.put.unwrap();
        columns.push(record.key, put.value, put.ttl);
    }
    let file = appended(&[columns], blocks(100));
    let appended = read(&file).unwrap();
    assert_eq!(appended.blocks, 3);
    assert_eq!(appended.owned(), owned);
}

#[test]
fn blocks_grow_with_the_file_between_their_bounds() {
    let (least, most) = (100, 1000);
    let value = [3; 20];
    let keys: Vec<String> = (0..4000).map(|n| format!("{n:04}")).collect();
    let put = Some(Put {
        value: &value,
        ttl: None,
    });
    let mut records = keys.iter().map(|key| Record { key, put });
    let lost = LostKeys::default();
    let file = encode(1, Kind::Snapshot, 0, &mut records, &lost, 0, least..=most);
    let Ok(Ok(mut reader)) = Reader::open(file.as_slice()) else {
        panic!("it was written whole");
    };
    let mut sizes = Vec::new();
    while let Ok(Some(Piece::Block(block))) = reader.next() {
        sizes.push(block.columns().len() * (24 + 17));
    }
    let last = sizes.pop().unwrap();
    assert!(last <= most);
    assert!(sizes[0] <= least && sizes[0] > least / 2, "{sizes:?}");
    assert!(sizes.is_sorted(), "{sizes:?}");
    let largest = *sizes.last().unwrap();
    assert!(largest <= most && largest > most - 41, "{sizes:?}");
}

#[test]
fn an_entry_of_a_batch_that_lives_for_no_time_removes_its_key() {
    let mut columns = Columns::default();
    columns.push("gone", b"never read", Some(0));
    columns.push("kept", b"value", Some(1));
    columns.push("unlimited", b"", None);
    let file = appended(&[columns], blocks(1000));
    let read = read(&file).unwrap();
    let header = read.header.unwrap();
    assert_eq!((header.puts, header.removes), (2, 1));
    let expected = [
        ("gone".to_owned(), None),
        ("kept".into(), Some((b"value".to_vec(), Some(1)))),
        ("unlimited".into(), Some((vec![], None))),
    ];
    assert_eq!(read.records, expected);
}

#[test]
fn columns_that_do_not_fit_each_other_are_no_batch() {
    let fits = |keys, key_lengths: &[u32], values, value_lengths: &[u32], ttls: &[u64]| {
        Batch::new(keys, key_lengths, values, value_lengths, ttls).is_ok()
    };
    assert!(fits("", &[], b"", &[], &[]));
    assert!(fits("ab", &[1, 1], b"xyz", &[3, 0], &[]));
    assert!(fits("ab", &[2, 0], b"xyz", &[0, 3], &[0, UNLIMITED]));
    assert!(fits("é☃", &[2, 3], b"", &[0, 0], &[]));

    assert!(!fits("ab", &[1, 1], b"xyz", &[3], &[]), "lengths");
    assert!(!fits("ab", &[1, 1], b"xyz", &[3, 0, 0], &[]), "lengths");
    assert!(!fits("ab", &[1, 1], b"xyz", &[3, 0], &[1]), "ttls");
    assert!(!fits("ab", &[1, 1], b"xyz", &[3, 0], &[1, 2, 3]), "ttls");
    assert!(!fits("ab", &[1], b"", &[0], &[]), "keys left");
    assert!(!fits("ab", &[3], b"", &[0], &[]), "keys missing");
    assert!(!fits("a", &[1], b"xyz", &[2], &[]), "values left");
    assert!(!fits("a", &[1], b"xyz", &[4], &[]), "values missing");
    assert!(!fits("é☃", &[1, 4], b"", &[0, 0], &[]), "in a character");
    assert!(!fits("é☃", &[3, 2], b"", &[0, 0], &[]), "in a character");
    let overflowing = [u32::MAX, 2];
    assert!(!fits("a", &overflowing, b"", &[0, 0], &[]), "keys overflow");
    assert!(
        !fits("", &[0, 0], b"a", &overflowing, &[]),
        "values overflow"
    );
}

#[test]
fn no_records_make_a_whole_file() {
    let file = file_of(Kind::Snapshot, &Owned::new(), &LostKeys::default(), 100);
    assert_eq!(checked(&file), Ok((0, vec![])));
    assert_eq!(read(&file).unwrap().records, []);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0xff;
        let read = read(&damaged).unwrap();
        assert_eq!((read.records.len(), read.lost_records()), (0, 0));
        assert_ne!(damage(&damaged), [], "byte {at}");
    }
}

/// The length of a file is known before its contents are.
#[test]
fn the_header_is_written_when_everything_else_is_and_takes_the_same_place() {
    /// Where each write went, and how long it was.
    #[derive(Default)]
    struct Writes(Vec<(u64, u64)>);
    impl larder_disk::format::Sink<Infallible> for Writes {
        fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
            self.0.push((offset, bytes.len() as u64));
            Ok(())
        }
    }
    let value = vec![1; 100_000];
    let mut writes = Writes::default();
    let mut encoder = Encoder::new(u64::MAX, Kind::Snapshot, blocks(1000));
    for n in 0..20 {
        let key = format!("{n}");
        let put = Some(Put {
            value: &value,
            ttl: None,
        });
        let Ok::<_, Infallible>(()) = encoder.push(Record { key: &key, put }, &mut writes);
    }
    let lost = LostKeys {
        puts: vec![7],
        removes: vec![],
    };
    let Ok::<_, Infallible>(length) = encoder.finish(u64::MAX, &lost, u64::MAX, &mut writes);
    let (last, rest) = writes.0.split_last().unwrap();
    assert_eq!(last.0 + last.1, length, "the end comes last");
    let mut next = 0;
    let again: Vec<_> = rest
        .iter()
        .filter(|(offset, bytes)| {
            let is_next = *offset == next;
            next += if is_next { *bytes } else { 0 };
            !is_next
        })
        .collect();
    assert!(
        matches!(again[..], [(0, bytes)] if *bytes < HEAD_BYTES as u64),
        "everything but the header is written once: {again:?}"
    );
    assert!(rest.len() < 12, "in few writes: {}", rest.len());
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
    // A loss from before is known, and takes no bytes.
    assert!(damage(&newer).iter().all(|damage| damage.length == 0));
    let (given, _, lost_again) = merged(&[newer, older], 1, 0).unwrap();
    assert_eq!(given.keys().collect::<Vec<_>>(), ["c"]);
    assert_eq!(lost_again.keys, lost);
    assert_eq!(lost_again.count(), 1, "a removal is no entry");
}

/// It is not known which keys were changed: any of them may have been.
#[test]
fn nothing_older_shows_below_changes_whose_keys_are_not_known() {
    let (older_entries, older) = in_segments();
    let key = ("key-1".to_owned(), Some((b"new".to_vec(), None)));
    let changes = Owned::from([key, ("key-2".into(), None)]);
    let newer = file_of(
        Kind::Changes { covers: 1 },
        &changes,
        &LostKeys::default(),
        1,
    );
    let layout = Layout::of(&newer);
    let mut damaged = newer.clone();
    damaged[layout.frames[0].1 - 1] ^= 1;
    damaged[layout.indexes(&newer)[0].0 + 12] ^= 1;
    for shares in 1..4 {
        let (given, _, lost) = merged(&[&damaged, &older], shares, 0).unwrap();
        assert_eq!(given.keys().collect::<Vec<_>>(), ["key-2"]);
        assert!(lost.blind);
        assert_eq!(lost.count(), 1 + older_entries.len() as u64);
    }
}
