//! What holds of files of the store, whatever their bytes are.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use larder_disk::format::{
    Decoded, Header, Kind, LostKeys, Put, Record, TRAILER_BYTES, decode, decode_head, decode_tail,
    decode_trailer, encode, key_hash,
};
use larder_disk::merge::merge;

use super::forge::PREAMBLE;
use super::repair::repaired;

/// Checks these bytes as files one after the other, newest first; the same with checksums that hold; and a
/// file of records that are made from these bytes.
pub fn check(bytes: &[u8]) {
    let files = split(bytes);
    check_files(&files);
    let repaired: Vec<Vec<u8>> = files.iter().map(|file| repaired(file)).collect();
    check_files(&repaired);
    check_written(bytes);
}

/// Files are told apart by the end of one right before the beginning of another.
fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let seam = [*PREAMBLE, *PREAMBLE].concat();
    let mut files = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(seam.len()).position(|window| window == seam) {
        let (file, after) = rest.split_at(at + PREAMBLE.len());
        files.push(file);
        rest = after;
    }
    files.push(rest);
    files
}

fn check_files(files: &[impl AsRef<[u8]>]) {
    let decoded: Vec<Decoded> = files
        .iter()
        .filter_map(|file| checked(file.as_ref()))
        .collect();
    check_merged(&decoded);
    decoded.iter().for_each(check_rewritten);
}

/// What a file decodes to, which its parts decode to as well.
fn checked(file: &[u8]) -> Option<Decoded<'_>> {
    let trailer = file.len().checked_sub(TRAILER_BYTES).map(|at| &file[at..]);
    let index = trailer.and_then(decode_trailer).and_then(|offset| {
        let start = usize::try_from(offset).ok()?;
        decode_tail(file.get(start..)?, offset)
    });
    let decoded = match decode(file) {
        Ok(decoded) => decoded,
        Err(why) => {
            assert!(index.is_none(), "the index is whole");
            assert_eq!(decode_head(file), Err(why));
            return None;
        }
    };
    assert_eq!(decoded.indexed, index.is_some());
    match index {
        None => assert_eq!(decode_head(file), Ok(decoded.header)),
        Some((header, blocks)) => {
            assert_eq!(header, decoded.header);
            assert_eq!(blocks.len(), decoded.blocks.len());
            for (one, other) in blocks.iter().zip(&decoded.blocks) {
                assert!(one.put_hashes().eq(other.put_hashes()));
                assert!(one.remove_hashes().eq(other.remove_hashes()));
            }
        }
    }
    Some(decoded)
}

fn records<'a>(file: &Decoded<'a>) -> Vec<Record<'a>> {
    let blocks = file.blocks.iter().filter_map(|block| block.records());
    blocks.flatten().collect()
}

/// The keys of the blocks that cannot be read.
fn lost_keys(file: &Decoded) -> LostKeys {
    let mut lost = LostKeys::default();
    for block in file.blocks.iter().filter(|block| block.records().is_none()) {
        lost.puts.extend(block.put_hashes());
        lost.removes.extend(block.remove_hashes());
    }
    lost
}

/// A merge gives of each key the newest record that can be read, unless a newer one was or may have been lost.
fn check_merged(files: &[Decoded]) {
    let mut expected = Vec::new();
    let mut seen = BTreeSet::new();
    let mut hidden: BTreeSet<u64> = BTreeSet::new();
    let mut blind = false;
    for file in files {
        if blind {
            break;
        }
        let newest = records(file);
        if !newest.iter().map(|record| record.key).all(distinct()) {
            // No writer makes such a file, and whoever forges one gets what is in it.
            return;
        }
        expected.extend(
            newest.iter().filter(|record| {
                seen.insert(record.key) && !hidden.contains(&key_hash(record.key))
            }),
        );
        let lossy = file.lost_records() > 0;
        blind = lossy && !file.indexed && file.header.kind != Kind::Snapshot;
        if lossy && file.indexed {
            let lost = lost_keys(file);
            hidden.extend(lost.puts.iter().chain(&lost.removes));
        }
    }
    let mut merged = Vec::new();
    let lost = merge(files, 7, |_, record| merged.push(record));
    assert_eq!(merged, expected);
    assert_eq!(lost.blind, blind);
}

fn distinct<T: Ord>() -> impl FnMut(T) -> bool {
    let mut seen = BTreeSet::new();
    move |item| seen.insert(item)
}

/// What was read can be written, and is read as the same and written to the same bytes again.
fn check_rewritten(file: &Decoded) {
    let (once, header) = rewritten(file, 64);
    let again = decode(&once).expect("it was written whole");
    assert_eq!(again.header, header);
    assert_eq!(records(&again), records(file));
    assert_eq!(lost_keys(&again), lost_keys(file));
    assert!(again.damage.iter().all(|damage| damage.length == 0));
    let (twice, _) = rewritten(&again, 64);
    assert_eq!(once, twice);
}

fn rewritten(file: &Decoded, block_bytes: usize) -> (Vec<u8>, Header) {
    let records = records(file);
    let lost = lost_keys(file);
    let puts = records.iter().filter(|record| record.put.is_some()).count();
    let header = Header {
        puts: (puts + lost.puts.len()) as u64,
        removes: (records.len() - puts + lost.removes.len()) as u64,
        ..file.header
    };
    (written(header, &records, &lost, block_bytes), header)
}

fn written(header: Header, records: &[Record], lost: &LostKeys, block_bytes: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let Ok(()) = encode(
        header,
        records.iter().copied(),
        lost,
        block_bytes,
        |bytes| {
            file.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        },
    );
    file
}

/// Records that are made from these bytes are read as they were written; after damage, some of them are.
fn check_written(bytes: &[u8]) {
    let (damage, bytes) = bytes.split_at(bytes.len().min(8));
    let made = made_records(bytes);
    let records: Vec<Record> = made
        .iter()
        .map(|(key, put)| Record { key, put: *put })
        .collect();
    let puts = records.iter().filter(|record| record.put.is_some()).count();
    let header = Header {
        id: bytes.len() as u64,
        kind: Kind::Changes { covers: 1 },
        saved_at: 0,
        puts: puts as u64,
        removes: (records.len() - puts) as u64,
        lost: 0,
    };
    let mut file = written(header, &records, &LostKeys::default(), 100);
    let decoded = decode(&file).expect("it was written whole");
    assert_eq!(decoded.damage, []);
    assert_eq!(self::records(&decoded), records);

    for place in damage.as_chunks::<4>().0 {
        let [high, low, place @ .., flip] = *place;
        let at = usize::from(u16::from_le_bytes([high, low])) * 256 + usize::from(place[0]);
        let at = at % file.len();
        file[at] ^= flip;
    }
    let given = checked(&file).map_or_else(Vec::new, |decoded| self::records(&decoded));
    let mut left = records.iter();
    assert!(
        given.iter().all(|record| left.any(|other| other == record)),
        "each is one of those that were written, in their order"
    );
}

/// Records as these bytes say: of each, its kind and lengths, its key, and its value.
fn made_records(mut bytes: &[u8]) -> BTreeMap<String, Option<Put<'_>>> {
    let mut records = BTreeMap::new();
    let mut take = |length: usize| {
        let (taken, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        taken
    };
    while let [lengths] = take(1) {
        let key = String::from_utf8_lossy(take(usize::from(lengths % 8))).into_owned();
        let value = take(usize::from(lengths / 8 % 8) * 5);
        let ttl = (lengths / 64 == 1).then_some(u64::from(*lengths));
        let put = (lengths / 64 != 2).then_some(Put { value, ttl });
        records.insert(key, put);
    }
    records
}
