//! A look at planted files takes time and memory in proportion to their size. Time is counted in
//! instructions of the compiled component, and memory is the component's own. Both are the same on
//! every machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use larder_disk::format::{BLOCKS, Header, Kind, LostKeys, Put, Record, encode, key_hash};
use larder_host_test::metered::{Cost, Look, measure};

use larder_fuzz_checks::forge::{
    Block, Directory, Index, OldIndex, Segment, VERSION, head, old_head, push_directory, push_end,
    push_frame, push_index, push_old_index,
};

/// The bytes that a file counts for at least, besides its path and its contents.
const PER_FILE: usize = 128;

/// Paths in the store, and the bytes of the files.
type Planted = BTreeMap<String, Vec<u8>>;

/// Makes something to plant, of about so many bytes.
type Family = fn(usize) -> Planted;

/// Kinds of single files that may be slow or large to look at.
const FILES: &[(&str, Family)] = &[
    ("an honest snapshot", |bytes| {
        one(snapshot(bytes / 40, &[7; 8]))
    }),
    ("an honest snapshot of the smallest records", |bytes| {
        one(snapshot(bytes / 21, &[]))
    }),
    ("a snapshot cut in half", |bytes| {
        let mut file = snapshot(bytes / 20, &[7; 8]);
        file.truncate(bytes);
        one(file)
    }),
    ("records without keys and values", |bytes| {
        let header = header(Kind::Snapshot, bytes as u64 / 9);
        let mut file = head(VERSION, &header);
        push_block(&mut file, &header, &records_of_nothing(bytes / 9));
        one(file)
    }),
    ("an index of blocks of no bytes", |bytes| {
        one(index_of_many(bytes / 12, 0))
    }),
    ("an index of blocks of nine bytes", |bytes| {
        one(index_of_many(bytes / 33, 9))
    }),
    ("an index of blocks of four gigabytes", |bytes| {
        one(index_of_many(bytes / 16, u32::MAX))
    }),
    ("a directory of segments of nothing", |bytes| {
        let segment = Segment {
            blocks: 0,
            index: 0,
            puts: 1,
            removes: 0,
        };
        let header = header(Kind::Snapshot, 0);
        let mut file = head(VERSION, &header);
        let segments = vec![segment; bytes / 4];
        push_directory(VERSION, &mut file, Directory { header, segments });
        one(file)
    }),
    (
        "segments in turn whole and damaged, without a directory",
        |bytes| {
            let header = header(Kind::Snapshot, u64::MAX);
            let mut file = head(VERSION, &header);
            while file.len() < bytes {
                push_segment(&mut file, &header);
                push_frame(&mut file, &[0], 0);
            }
            one(file)
        },
    ),
    ("segments of one record without a directory", |bytes| {
        let header = header(Kind::Snapshot, u64::MAX);
        let mut file = head(VERSION, &header);
        while file.len() < bytes {
            push_segment(&mut file, &header);
        }
        one(file)
    }),
    ("an index of version 1 of blocks of no bytes", |bytes| {
        one(old_index_of_many(bytes / 12, 0))
    }),
    ("an index of version 1 of blocks of one byte", |bytes| {
        one(old_index_of_many(bytes / 12, 1))
    }),
    (
        "an index of version 1 of blocks of four gigabytes",
        |bytes| one(old_index_of_many(bytes / 16, u32::MAX)),
    ),
    (
        "an index of version 1 that claims to hold more than there is",
        |bytes| {
            let header = header(Kind::Snapshot, 0).into();
            let index = claiming_more(&header, bytes);
            let mut file = old_head(&header);
            push_end(1, &mut file, &index);
            one(file)
        },
    ),
    ("blocks of one record without an index", |bytes| {
        let header = header(Kind::Snapshot, u64::MAX);
        let mut file = head(VERSION, &header);
        while file.len() < bytes {
            push_block(&mut file, &header, &records_of_nothing(1));
        }
        one(file)
    }),
    (
        "blocks in turn whole and damaged, without an index",
        |bytes| {
            let header = header(Kind::Snapshot, u64::MAX);
            let mut file = head(VERSION, &header);
            while file.len() < bytes {
                push_block(&mut file, &header, &records_of_nothing(1));
                push_frame(&mut file, &[0], 0);
            }
            one(file)
        },
    ),
    ("zeros", |bytes| one(filled(bytes, 0))),
    ("ones", |bytes| one(filled(bytes, 0xff))),
    (
        "a directory that claims to hold more than there is",
        |bytes| {
            let header = header(Kind::Snapshot, 0);
            let mut file = head(VERSION, &header);
            push_end(VERSION, &mut file, &claiming_more(&header, bytes));
            one(file)
        },
    ),
];

