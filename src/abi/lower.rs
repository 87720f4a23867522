//! Lowers the results of `load` and `reader.next` by hand: entries are passed to the host from
//! where they were read. wit-bindgen would copy each key and each value into an allocation of its
//! own. Later it would free each of them.
//!
//! The layouts follow the [canonical
//! ABI](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md), for
//! memories of 32 bits.
#![cfg_attr(not(target_family = "wasm"), allow(dead_code))] // Only the component calls it.

use std::marker::PhantomData;
#[cfg(unix)]
use std::slice;

use super::bindings::exports::larder::cache::types::Error;

/// The contents of a cache: its live entries, and the blocks that hold their bytes.
#[derive(Default)]
pub struct Contents {
    entries: Vec<LiveEntry>,
    lost: u64,
    blocks: Vec<Vec<u8>>,
}

/// Adds entries that lie in one block.
pub struct Entries<'l, 'a> {
    lowered: &'l mut Vec<LiveEntry>,
    block: PhantomData<fn(&'a [u8])>,
}

/// A lowered `live-entry`: a string, a list of bytes, and an optional deadline.
#[repr(C)]
struct LiveEntry {
    key: *const u8,
    key_bytes: usize,
    value: *const u8,
    value_bytes: usize,
    expires: bool,
    expires_at: u64,
}

impl Contents {
    /// No entries, with capacity for `count`.
    pub fn with_capacity(count: usize) -> Contents {
        Contents {
            entries: Vec::with_capacity(count),
            ..Contents::default()
        }
    }

    /// Adds the entries that `gather` finds in this block.
    pub fn add<E>(
        &mut self,
        block: Vec<u8>,
        gather: impl for<'a> FnOnce(&'a [u8], Entries<'_, 'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        // From here on the block never changes, and its bytes stay at their address.
        let entries = Entries {
            lowered: &mut self.entries,
            block: PhantomData,
        };
        let gathered = gather(&block, entries);
        self.blocks.push(block);
        gathered
    }

    /// Sets the number of lost entries.
    pub fn finish(self, lost: u64) -> Contents {
        Contents { lost, ..self }
    }
}

#[cfg(unix)]
impl Contents {
    /// Key, value and deadline of each entry.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &[u8], Option<u64>)> {
        self.entries.iter().map(|entry| {
            // SAFETY: `Entries::push` took them from a string and from bytes in the blocks. The
            // blocks stay unchanged for as long as `self` exists.
            let (key, value) = unsafe {
                (
                    slice::from_raw_parts(entry.key, entry.key_bytes),
                    slice::from_raw_parts(entry.value, entry.value_bytes),
                )
            };
            // SAFETY: as above.
            let key = unsafe { str::from_utf8_unchecked(key) };
            (key, value, entry.expires.then_some(entry.expires_at))
        })
    }

    /// The number of lost entries.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl<'a> Entries<'_, 'a> {
    /// Adds an entry.
    pub fn push(&mut self, key: &'a str, value: &'a [u8], expires_at: Option<u64>) {
        self.lowered.push(LiveEntry {
            key: key.as_ptr(),
            key_bytes: key.len(),
            value: value.as_ptr(),
            value_bytes: value.len(),
            expires: expires_at.is_some(),
            expires_at: expires_at.unwrap_or_default(),
        });
    }
}

/// A `live-batch` whose keys and values lie in a block.
pub struct LiveBatch {
    keys: *const [u8],
    key_lengths: Vec<u32>,
    values: *const [u8],
    value_lengths: Vec<u32>,
    expires_at: Vec<u64>,
    _block: Vec<u8>,
}

impl LiveBatch {
    /// A batch of entries. `find` returns the bytes of all keys, in UTF-8, and of all values.
    pub fn new(
        block: Vec<u8>,
        find: impl for<'a> FnOnce(&'a [u8]) -> (&'a [u8], &'a [u8]),
        key_lengths: Vec<u32>,
        value_lengths: Vec<u32>,
        expires_at: Vec<u64>,
    ) -> LiveBatch {
        // From here on the block never changes, and its bytes stay at their address.
        let (keys, values) = find(&block);
        LiveBatch {
            keys,
            key_lengths,
            values,
            value_lengths,
            expires_at,
            _block: block,
        }
    }
}

#[cfg(unix)]
impl LiveBatch {
    /// The bytes of all keys, in UTF-8, and the length of each key.
    pub fn keys(&self) -> (&[u8], &[u32]) {
        // SAFETY: they lie in the block, which stays unchanged for as long as `self` exists.
        (unsafe { &*self.keys }, &self.key_lengths)
    }

