//! Checks that must hold for any bytes as files of the store.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use larder_disk::format::{
    Encoder, Header, Keys, Kind, LostKeys, Piece, Put, Reader, Record, Source, check as check_file,
    decode_head, encode, key_hash,
};
use larder_disk::records::{Merge, Share};

use crate::forge::{VERSION, preamble};
use crate::repair::repaired;

/// Checks the bytes in three ways: as files, newest first; as the same files with repaired
/// checksums; as a recipe for a file's records.
pub fn check(bytes: &[u8]) {
    let files = split(bytes);
    check_files(&files);
    let repaired: Vec<Vec<u8>> = files.iter().map(|file| repaired(file)).collect();
    check_files(&repaired);
    check_written(bytes);
}

/// Splits the bytes where the end of a file is followed by the beginning of another.
fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let is_preamble = |bytes: &[u8]| (1..=VERSION).any(|version| bytes == preamble(version));
    let length = preamble(VERSION).len();
    let is_seam = |window: &[u8]| is_preamble(&window[..length]) && is_preamble(&window[length..]);
    let mut files = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(2 * length).position(is_seam) {
        let (file, after) = rest.split_at(at + length);
        files.push(file);
        rest = after;
    }
    files.push(rest);
    files
}

fn check_files(files: &[impl AsRef<[u8]>]) {
    let files: Vec<Decoded> = files
        .iter()
        .filter_map(|file| decoded(file.as_ref()))
        .collect();
    check_merged(&files);
    files.iter().for_each(check_rewritten);
}

/// A file and everything that its reader gives.
struct Decoded<'a> {
    bytes: &'a [u8],
    header: Header,
    records: Vec<Owned>,
    lost: LostKeys,
    /// How many missing records have unknown keys: puts, and removes.
    missing: (u64, u64),
    is_blind: bool,
}

impl Decoded<'_> {
    /// How many puts and how many removes are given, lost or missing.
    fn counted(&self) -> (u64, u64) {
        let puts = self.records.iter().filter(|(_, put)| put.is_some()).count();
        let removes = self.records.len() - puts;
        (
            (puts + self.lost.puts.len()) as u64 + self.missing.0,
            (removes + self.lost.removes.len()) as u64 + self.missing.1,
        )
    }
}

type Owned = (String, Option<(Vec<u8>, Option<u64>)>);

fn record((key, put): &Owned) -> Record<'_> {
    Record {
        key,
        put: put.as_ref().map(|(value, ttl)| Put { value, ttl: *ttl }),
    }
}

/// Bytes that count how many of them were read.
struct Counted<'a>(&'a [u8], &'a Cell<usize>);

impl Source for Counted<'_> {
    type Error = Infallible;

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, Infallible> {
        assert!(offset <= end && end <= self.size() + 200, "within the file");
        let bytes = self.0.read(offset, end)?;
        self.1.set(self.1.get() + bytes.len() + 1);
        Ok(bytes)
    }
}

/// Reads a file, and checks the reader. It must read no more than a few times the length of the
/// file, and agree with `check`. Lost keys must come from the indexes.
fn decoded(bytes: &[u8]) -> Option<Decoded<'_>> {
    let read = Cell::new(0);
    let Ok(checked) = check_file(bytes);
    let Ok(reader) = Reader::open(Counted(bytes, &read));
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(why) => {
            assert_eq!(checked.err(), Some(why));
            assert_eq!(decode_head(bytes), Err(why));
            return None;
        }
    };
    let mut decoded = Decoded {
        bytes,
        header: *reader.header(),
        records: Vec::new(),
        lost: LostKeys::default(),
        missing: (0, 0),
        is_blind: false,
    };
    loop {
        let Ok(piece) = reader.next();
        match piece {
            None => break,
            Some(Piece::Block(block)) => {
                let columns = block.columns();
                assert_eq!(columns.records().count(), columns.len());
                decoded.records.extend(columns.records().map(|record| {
                    let put = record.put.map(|put| (put.value.to_vec(), put.ttl));
                    (record.key.to_owned(), put)
                }));
            }
            Some(Piece::Lost(keys)) => {
                decoded.lost.puts.extend(keys.puts);
                decoded.lost.removes.extend(keys.removes);
            }
            Some(Piece::Missing { puts, removes }) => {
                decoded.missing.0 += puts;
                decoded.missing.1 += removes;
                decoded.is_blind = true;
            }
        }
    }
    // The reader reads the end to find the directory, else all frames; then each block, and each
    // block again with the index.
    assert!(
        read.get() <= 8 * bytes.len() + 1000,
        "{} of {}",
        read.get(),
        bytes.len()
    );

    let (_, damage) = checked.expect("what is read can be checked");
    let is_lossy = decoded.is_blind || decoded.lost != LostKeys::default();
    assert!(!is_lossy || !damage.is_empty() || bytes.is_empty() || decoded.is_blind);
    assert!(
        damage
            .iter()
            .all(|damage| damage.offset + damage.length <= bytes.len() as u64 + 200)
    );
    check_keys(&decoded);
    Some(decoded)
}

