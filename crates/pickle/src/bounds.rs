//! Tests that the work of an import is in proportion to the file. The work is the number of looks
//! at objects.

use std::time::SystemTime;

use crate::import::{ROOM, ROOM_PER_BYTE, extract};
use crate::machine;

/// Makes a file with so many items.
type Family = fn(usize) -> Vec<u8>;

/// A list of so many equal items, in the memo at 1.
fn memoized(begin: &[u8], item: &[u8], items: usize, end: &[u8]) -> Vec<u8> {
    [begin, b"(", &item.repeat(items), end, b"q\x010"].concat()
}

/// A cache whose entries share one value, which is in the memo at 1.
fn cache(memo: Vec<u8>, entries: usize) -> Vec<u8> {
    cache_of(memo, b"h\x01N\x86", entries)
}

/// A cache of so many equal pairs.
fn cache_of(memo: Vec<u8>, pair: &[u8], entries: usize) -> Vec<u8> {
    let mut file = [memo, b"}(".into()].concat();
    for entry in 0..entries as u32 {
        file.push(b'J');
        file.extend(entry.to_le_bytes());
        file.extend(pair);
    }
    file.extend(b"u.");
    file
}

/// Lists, each of which holds the list before it twice.
fn doubling(levels: usize) -> Vec<u8> {
    [
        b"]".to_vec(),
        b"q\x010](h\x01h\x01e".repeat(levels),
        b"q\x010".into(),
    ]
    .concat()
}

#[test]
fn an_import_looks_at_objects_in_proportion_to_the_file() {
    let families: [(&str, Family); 14] = [
        ("a list in every entry", |n| {
            cache(memoized(b"]", b"N", n, b"e"), n)
        }),
        ("a dict of one key in every entry", |n| {
            cache(memoized(b"U\0q\x020}", b"h\x02N", n, b"u"), n)
        }),
        ("a dict with bad keys in every entry", |n| {
            cache(memoized(b"}", b"cos\nsystem\nN", n, b"u"), n)
        }),
        ("a list that ends badly in every entry", |n| {
            cache(memoized(b"]", b"N", n, b"cos\nsystem\ne"), n)
        }),
        ("lists of lists in every entry", |n| cache(doubling(100), n)),
        ("a long integer in every entry", |n| {
            cache(
                [b"\x8b\0\x02\0\0".as_slice(), &[0x7f; 512], b"q\x010"].concat(),
                n,
            )
        }),
        ("one list made a set in every entry", |n| {
            let set = b"c__builtin__\nset\nh\x01\x85RN\x86";
            cache_of(memoized(b"]", b"N", n, b"e"), set, n)
        }),
        ("one list of pairs made a dict in every entry", |n| {
            let ordered = b"ccollections\nOrderedDict\nh\x01\x85RN\x86";
            cache_of(memoized(b"]", b"NN\x86", n, b"e"), ordered, n)
        }),
        (
            "one list that ends in no pair made a dict in every entry",
            |n| {
                let ordered = b"ccollections\nOrderedDict\nh\x01\x85RN\x86";
                cache_of(memoized(b"]", b"NN\x86", n, b"Ne"), ordered, n)
            },
        ),
        ("one dict counted in every entry", |n| {
            let counter = b"ccollections\nCounter\nh\x01\x85RN\x86";
            cache_of(memoized(b"U\0q\x020}", b"h\x02N", n, b"u"), counter, n)
        }),
        ("one list made a deque in every entry", |n| {
            let deque = b"ccollections\ndeque\nh\x01K\x05\x86RN\x86";
            cache_of(memoized(b"]", b"N", n, b"e"), deque, n)
        }),
        ("one list in every namedtuple", |n| {
            let pair = b"capp\nPair\nh\x01N\x86\x81";
            cache_of(memoized(b"]", b"N", n, b"e"), pair, n)
        }),
        ("one tuple in every namedtuple", |n| {
            let pair = b"capp\nPair\nh\x01\x81";
            cache_of(memoized(b"(", b"N", n, b"t"), pair, n)
        }),
        ("items with one bad key", |n| {
            [
                b"cos\nsystem\nq\x010}(".as_slice(),
                &b"h\x01N".repeat(n),
                b"u.",
            ]
            .concat()
        }),
    ];
    for (name, family) in families {
        for n in [500, 5_000] {
            let file = family(n);
            let (nodes, root) = machine::run(&file).expect("it is a pickle");
            let room = file.len() * ROOM_PER_BYTE + ROOM;
            let import =
                extract(&nodes, root, room, SystemTime::UNIX_EPOCH).expect("it is a cache");
            assert_eq!(import.entries.len() + import.skipped.len(), n, "{name}");
            let looks = nodes.looks.get();
            println!("{name}: {} bytes, {looks} looks", file.len());
            // Each written byte uses up room; a key is also looked at, and compared to another key.
            assert!(
                looks <= 3 * room,
                "{name}: {looks} looks, {} bytes",
                file.len()
            );
        }
    }
}