    /// The bytes of all values, and the length of each value.
    pub fn values(&self) -> (&[u8], &[u32]) {
        // SAFETY: as above.
        (unsafe { &*self.values }, &self.value_lengths)
    }

    /// The deadline of each entry. Empty if no entry expires.
    pub fn expires_at(&self) -> &[u64] {
        &self.expires_at
    }
}

/// A lowered `result<contents, error>` or `result<option<live-batch>, error>`, with the memory that
/// it points to. That memory never changes, and does not move when its owners move. So it is valid
/// for as long as the return area exists.
#[repr(C, align(8))]
pub struct ReturnArea {
    /// The first word tells whether the result is an error. The words from the third on hold the
    /// payload.
    words: [u32; 14],
    _contents: Option<Contents>,
    _batch: Option<LiveBatch>,
    _text: String,
}

impl ReturnArea {
    /// Lowers the result of `load`.
    pub fn contents(outcome: Result<Contents, Error>) -> ReturnArea {
        outcome.map_or_else(ReturnArea::error, |contents| {
            let [entries, count] = list(contents.entries.as_slice());
            let lost = [contents.lost as u32, (contents.lost >> 32) as u32];
            ReturnArea {
                _contents: Some(contents),
                ..ReturnArea::ok(&[entries, count, lost[0], lost[1]])
            }
        })
    }

    /// Lowers the result of `reader.next`.
    pub fn batch(outcome: Result<Option<LiveBatch>, Error>) -> ReturnArea {
        outcome.map_or_else(ReturnArea::error, |batch| {
            let Some(batch) = batch else {
                return ReturnArea::ok(&[0]);
            };
            let lists = [
                list(batch.keys),
                list(batch.key_lengths.as_slice()),
                list(batch.values),
                list(batch.value_lengths.as_slice()),
                list(batch.expires_at.as_slice()),
            ];
            let mut words = [1; 11];
            for (word, item) in words.iter_mut().skip(1).zip(lists.as_flattened()) {
                *word = *item;
            }
            ReturnArea {
                _batch: Some(batch),
                ..ReturnArea::ok(&words)
            }
        })
    }

    fn ok(payload: &[u32]) -> ReturnArea {
        ReturnArea::new(false, payload, String::new())
    }

    fn error(error: Error) -> ReturnArea {
        let (case, number, text) = match error {
            Error::AccessDenied => (0, 0, String::new()),
            Error::InvalidName(text) => (1, 0, text),
            Error::InvalidArgument(text) => (2, 0, text),
            Error::Corrupt(text) => (3, 0, text),
            Error::UnsupportedVersion(version) => (4, version.into(), String::new()),
            Error::TooLarge(bytes) => (5, bytes, String::new()),
            Error::NoSpace => (6, 0, String::new()),
            Error::Unavailable(text) => (7, 0, text),
            Error::Other(text) => (8, 0, text),
        };
        let [low, high] = match case {
            1..=3 | 7 | 8 => list(text.as_bytes()),
            _ => [number as u32, (number >> 32) as u32],
        };
        ReturnArea::new(true, &[case, 0, low, high], text)
    }

    fn new(is_error: bool, payload: &[u32], text: String) -> ReturnArea {
        let mut words = [0; 14];
        for (word, value) in words.iter_mut().skip(2).zip(payload) {
            *word = *value;
        }
        words[0] = is_error.into();
        ReturnArea {
            words,
            _contents: None,
            _batch: None,
            _text: text,
        }
    }
}

/// The address and the length of a list.
fn list<T>(items: *const [T]) -> [u32; 2] {
    let start = items.cast::<T>().expose_provenance();
    [start as u32, items.len() as u32]
}

#[cfg(all(test, target_pointer_width = "32"))]
mod tests {
    use super::*;

    /// Reads memory as the host does.
    unsafe fn read<T>(at: *const u8, offset: usize) -> T {
        unsafe { at.add(offset).cast::<T>().read() }
    }

    /// The address in a word of the return area.
    unsafe fn pointer(at: *const u8, offset: usize) -> *const u8 {
        let address: u32 = unsafe { read(at, offset) };
        std::ptr::with_exposed_provenance(address as usize)
    }

    unsafe fn bytes<'a>(start: *const u8, length: u32) -> &'a [u8] {
        unsafe { std::slice::from_raw_parts(start, length as usize) }
    }