/// The same, of many files.
const FOLDERS: &[(&str, Family)] = &[
    ("changes upon changes", |bytes| {
        let mut files = vec![snapshot(0, &[])];
        files.extend((0..bytes / 4300).map(|n| changes(&[&key(n)], &[])));
        versions(files)
    }),
    (
        "changes that lost keys under changes of many keys",
        |bytes| {
            let mut files = vec![snapshot(0, &[])];
            files.extend((0..bytes / 4300).map(|n| changes(&[], &[&key(n)])));
            let keys: Vec<String> = (0..bytes / 50).map(key).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            files.push(changes(&keys, &["lost"]));
            versions(files)
        },
    ),
    ("changes without an end upon one another", |bytes| {
        let cut = |n| {
            let mut file = changes(&[&key(n)], &[]);
            file.truncate(80);
            file
        };
        versions((0..bytes / 80).map(cut))
    }),
    (
        "changes that claim to be of more keys than there are",
        |bytes| {
            let header = Header {
                key_bytes: u64::MAX,
                ..header(Kind::Changes { covers: 1 }, u64::MAX)
            };
            let mut file = head(VERSION, &header);
            file.resize(bytes, 0);
            versions([snapshot(bytes / 80, &[7; 8]), file])
        },
    ),
    ("changes upon what is missing", |bytes| {
        let file = |n| (path(2 * n as u64 + 2), changes(&[&key(n)], &[]));
        (0..bytes / 4300).map(file).collect()
    }),
    ("files of one byte", |bytes| {
        versions((0..bytes / 100).map(|_| vec![0]))
    }),
    ("names that mean nothing", |bytes| {
        let name = |n| (format!("cache/{n:016x}.tmp"), Vec::new());
        (0..bytes / 100).map(name).collect()
    }),
];

/// The same, of files from before Larder's own format.
const OLD_FILES: &[(&str, Family)] = &[
    ("an old file of the smallest entries", |bytes| {
        old(bytes as u64 / 3, [0, 0, 0].repeat(bytes / 3))
    }),
    ("an old file of different keys", |bytes| {
        let entry = |n| (key(n), Vec::<u8>::new(), None::<u64>);
        let entries: Vec<_> = (0..bytes / 9).map(entry).collect();
        let file = postcard::to_allocvec(&entries).unwrap();
        [("cache.postcard".into(), file)].into()
    }),
    (
        "an old file that claims to hold more than there is",
        |bytes| old(u64::MAX, vec![0; bytes]),
    ),
];

fn path(version: u64) -> String {
    format!("cache/{version:020}.larder")
}

fn one(file: Vec<u8>) -> Planted {
    versions([file])
}

/// A cache of these files, the oldest first.
fn versions(files: impl IntoIterator<Item = Vec<u8>>) -> Planted {
    (1..).map(path).zip(files).collect()
}

/// A file from before Larder's own format, which claims to have so many entries.
fn old(claimed: u64, entries: Vec<u8>) -> Planted {
    let mut file = postcard::to_allocvec(&claimed).unwrap();
    file.extend(entries);
    [("cache.postcard".into(), file)].into()
}

fn key(n: usize) -> String {
    format!("{n:06x}")
}

fn header(kind: Kind, puts: u64) -> Header {
    Header {
        id: 1,
        kind,
        saved_at: 0,
        puts,
        removes: 0,
        lost: 0,
        key_bytes: 0,
    }
}

fn written(kind: Kind, keys: &[&str], value: &[u8], lost: LostKeys) -> Vec<u8> {
    let put = Some(Put { value, ttl: None });
    let mut records = keys.iter().map(|key| Record { key, put });
    encode(1, kind, 0, &mut records, &lost, 0, BLOCKS)
}

fn snapshot(entries: usize, value: &[u8]) -> Vec<u8> {
    let keys: Vec<String> = (0..entries).map(key).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    written(Kind::Snapshot, &keys, value, LostKeys::default())
}

fn changes(keys: &[&str], lost: &[&str]) -> Vec<u8> {
    let lost = LostKeys {
        puts: lost.iter().map(key_hash).collect(),
        removes: Vec::new(),
    };
    written(Kind::Changes { covers: 1 }, keys, &[], lost)
}

