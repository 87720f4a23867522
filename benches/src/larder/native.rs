//! Larder's storage without WebAssembly: the same code as part of this program.

use std::path::Path;
use std::time::Duration;

use larder_disk::native::{Batch, Entry, Store};

use super::cache;
use crate::Result;
use crate::contestant::{Contestant, Owned, timed, verify};
use crate::data::{self, Data};

/// The functions that take and return lists.
#[derive(Default)]
pub struct NativePlain(Vec<Entry>);

impl Contestant for NativePlain {
    fn name(&self) -> &'static str {
        "native, plain list"
    }

    fn settings(&self) -> &'static str {
        "the component's code without WebAssembly, with the same system calls: `save` and `load`, \
         whose entries are copied"
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        let entries = data.entries.iter().map(|entry| Entry {
            key: entry.key.clone(),
            value: entry.value.clone(),
            ttl: entry.ttl.map(|ttl| ttl.as_nanos() as u64),
        });
        self.0 = entries.collect();
        Ok(())
    }

    fn persist(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        let ((), time) = timed(|| {
            let (root, cache) = cache(folder)?;
            Ok(Store::open(root)?.save(cache, &self.0)?)
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (loaded, time) = timed(|| {
            let (root, cache) = cache(folder)?;
            let loaded = Store::open(root)?.load(cache)?;
            if loaded.lost() > 0 {
                return Err(format!("{} entries are lost", loaded.lost()).into());
            }
            let entries = loaded.entries();
            let owned = entries.map(|(key, value, at)| (key.to_owned(), value.to_owned(), at));
            Ok(owned.collect::<Vec<Owned>>())
        })?;
        verify(data, &loaded)?;
        Ok(time)
    }
}

/// The functions that take and return batches.
#[derive(Default)]
pub struct NativeBatches(Vec<Batch>);

impl Contestant for NativeBatches {
    fn name(&self) -> &'static str {
        "native, batches"
    }

    fn settings(&self) -> &'static str {
        "the same: batches of 256 KiB that exist already are appended, committed; batches are read and \
         dropped one by one, and not copied"
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        let batches = data.columns().iter().map(|columns| Batch {
            keys: columns.keys.clone(),
            key_lengths: columns.key_lengths.clone(),
            values: columns.values.clone(),
            value_lengths: columns.value_lengths.clone(),
            ttls: columns.ttls.clone(),
        });
        self.0 = batches.collect();
        Ok(())
    }

    fn persist(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        let ((), time) = timed(|| {
            let (root, cache) = cache(folder)?;
            let store = Store::open(root)?;
            let writer = store.open_writer(cache)?;
            for batch in &self.0 {
                writer.append(batch)?;
            }
            Ok(store.commit(writer)?)
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (root, cache) = cache(folder)?;
        let (count, time) = timed(|| {
            let mut count = 0;
            let reader = Store::open(root)?.open_reader(cache)?;
            while let Some(batch) = reader.next()? {
                count += batch.keys().1.len();
            }
            Ok(count)
        })?;
        // The measured load drops its batches. So this load verifies the bytes.
        let mut batches = Vec::new();
        let reader = Store::open(root)?.open_reader(cache)?;
        while let Some(batch) = reader.next()? {
            batches.push(batch);
        }
        data.verify(batches.iter().flat_map(|batch| {
            let ((keys, key_lengths), values) = (batch.keys(), batch.values());
            data::entries((keys, key_lengths), values, batch.expires_at())
        }))?;
        if count != data.entries.len() {
            return Err(format!("{count} entries came back").into());
        }
        Ok(time)
    }
}