/// Intact indexes have the keys of all given and lost records.
fn check_keys(file: &Decoded) {
    let Ok(Ok(mut reader)) = Reader::open(file.bytes) else {
        panic!("it was read before");
    };
    let (mut puts, mut removes, mut is_whole) = (0, 0, true);
    loop {
        let Ok(piece) = reader.next_keys();
        match piece {
            None => break,
            Some(Keys::Known(index)) => {
                for (_, is_put) in index.puts_and_removes() {
                    puts += u64::from(is_put);
                    removes += u64::from(!is_put);
                }
            }
            Some(Keys::Unknown { .. }) => is_whole = false,
        }
    }
    let header = &file.header;
    assert!(puts <= header.puts && removes <= header.removes);
    assert!(!is_whole || (puts, removes) == (header.puts, header.removes));
}

/// A merge gives the newest readable record of each key, unless a newer one is lost or may be lost.
fn check_merged(files: &[Decoded]) {
    let mut expected = Vec::new();
    let mut seen = BTreeSet::new();
    let mut hidden: BTreeSet<u64> = BTreeSet::new();
    let mut blind = false;
    for file in files {
        if blind {
            break;
        }
        let hashes = file.records.iter().map(|(key, _)| key_hash(key));
        let lost = file.lost.puts.iter().chain(&file.lost.removes).copied();
        if !hashes.chain(lost).all(distinct()) {
            // No writer makes such a file, so nothing is promised about it.
            return;
        }
        for record in &file.records {
            let (key, _) = record;
            if seen.insert(key) && !hidden.contains(&key_hash(key)) {
                expected.push(record);
            }
        }
        blind = file.is_blind && file.header.kind != Kind::Snapshot;
        hidden.extend(file.lost.puts.iter().chain(&file.lost.removes));
    }
    let whole = merged(files, 1);
    assert!(whole.0.iter().eq(expected));
    assert_eq!(whole.1, blind);
    // A merge in shares gives the same records in another order.
    let mut shared = merged(files, 3);
    let mut whole = whole;
    shared.0.sort();
    whole.0.sort();
    assert_eq!(shared, whole);
}

fn distinct<T: Ord>() -> impl FnMut(T) -> bool {
    let mut seen = BTreeSet::new();
    move |item| seen.insert(item)
}

/// Merges the files. Gives the newest records, whether older records were left out because a newer
/// one may be lost, and how many entries are lost.
fn merged(files: &[Decoded], shares: u64) -> (Vec<Owned>, bool, u64) {
    let mut merge = Merge::new(
        Share {
            number: 0,
            of: shares,
        },
        7,
    );
    let mut newest = Vec::new();
    for share in 0..shares {
        if share > 0 {
            merge.next_share(8 + share);
        }
        for (at, file) in files.iter().enumerate() {
            if !merge.begin(&file.header, at + 1 == files.len()) {
                continue;
            }
            let Ok(Ok(mut reader)) = Reader::open(file.bytes) else {
                panic!("it was read before");
            };
            while let Ok(Some(piece)) = reader.next() {
                merge.lose(&piece).expect("there is memory");
                let Piece::Block(block) = piece else { continue };
                for record in block.columns().records() {
                    if merge.is_newest(record.key).expect("there is memory") {
                        let put = record.put.map(|put| (put.value.to_vec(), put.ttl));
                        newest.push((record.key.to_owned(), put));
                    }
                }
            }
        }
    }
    let lost = merge.finish();
    (newest, lost.blind, lost.count())
}

