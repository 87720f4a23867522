//! `wasi:keyvalue` above the cache layer: the exports, in both versions. The world `keyvalue` has
//! their promises.

mod bucket;

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "keyvalue",
        generate_all,
        merge_structurally_equal_types: true,
    });
}
bindings::export!(Component with_types_in bindings);

use bindings::exports::wasi::{keyvalue0_2_0_draft as draft, keyvalue0_2_0_draft2 as draft2};
use bindings::larder::cache::types::Entry;
use bucket::{Bucket, Cursor};
use draft::store::Error;
use draft2::atomics::CasError;

/// The component.
struct Component;

/// Exports the functions that are the same in each version, except for the types of cursors and
/// handles.
macro_rules! export_store_and_batch {
    ($version:ident, $cursor:ty) => {
        impl $version::store::Guest for Component {
            type Bucket = Bucket;

            fn open(identifier: String) -> Result<$version::store::Bucket, Error> {
                Bucket::open(identifier).map($version::store::Bucket::new)
            }
        }

        impl $version::store::GuestBucket for Bucket {
            fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
                Ok(self.value(&key))
            }

            fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
                self.change("set", |cache| cache.set(&key, &value, None))
            }

            fn delete(&self, key: String) -> Result<(), Error> {
                self.change("delete", |cache| {
                    cache.delete(&key);
                })
            }

            fn exists(&self, key: String) -> Result<bool, Error> {
                Ok(self.has(&key))
            }

            fn list_keys(
                &self,
                cursor: Option<$cursor>,
            ) -> Result<$version::store::KeyResponse, Error> {
                let page = self.keys(cursor)?;
                Ok($version::store::KeyResponse {
                    keys: page.keys,
                    cursor: page.next.map(Cursor::at),
                })
            }
        }

        impl $version::batch::Guest for Component {
            fn get_many(
                bucket: $version::store::BucketBorrow<'_>,
                keys: Vec<String>,
            ) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
                let values = bucket.get::<Bucket>().values(&keys);
                let pairs = keys.into_iter().zip(values);
                Ok(pairs.map(|(key, value)| Some((key, value?))).collect())
            }

            fn set_many(
                bucket: $version::store::BucketBorrow<'_>,
                key_values: Vec<(String, Vec<u8>)>,
            ) -> Result<(), Error> {
                let entries = key_values.into_iter().map(|(key, value)| Entry {
                    key,
                    value,
                    ttl: None,
                });
                let entries: Vec<_> = entries.collect();
                let bucket = bucket.get::<Bucket>();
                bucket.change("set-many", |cache| cache.set_many(&entries))
            }

            fn delete_many(
                bucket: $version::store::BucketBorrow<'_>,
                keys: Vec<String>,
            ) -> Result<(), Error> {
                bucket.get::<Bucket>().change("delete-many", |cache| {
                    for key in &keys {
                        cache.delete(key);
                    }
                })
            }
        }
    };
}

export_store_and_batch!(draft, u64);
export_store_and_batch!(draft2, String);

impl draft::atomics::Guest for Component {
    fn increment(
        bucket: draft::store::BucketBorrow<'_>,
        key: String,
        delta: u64,
    ) -> Result<u64, Error> {
        let sum = |number: u64| number.checked_add(delta);
        bucket.get::<Bucket>().increment(&key, sum)
    }
}

impl draft2::atomics::Guest for Component {
    type Cas = Cas;

    fn increment(
        bucket: draft2::store::BucketBorrow<'_>,
        key: String,
        delta: i64,
    ) -> Result<i64, Error> {
        let sum = |number: i64| number.checked_add(delta);
        bucket.get::<Bucket>().increment(&key, sum)
    }

    fn swap(cas: draft2::atomics::Cas, value: Vec<u8>) -> Result<(), CasError> {
        let Cas {
            bucket,
            key,
            value: old,
        } = cas.into_inner();
        if bucket.value(&key) != old {
            let now = draft2::atomics::Cas::new(Cas::of(bucket, key));
            return Err(CasError::CasFailed(now));
        }
        let swapped = bucket.change("swap", |cache| cache.set(&key, &value, None));
        swapped.map_err(CasError::StoreError)
    }
}

/// The value of a key at the time when the handle was made.
struct Cas {
    bucket: Bucket,
    key: String,
    value: Option<Vec<u8>>,
}

impl Cas {
    fn of(bucket: Bucket, key: String) -> Cas {
        let value = bucket.value(&key);
        Cas { bucket, key, value }
    }
}

impl draft2::atomics::GuestCas for Cas {
    fn new(
        bucket: draft2::store::BucketBorrow<'_>,
        key: String,
    ) -> Result<draft2::atomics::Cas, Error> {
        let bucket = bucket.get::<Bucket>().clone();
        Ok(draft2::atomics::Cas::new(Cas::of(bucket, key)))
    }

    fn current(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.value.clone())
    }
}
