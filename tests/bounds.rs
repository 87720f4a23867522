//! Whatever is planted in the folder, looking at it takes time and memory in proportion to its size. Time is counted
//! in instructions of the compiled component and memory is the component's own, so that the figures are the same on
//! every machine.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use larder_disk::format::{BLOCK_BYTES, Header, Kind, LostKeys, Put, Record, encode, key_hash};
use larder_host_test::metered::{Cost, Look, measure};

use forge::{Block, Index, PREAMBLE, head, push_frame, push_index};

#[path = "../fuzz/checks/forge.rs"]
mod forge;

/// What a file takes at the least, besides its name and what is in it.
const PER_FILE: usize = 128;

/// Paths in the store, and what is in the files.
type Planted = BTreeMap<String, Vec<u8>>;

/// What someone might plant to be slow or large, of about so many bytes.
type Family = fn(usize) -> Planted;

const FAMILIES: &[(&str, Family)] = &[
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
        let mut file = head(&header);
        push_block(&mut file, &header, &records_of_nothing(bytes / 9));
        one(file)
    }),
    ("an index of blocks of no bytes", |bytes| {
        one(index_of_many(bytes / 12, 0))
    }),
    ("an index of blocks of one byte", |bytes| {
        one(index_of_many(bytes / 12, 1))
    }),
    ("an index of blocks of four gigabytes", |bytes| {
        one(index_of_many(bytes / 16, u32::MAX))
    }),
    ("blocks of one record without an index", |bytes| {
        let header = header(Kind::Snapshot, u64::MAX);
        let mut file = head(&header);
        while file.len() < bytes {
            push_block(&mut file, &header, &records_of_nothing(1));
        }
        one(file)
    }),
    (
        "blocks in turn whole and damaged, without an index",
        |bytes| {
            let header = header(Kind::Snapshot, u64::MAX);
            let mut file = head(&header);
            while file.len() < bytes {
                push_block(&mut file, &header, &records_of_nothing(1));
                push_frame(&mut file, &[0], 0);
            }
            one(file)
        },
    ),
    ("zeros", |bytes| one(filled(bytes, 0))),
    ("ones", |bytes| one(filled(bytes, 0xff))),
    ("an index that claims to hold more than there is", |bytes| {
        let header = header(Kind::Snapshot, 0);
        let mut index = postcard::to_allocvec(&header).unwrap();
        index.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
        index.resize(bytes, 1);
        let mut file = head(&header);
        let offset = file.len() as u64;
        push_frame(&mut file, &index, offset + 2);
        file.extend(offset.to_le_bytes());
        file.extend(PREAMBLE);
        one(file)
    }),
    ("changes upon changes", |bytes| {
        let mut files = vec![snapshot(0, &[])];
        files.extend((0..bytes / 130).map(|n| changes(&[&key(n)], &[])));
        versions(files)
    }),
    (
        "changes that lost keys under changes of many keys",
        |bytes| {
            let mut files = vec![snapshot(0, &[])];
            files.extend((0..bytes / 260).map(|n| changes(&[], &[&key(n)])));
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
    ("changes upon what is missing", |bytes| {
        let file = |n| (path(2 * n as u64 + 2), changes(&[&key(n)], &[]));
        (0..bytes / 130).map(file).collect()
    }),
    ("files of one byte", |bytes| {
        versions((0..bytes / 100).map(|_| vec![0]))
    }),
    ("names that mean nothing", |bytes| {
        let name = |n| (format!("cache/{n:016x}.tmp"), Vec::new());
        (0..bytes / 100).map(name).collect()
    }),
];

/// The same of files from before the store's own format.
const OLD_FAMILIES: &[(&str, Family)] = &[
    ("an old file of the smallest entries", |bytes| {
        old(bytes as u64 / 3, [0, 0, 0].repeat(bytes / 3))
    }),
    ("an old file of different keys", |bytes| {
        let entry = |n| (key(n), Vec::<u8>::new(), None::<u64>);
        let entries: Vec<_> = (0..bytes / 10).map(entry).collect();
        old(0, postcard::to_allocvec(&entries).unwrap()[1..].to_vec())
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

/// Files, oldest first.
fn versions(files: impl IntoIterator<Item = Vec<u8>>) -> Planted {
    (1..).map(path).zip(files).collect()
}

/// A file from before the store's own format, which claims so many entries.
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
    }
}

fn written(kind: Kind, keys: &[&str], value: &[u8], lost: LostKeys) -> Vec<u8> {
    let header = header(kind, (keys.len() + lost.puts.len()) as u64);
    let put = Some(Put { value, ttl: None });
    let records = keys.iter().map(|key| Record { key, put });
    let mut file = Vec::new();
    let Ok(()) = encode(header, records, &lost, BLOCK_BYTES, |bytes| {
        file.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    file
}

fn snapshot(entries: usize, value: &[u8]) -> Vec<u8> {
    let keys: Vec<String> = (0..entries).map(key).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    written(Kind::Snapshot, &keys, value, LostKeys::default())
}

fn changes(keys: &[&str], lost: &[&str]) -> Vec<u8> {
    let lost = LostKeys {
        puts: lost.iter().map(|key| key_hash(key)).collect(),
        removes: Vec::new(),
    };
    written(Kind::Changes { covers: 1 }, keys, &[], lost)
}

fn push_block(file: &mut Vec<u8>, header: &Header, bytes: &[u8]) {
    let seed = header.id.wrapping_add(file.len() as u64);
    push_frame(file, bytes, seed);
}

/// A block of records that store nothing under no key.
fn records_of_nothing(records: usize) -> Vec<u8> {
    let nothing = Vec::<u8>::new();
    let lengths = vec![0_u8; records * 4];
    let kinds = vec![0_u8; records];
    let columns = (kinds, &lengths, &lengths, &nothing, &nothing, &nothing);
    postcard::to_allocvec(&columns).unwrap()
}

/// A file that is an index and no blocks.
fn index_of_many(blocks: usize, length: u32) -> Vec<u8> {
    let block = Block {
        length,
        sum: 0,
        puts: 1,
        removes: 0,
    };
    let header = header(Kind::Snapshot, blocks as u64);
    let mut file = head(&header);
    let index = Index {
        header,
        blocks: vec![block; blocks],
        hashes: Vec::new(),
    };
    push_index(&mut file, index);
    file
}

/// The beginning of a file that claims much, and then this byte only.
fn filled(bytes: usize, byte: u8) -> Vec<u8> {
    let mut file = head(&header(Kind::Snapshot, u64::MAX));
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

/// How many bytes are planted, with what a file system keeps of each file.
fn size(planted: &Planted) -> usize {
    let files = planted.iter();
    files
        .map(|(path, bytes)| PER_FILE + path.len() + bytes.len())
        .sum()
}

/// The durabilities, which read in different ways.
const DURABILITIES: [&str; 2] = ["full", "atomic"];

/// How much is planted at first.
const SMALLEST: usize = 32 << 10;

/// How many instructions a byte may cost, beyond what a call takes that finds nothing.
const FUEL_PER_BYTE: u64 = 300;
const FUEL: u64 = 1 << 20;

/// How large the memory of an instance is that finds nothing, with room for the first file.
const MEMORY: usize = 4 << 20;

/// How a family is to be looked at, and what a byte of it may cost.
struct Bounds {
    looks: &'static [Look],
    memory_per_byte: usize,
}

/// Plants a family, and twice and four times as much of it: linear work takes twice as long for twice as much, where the
/// square of it takes four times as long. Gives what was too much, and the most that any call took.
fn check(name: &str, family: Family, bounds: &Bounds, most: &mut Cost) -> Vec<String> {
    let mut excesses = Vec::new();
    let mut before = BTreeMap::new();
    for bytes in [SMALLEST, 2 * SMALLEST, 4 * SMALLEST] {
        let planted = family(bytes);
        let root = tempfile::tempdir().unwrap();
        plant(&planted, root.path());
        let size = size(&planted);
        for (look, durability) in bounds
            .looks
            .iter()
            .flat_map(|look| DURABILITIES.map(|durability| (*look, durability)))
        {
            let environment = [("LARDER_DURABILITY", durability)];
            let fuel = FUEL + FUEL_PER_BYTE * size as u64;
            let excess = match measure(root.path(), &environment, look, "cache", fuel) {
                Err(trap) => Some(trap.root_cause().to_string()),
                Ok(cost) => {
                    most.fuel = most.fuel.max(cost.fuel);
                    most.memory = most.memory.max(cost.memory);
                    let before = before.insert((look, durability), cost.fuel);
                    let too_slow = before.filter(|before| cost.fuel > before * 5 / 2);
                    let too_large = cost.memory > MEMORY + bounds.memory_per_byte * size;
                    too_slow
                        .map(|before| {
                            format!("{} instructions, {before} for half as much", cost.fuel)
                        })
                        .or(too_large.then(|| format!("{} bytes of memory", cost.memory)))
                }
            };
            excesses.extend(
                excess.map(|excess| {
                    format!("{name}, {size} bytes, {look:?}, {durability}: {excess}")
                }),
            );
        }
    }
    excesses
}

fn check_all(families: &[(&str, Family)], bounds: &Bounds) {
    let mut most = Cost { fuel: 0, memory: 0 };
    let families = families.iter();
    let calls = families.len() * bounds.looks.len() * DURABILITIES.len() * 3;
    let excesses: Vec<String> = families
        .flat_map(|(name, family)| check(name, *family, bounds, &mut most))
        .collect();
    println!(
        "{calls} calls: at most {} instructions, and {} bytes of memory",
        most.fuel, most.memory
    );
    assert!(excesses.is_empty(), "too much:\n{}", excesses.join("\n"));
}

const ONE_CACHE: &[Look] = &[Look::Load, Look::Stat, Look::Verify];

#[test]
fn whatever_is_planted_takes_linear_time_and_a_small_multiple_of_its_size() {
    let bounds = Bounds {
        looks: ONE_CACHE,
        memory_per_byte: 24,
    };
    check_all(FAMILIES, &bounds);
}

/// Three bytes of such a file can be an entry, which takes more than that wherever it is held.
#[test]
fn an_old_file_takes_linear_time_and_a_multiple_of_its_size() {
    let bounds = Bounds {
        looks: ONE_CACHE,
        memory_per_byte: 64,
    };
    check_all(OLD_FAMILIES, &bounds);
}

#[test]
fn listing_whatever_is_planted_takes_linear_time() {
    let caches: Family = |bytes| {
        let file = |n| (format!("{n:06}/{:020}.larder", 1), snapshot(1, &[]));
        (0..bytes / 150).map(file).collect()
    };
    let bounds = Bounds {
        looks: &[Look::ListCaches],
        memory_per_byte: 24,
    };
    check_all(&[("many caches", caches)], &bounds);
    check_all(FAMILIES, &bounds);
}