/// The records of a file can be written. The new file gives the same records, and writing these
/// gives the same bytes.
fn check_rewritten(file: &Decoded) {
    let once = rewritten(file);
    let again = decoded(&once).expect("it was written whole");
    assert_eq!(
        (again.header.id, again.header.kind),
        (file.header.id, file.header.kind)
    );
    assert_eq!(again.header.lost, file.header.lost);
    assert_eq!(again.records, file.records);
    assert_eq!(again.lost, file.lost);
    assert!(!again.is_blind);
    let Ok(Ok((_, damage))) = check_file(once.as_slice()) else {
        panic!("it was written whole");
    };
    assert!(damage.iter().all(|damage| damage.length == 0));
    assert!(once == rewritten(&again));
}

fn rewritten(file: &Decoded) -> Vec<u8> {
    let Header {
        id,
        kind,
        saved_at,
        lost,
        ..
    } = file.header;
    let mut records = file.records.iter().map(record);
    encode(id, kind, saved_at, &mut records, &file.lost, lost, 64..=128)
}

/// Makes a file of records from these bytes. It is read as it was written; after damage, the reader
/// gives or counts every record.
fn check_written(bytes: &[u8]) {
    let (damage, bytes) = bytes.split_at(bytes.len().min(8));
    let made: Vec<Owned> = made_records(bytes).into_iter().collect();
    let mut file = Vec::new();
    let mut encoder = Encoder::new(bytes.len() as u64, Kind::Changes { covers: 1 }, 100..=200);
    for owned in &made {
        let Ok::<_, Infallible>(()) = encoder.push(record(owned), &mut file);
    }
    let Ok::<_, Infallible>(length) = encoder.finish(0, &LostKeys::default(), 0, &mut file);
    assert_eq!(length, file.len() as u64);
    let Ok(checked) = check_file(file.as_slice());
    assert!(checked.is_ok_and(|(_, damage)| damage.is_empty()));
    assert_eq!(decoded(&file).expect("it was written whole").records, made);

    for place in damage.as_chunks::<4>().0 {
        let [high, low, place @ .., flip] = *place;
        let at = usize::from(u16::from_le_bytes([high, low])) * 256 + usize::from(place[0]);
        let at = at % file.len();
        file[at] ^= flip;
    }
    let Some(damaged) = decoded(&file) else {
        return;
    };
    let puts = made.iter().filter(|(_, put)| put.is_some()).count();
    let written = (puts as u64, (made.len() - puts) as u64);
    assert_eq!(
        damaged.counted(),
        written,
        "every record is given or counted"
    );
    let given = damaged.records;
    let mut left = made.iter();
    assert!(
        given.iter().all(|record| left.any(|other| other == record)),
        "the records were written, in this order"
    );
}

/// A value and its time to live.
type Stored = (Vec<u8>, Option<u64>);

/// Makes records: for each, a byte has its kind and lengths, then come its key and its value.
fn made_records(mut bytes: &[u8]) -> BTreeMap<String, Option<Stored>> {
    let mut records = BTreeMap::new();
    let mut take = |length: usize| {
        let (taken, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        taken
    };
    while let [lengths] = take(1) {
        let key = String::from_utf8_lossy(take(usize::from(lengths % 8))).into_owned();
        let value = take(usize::from(lengths / 8 % 8) * 5).to_vec();
        let ttl = (lengths / 64 == 1).then_some(u64::from(*lengths));
        let put = (lengths / 64 != 2).then_some((value, ttl));
        records.insert(key, put);
    }
    records
}
