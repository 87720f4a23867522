//! A bucket: the cache of the same name, with every change flushed before its call returns.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::rc::Rc;
use std::str::{self, FromStr};

use crate::Error;
use crate::bindings::larder::cache::cache::{Cache, Options, Page};
use crate::bindings::larder::cache::types;

/// The cache of the bucket with the empty name.
const UNNAMED: &str = "default";

/// How many keys a page has.
const PAGE: u32 = 1000;

/// Nothing is evicted, nothing expires, and only `Bucket::change` flushes.
const OPTIONS: Options = Options {
    capacity: None,
    capacity_bytes: None,
    default_ttl: None,
    flush_every: None,
    flush_after: None,
};

thread_local! {
    /// The open buckets, by the names of their caches.
    static OPEN: RefCell<BTreeMap<String, Bucket>> = const { RefCell::new(BTreeMap::new()) };
}

/// An open bucket. Clones are the same bucket.
#[derive(Clone)]
pub struct Bucket(Rc<Open>);

struct Open {
    name: String,
    cache: Cache,
}

impl Bucket {
    /// Opens the bucket of this name. If the backend fails, the bucket is not kept, so that the
    /// next `open` loads it again.
    pub fn open(mut name: String) -> Result<Bucket, Error> {
        if name.is_empty() {
            name.push_str(UNNAMED);
        }
        if let Some(bucket) = OPEN.with_borrow(|open| open.get(&name).cloned()) {
            return Ok(bucket);
        }
        let opened = Cache::open(&name, OPTIONS).and_then(|cache| {
            // A cache continues without its backend, but a bucket would seem to have lost
            // everything.
            match cache.metrics().backend_error {
                None => Ok(cache),
                Some(error) => Err(error),
            }
        });
        let cache = opened.map_err(|error| failed("open", &name, error))?;
        let bucket = Bucket(Rc::new(Open {
            name: name.clone(),
            cache,
        }));
        OPEN.with_borrow_mut(|open| open.insert(name, bucket.clone()));
        Ok(bucket)
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.0.cache.get(key)
    }

    /// The values of several keys, in the order of the keys.
    pub fn values(&self, keys: &[String]) -> Vec<Option<Vec<u8>>> {
        self.0.cache.get_many(keys)
    }

    /// Whether a key has a value.
    pub fn has(&self, key: &str) -> bool {
        self.0.cache.contains(key)
    }

    /// Some of the keys.
    pub fn keys<C: Cursor>(&self, cursor: Option<C>) -> Result<Page, Error> {
        let after = match cursor {
            None => None,
            Some(cursor) => Some(cursor.place().ok_or_else(|| {
                let reason = "the cursor is not one that list-keys gave";
                other("list-keys", &self.0.name, reason)
            })?),
        };
        Ok(self.0.cache.keys(after, PAGE))
    }

    /// Changes the cache, and flushes the change.
    pub fn change(&self, operation: &str, change: impl FnOnce(&Cache)) -> Result<(), Error> {
        change(&self.0.cache);
        let flushed = self.0.cache.flush();
        flushed.map_err(|error| failed(operation, &self.0.name, error))
    }

    /// Adds to the number that a key holds, and stores the sum. `sum` returns none if it is out of
    /// range.
    pub fn increment<N>(&self, key: &str, sum: impl FnOnce(N) -> Option<N>) -> Result<N, Error>
    where
        N: Default + Display + FromStr,
    {
        let number = match self.value(key) {
            None => Some(N::default()),
            Some(value) => str::from_utf8(&value)
                .ok()
                .and_then(|value| value.parse().ok()),
        };
        let refused = |reason| {
            let reason = format!("{reason} (key {key:?})");
            other("increment", &self.0.name, &reason)
        };
        let number = number.ok_or_else(|| refused("the value is not a number in its range"))?;
        let sum = sum(number).ok_or_else(|| refused("the sum is out of range"))?;
        self.change("increment", |cache| {
            cache.set(key, sum.to_string().as_bytes(), None);
        })?;
        Ok(sum)
    }
}

/// The cursor of a version of the interface: a place among the keys.
pub trait Cursor: Sized {
    /// The place of a cursor; none if it is not a cursor.
    fn place(self) -> Option<u64>;
    /// The cursor for a place.
    fn at(place: u64) -> Self;
}

impl Cursor for u64 {
    fn place(self) -> Option<u64> {
        Some(self)
    }

    fn at(place: u64) -> u64 {
        place
    }
}

impl Cursor for String {
    fn place(self) -> Option<u64> {
        self.parse().ok()
    }

    fn at(place: u64) -> String {
        place.to_string()
    }
}

fn failed(operation: &str, bucket: &str, error: types::Error) -> Error {
    let reason = match error {
        types::Error::InvalidName(_) => return Error::NoSuchStore,
        types::Error::AccessDenied => return Error::AccessDenied,
        types::Error::UnsupportedVersion(version) => {
            format!("it was stored by a newer Larder, in version {version} of the format")
        }
        types::Error::TooLarge(bytes) => format!("{bytes} bytes are too many"),
        types::Error::NoSpace => "the storage is full".into(),
        types::Error::Corrupt(what) => format!("nothing of it can be read: {what}"),
        types::Error::InvalidArgument(what)
        | types::Error::Unavailable(what)
        | types::Error::Other(what) => what,
    };
    other(operation, bucket, &reason)
}

fn other(operation: &str, bucket: &str, reason: &str) -> Error {
    Error::Other(format!("{operation}, bucket {bucket:?}: {reason}"))
}