fn push_block(file: &mut Vec<u8>, header: &Header, bytes: &[u8]) {
    let seed = header.id.wrapping_add(file.len() as u64);
    push_frame(file, bytes, seed);
}

/// A block of records whose keys and values are empty.
fn records_of_nothing(records: usize) -> Vec<u8> {
    let nothing = Vec::<u8>::new();
    let lengths = vec![0_u8; records * 4];
    let kinds = vec![0_u8; records];
    let columns = (kinds, &lengths, &lengths, &nothing, &nothing, &nothing);
    postcard::to_allocvec(&columns).unwrap()
}

/// Adds a segment with one block of one record.
fn push_segment(file: &mut Vec<u8>, header: &Header) {
    let start = file.len();
    let bytes = records_of_nothing(1);
    let length = bytes.len() as u32;
    let sum = push_frame(file, &bytes, header.id.wrapping_add(start as u64));
    let index = Index {
        blocks: vec![block(length, sum)],
        hashes: Vec::new(),
    };
    push_index(VERSION, file, header.id, start, index);
}

fn block(length: u32, sum: u64) -> Block {
    Block {
        length,
        sum,
        puts: 1,
        removes: 0,
    }
}

/// A segment with an index of so many blocks. The blocks are zeros, where there is room for them.
fn index_of_many(blocks: usize, length: u32) -> Vec<u8> {
    let header = header(Kind::Snapshot, blocks as u64);
    let mut file = head(VERSION, &header);
    let start = file.len();
    if length < 1000 {
        file.resize(start + blocks * (12 + length as usize), 0);
    }
    let index = Index {
        blocks: vec![block(length, 0); blocks],
        hashes: Vec::new(),
    };
    let segments = vec![push_index(VERSION, &mut file, header.id, start, index)];
    push_directory(VERSION, &mut file, Directory { header, segments });
    file
}

/// A file of version 1 that has an index and no blocks.
fn old_index_of_many(blocks: usize, length: u32) -> Vec<u8> {
    let header = header(Kind::Snapshot, blocks as u64).into();
    let mut file = old_head(&header);
    let index = OldIndex {
        header,
        blocks: vec![block(length, 0); blocks],
        hashes: Vec::new(),
    };
    push_old_index(&mut file, index);
    file
}

/// An index or a directory of so many bytes that claims to have more.
fn claiming_more(header: &impl serde::Serialize, bytes: usize) -> Vec<u8> {
    let mut claiming = postcard::to_allocvec(header).unwrap();
    claiming.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    claiming.resize(bytes, 1);
    claiming
}

/// A file whose header claims very many entries, and which goes on with only this byte.
fn filled(bytes: usize, byte: u8) -> Vec<u8> {
    let mut file = head(VERSION, &header(Kind::Snapshot, u64::MAX));
    file.resize(bytes, byte);
    file
}