    #[test]
    fn a_host_finds_every_entry_where_the_canonical_abi_says() {
        fn text(bytes: &[u8]) -> &str {
            std::str::from_utf8(bytes).unwrap()
        }
        let mut loaded = Contents::with_capacity(1);
        let added = loaded.add(b"akey and a value".to_vec(), |block, mut entries| {
            entries.push(text(&block[1..4]), &block[4..], Some(u64::MAX));
            Ok::<_, ()>(())
        });
        added.unwrap();
        let added = loaded.add(b"b".to_vec(), |block, mut entries| {
            entries.push(text(block), &[], None);
            Ok::<_, ()>(())
        });
        added.unwrap();
        let area = ReturnArea::contents(Ok(loaded.finish(7)));
        let area = Box::into_raw(Box::new(area));
        let at = area.cast::<u8>().cast_const();
        unsafe {
            assert_eq!(read::<u8>(at, 0), 0);
            assert_eq!(read::<u32>(at, 12), 2);
            assert_eq!(read::<u64>(at, 16), 7);
            let list = pointer(at, 8);
            assert_eq!(bytes(read(list, 0), read(list, 4)), b"key");
            assert_eq!(bytes(read(list, 8), read(list, 12)), b" and a value");
            assert_eq!(read::<u8>(list, 16), 1);
            assert_eq!(read::<u64>(list, 24), u64::MAX);
            assert_eq!(bytes(read(list, 32), read(list, 36)), b"b");
            assert_eq!(bytes(read(list, 40), read(list, 44)), b"");
            assert_eq!(read::<u8>(list, 48), 0);
            drop(Box::from_raw(area));
        }
    }

    #[test]
    fn a_host_finds_every_column_where_the_canonical_abi_says() {
        let block = b"kkeysvalue".to_vec();
        let batch = LiveBatch::new(
            block,
            |block| block[1..].split_at(4),
            vec![3, 1],
            vec![5, 0],
            vec![u64::MAX, 9],
        );
        let area = Box::into_raw(Box::new(ReturnArea::batch(Ok(Some(batch)))));
        let at = area.cast::<u8>().cast_const();
        unsafe {
            assert_eq!((read::<u8>(at, 0), read::<u8>(at, 8)), (0, 1));
            assert_eq!(bytes(pointer(at, 12), read(at, 16)), b"keys");
            assert_eq!(read::<u32>(at, 24), 2);
            assert_eq!(read::<[u32; 2]>(pointer(at, 20), 0), [3, 1]);
            assert_eq!(bytes(pointer(at, 28), read(at, 32)), b"value");
            assert_eq!(read::<u32>(at, 40), 2);
            assert_eq!(read::<[u32; 2]>(pointer(at, 36), 0), [5, 0]);
            assert_eq!(read::<u32>(at, 48), 2);
            assert_eq!(read::<[u64; 2]>(pointer(at, 44), 0), [u64::MAX, 9]);
            drop(Box::from_raw(area));
        }
        let end = Box::into_raw(Box::new(ReturnArea::batch(Ok(None))));
        let at = end.cast::<u8>().cast_const();
        unsafe {
            assert_eq!((read::<u8>(at, 0), read::<u8>(at, 8)), (0, 0));
            drop(Box::from_raw(end));
        }
    }

    #[test]
    fn a_host_finds_every_error_where_the_canonical_abi_says() {
        let text = || "why".to_owned();
        let errors = [
            Error::AccessDenied,
            Error::InvalidName(text()),
            Error::InvalidArgument(text()),
            Error::Corrupt(text()),
            Error::UnsupportedVersion(9),
            Error::TooLarge(1 << 40),
            Error::NoSpace,
            Error::Unavailable(text()),
            Error::Other(text()),
        ];
        for (case, error) in (0_u8..).zip(errors) {
            let area = Box::into_raw(Box::new(ReturnArea::error(error)));
            let at = area.cast::<u8>().cast_const();
            unsafe {
                assert_eq!((read(at, 0), read(at, 8)), (1_u8, case));
                match case {
                    0 | 6 => {}
                    4 => assert_eq!(read::<u32>(at, 16), 9),
                    5 => assert_eq!(read::<u64>(at, 16), 1 << 40),
                    _ => assert_eq!(bytes(pointer(at, 16), read(at, 20)), b"why"),
                }
                drop(Box::from_raw(area));
            }
        }
    }
}
