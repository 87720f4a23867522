//! The export of `load`, lowered by hand: entries are handed over where they
//! were read. wit-bindgen would copy every key and every value into an
//! allocation of its own, and free each of them afterwards.
//!
//! The layouts are those of the
//! [canonical ABI](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md),
//! for memories of 32 bits.
#![cfg_attr(not(target_family = "wasm"), allow(dead_code))] // Nobody else calls it.

use std::marker::PhantomData;

use crate::Error;

/// What a load gives back: entries, and the files that they lie in.
pub struct Loaded {
    entries: Vec<LiveEntry>,
    lost: u64,
    files: Vec<Vec<u8>>,
}

/// Entries that lie in files.
pub struct Entries<'a> {
    lowered: Vec<LiveEntry>,
    files: PhantomData<&'a [u8]>,
}

/// A `live-entry`: a string, a list of bytes, and an option of a deadline.
#[repr(C)]
struct LiveEntry {
    key: *const u8,
    key_bytes: usize,
    value: *const u8,
    value_bytes: usize,
    expires: bool,
    expires_at: u64,
}

impl Loaded {
    /// Gathers the entries that lie in these files; and says how many are lost.
    pub fn from_files(
        files: Vec<Vec<u8>>,
        gather: impl for<'a> FnOnce(&'a [Vec<u8>], &mut Entries<'a>) -> Result<u64, Error>,
    ) -> Result<Loaded, Error> {
        let mut entries = Entries {
            lowered: Vec::new(),
            files: PhantomData,
        };
        let lost = gather(&files, &mut entries)?;
        Ok(Loaded {
            entries: entries.lowered,
            lost,
            files,
        })
    }
}

impl<'a> Entries<'a> {
    /// Makes room for this many more.
    pub fn reserve(&mut self, count: usize) {
        self.lowered.reserve_exact(count);
    }

    /// Adds one.
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

/// A `result<contents, error>`, and what it points to. Nobody changes that, and
/// its parts stay where they are when they are moved, so it is there for as
/// long as the answer is.
#[repr(C)]
struct Answer {
    is_error: bool,
    /// The list of a `contents` and how many were lost; or the case of an
    /// `error` and what it holds.
    payload: [u64; 2],
    _entries: Vec<LiveEntry>,
    _files: Vec<Vec<u8>>,
    _text: String,
}

impl Answer {
    fn new(outcome: Result<Loaded, Error>) -> Answer {
        match outcome {
            Ok(loaded) => Answer {
                is_error: false,
                payload: [list(&loaded.entries), loaded.lost],
                _entries: loaded.entries,
                _files: loaded.files,
                _text: String::new(),
            },
            Err(error) => Answer::error(error),
        }
    }

    fn error(error: Error) -> Answer {
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
        let holds_text = matches!(case, 1..=3 | 7 | 8);
        Answer {
            is_error: true,
            payload: [
                case,
                if holds_text {
                    list(text.as_bytes())
                } else {
                    number
                },
            ],
            _entries: Vec::new(),
            _files: Vec::new(),
            _text: text,
        }
    }
}

/// Pointer and length, in one word.
fn list<T>(items: &[T]) -> u64 {
    items.as_ptr().expose_provenance() as u64 | (items.len() as u64) << 32
}

#[cfg(target_family = "wasm")]
mod export {
    use super::Answer;

    #[unsafe(export_name = "larder:cache/cache-backend@0.1.0#load")]
    extern "C" fn load(name: *mut u8, bytes: usize) -> *mut Answer {
        wit_bindgen::rt::run_ctors_once();
        // SAFETY: the host has checked that these bytes are UTF-8, and has put
        // them into an allocation of their size that is the component's.
        let name = unsafe { String::from_raw_parts(name, bytes, bytes) };
        Box::into_raw(Box::new(Answer::new(crate::Disk::load(&name))))
    }

    #[unsafe(export_name = "cabi_post_larder:cache/cache-backend@0.1.0#load")]
    extern "C" fn done(answer: *mut Answer) {
        // SAFETY: the host calls this once for every answer, when it has read it.
        drop(unsafe { Box::from_raw(answer) });
    }
}

#[cfg(all(test, target_pointer_width = "32"))]
mod tests {
    use super::*;

    /// What a host reads at an address, whoever has lent it.
    unsafe fn read<T>(at: *const u8, offset: usize) -> T {
        unsafe { at.add(offset).cast::<T>().read() }
    }

    /// Where a word of the answer points to.
    unsafe fn pointer(at: *const u8, offset: usize) -> *const u8 {
        let address: u32 = unsafe { read(at, offset) };
        std::ptr::with_exposed_provenance(address as usize)
    }

    unsafe fn bytes<'a>(start: *const u8, length: u32) -> &'a [u8] {
        unsafe { std::slice::from_raw_parts(start, length as usize) }
    }

    #[test]
    fn a_host_finds_every_entry_where_the_canonical_abi_says() {
        let files = vec![b"akey and a value".to_vec(), b"b".to_vec()];
        let loaded = Loaded::from_files(files, |files, entries| {
            let text = |bytes| std::str::from_utf8(bytes).unwrap();
            entries.reserve(2);
            entries.push(text(&files[0][1..4]), &files[0][4..], Some(u64::MAX));
            entries.push(text(&files[1]), &[], None);
            Ok(7)
        });
        let answer = Box::into_raw(Box::new(Answer::new(loaded)));
        let at = answer.cast::<u8>().cast_const();
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
            drop(Box::from_raw(answer));
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
            let answer = Box::into_raw(Box::new(Answer::new(Err(error))));
            let at = answer.cast::<u8>().cast_const();
            unsafe {
                assert_eq!((read(at, 0), read(at, 8)), (1_u8, case));
                match case {
                    0 | 6 => {}
                    4 => assert_eq!(read::<u32>(at, 16), 9),
                    5 => assert_eq!(read::<u64>(at, 16), 1 << 40),
                    _ => assert_eq!(bytes(pointer(at, 16), read(at, 20)), b"why"),
                }
                drop(Box::from_raw(answer));
            }
        }
    }
}