fn plant(planted: &Planted, root: &Path) {
    for (path, bytes) in planted {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// How many bytes are planted, with the bytes that a file system keeps for each file.
fn size(planted: &Planted) -> usize {
    let files = planted.iter();
    files
        .map(|(path, bytes)| PER_FILE + path.len() + bytes.len())
        .sum()
}

/// Both durabilities, because they read in different ways.
const DURABILITIES: [&str; 2] = ["full", "atomic"];

/// The functions that look at one cache.
const ONE_CACHE: &[Look] = &[Look::Load, Look::Stat, Look::Verify];

/// How many instructions a byte may cost, beyond the instructions of a call that finds nothing.
const FUEL_PER_BYTE: u64 = 600;
const FUEL: u64 = 1 << 20;

/// How much memory a byte may cost, beyond the memory of a call that finds nothing. A file takes at
/// least 9 bytes for an entry: its kind and two lengths. The caller is given a record of 32 bytes,
/// and the component sorts pointers to the records.
const MEMORY_PER_BYTE: usize = 20;
const MEMORY: usize = 8 << 20;

/// The same for a file from before Larder's own format, in which 3 bytes can be an entry.
const MEMORY_PER_OLD_BYTE: usize = 60;

/// The planted files, and the cost of looking at them.
struct Looked {
    name: String,
    size: usize,
    cost: wasmtime::Result<Cost>,
}

impl Looked {
    /// Says how the cost is beyond linear time, or beyond this memory for every byte.
    fn excess(&self, memory_per_byte: usize) -> Option<String> {
        let Looked { name, size, cost } = self;
        match cost {
            Err(trap) => Some(format!("{name}, {size} bytes: {}", trap.root_cause())),
            Ok(cost) if cost.memory > MEMORY + memory_per_byte * size => {
                let memory = cost.memory;
                Some(format!("{name}, {size} bytes: {memory} bytes of memory"))
            }
            Ok(_) => None,
        }
    }
}

/// Plants files of a family, and looks at them in every way.
fn look(name: &str, family: Family, bytes: usize, looks: &[Look]) -> Vec<Looked> {
    let planted = family(bytes);
    let root = tempfile::tempdir().unwrap();
    plant(&planted, root.path());
    let size = size(&planted);
    let fuel = FUEL + FUEL_PER_BYTE * size as u64;
    let ways = looks
        .iter()
        .flat_map(|look| DURABILITIES.map(|durability| (*look, durability)));
    let looked = ways.map(|(look, durability)| Looked {
        name: format!("{name}, {look:?}, {durability}"),
        size,
        cost: measure(
            root.path(),
            &[("LARDER_DURABILITY", durability)],
            look,
            "cache",
            fuel,
        ),
    });
    looked.collect()
}

/// Plants each family, then twice and four times as much of it. Linear work takes twice as long for
/// twice as much; quadratic work takes four times as long.
fn check_time(families: &[(&str, Family)], looks: &[Look]) {
    // This is more than one read gives: a file that fits into one read is kept, and costs less.
    let smallest = 66 << 10;
    let mut excesses = Vec::new();
    let mut most = 0;
    let mut calls = 0;
    for (name, family) in families {
        let mut before = Vec::new();
        for bytes in [smallest, 2 * smallest, 4 * smallest] {
            let looked = look(name, *family, bytes, looks);
            calls += looked.len();
            excesses.extend(
                looked
                    .iter()
                    .filter_map(|looked| looked.excess(MEMORY_PER_OLD_BYTE)),
            );
            let fuel = |looked: &Looked| looked.cost.as_ref().map_or(u64::MAX, |cost| cost.fuel);
            let now: Vec<u64> = looked.iter().map(fuel).collect();
            for ((looked, before), now) in looked.iter().zip(&before).zip(&now) {
                if looked.cost.is_ok() && now / 5 > before / 2 {
                    let (name, size) = (&looked.name, looked.size);
                    excesses.push(format!(
                        "{name}, {size} bytes: {now} instructions, {before} for half as much"
                    ));
                }
                most = most.max(*now / looked.size as u64);
            }
            before = now;
        }
    }
    println!(
        "{calls} calls on {} families: at most {most} instructions a byte",
        families.len()
    );
    assert!(excesses.is_empty(), "too much:\n{}", excesses.join("\n"));
}

/// Plants so much of each family that its memory stands out.
fn check_memory(families: &[(&str, Family)], memory_per_byte: usize) {
    let looked: Vec<Looked> = families
        .iter()
        .flat_map(|(name, family)| look(name, *family, 1 << 20, ONE_CACHE))
        .collect();
    let most = looked
        .iter()
        .filter_map(|looked| Some(looked.cost.as_ref().ok()?.memory / looked.size));
    println!(
        "{} calls: at most {:?} bytes of memory a byte",
        looked.len(),
        most.max()
    );
    let excesses: Vec<String> = looked
        .iter()
        .filter_map(|looked| looked.excess(memory_per_byte))
        .collect();
    assert!(excesses.is_empty(), "too much:\n{}", excesses.join("\n"));
}

#[test]
fn looking_at_any_file_takes_linear_time() {
    check_time(FILES, ONE_CACHE);
    check_time(OLD_FILES, ONE_CACHE);
}

#[test]
fn looking_at_any_folder_takes_linear_time() {
    check_time(FOLDERS, ONE_CACHE);
}

#[test]
fn listing_any_store_takes_linear_time() {
    let caches: Family = |bytes| {
        let file = |n| (format!("{n:06}/{:020}.larder", 1), snapshot(1, &[]));
        (0..bytes / 150).map(file).collect()
    };
    check_time(&[("many caches", caches)], &[Look::ListCaches]);
    check_time(FILES, &[Look::ListCaches]);
    check_time(FOLDERS, &[Look::ListCaches]);
}

#[test]
fn looking_at_any_file_takes_a_small_multiple_of_its_size_in_memory() {
    check_memory(FILES, MEMORY_PER_BYTE);
    check_memory(OLD_FILES, MEMORY_PER_OLD_BYTE);
}
