//! Larder's batches in columns, called by wasmtime alone: a writer and a reader.

use std::borrow::Borrow;
use std::path::Path;
use std::time::Duration;

use super::component::{Disk, Instance, Instances, cache_bulk};
use crate::Result;
use crate::contestant::{Contestant, timed};
use crate::data::{self, Columns, Data, Loaded};

pub struct Batches(pub Instances);

impl Contestant for Batches {
    fn name(&self) -> &'static str {
        match self.0 {
            Instances::Kept(_) => "Larder, batches",
            Instances::New => "Larder, batches, new instance",
        }
    }

    fn settings(&self) -> &'static str {
        match self.0 {
            Instances::Kept(_) => {
                "`cache-bulk`, called by wasmtime in one instance for all turns: batches of 256 KiB that \
                 exist already are appended, committed; batches are read and dropped one by one; \
                 durability `full` (synced)"
            }
            Instances::New => {
                "the same, in a new instance for each turn; the component is compiled before"
            }
        }
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        Disk::compiled();
        // A caller has its batches already.
        data.columns();
        Ok(())
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let ((), time) = timed(|| {
            self.0.with(folder, |instance, cache| {
                write(instance, cache, data.columns().iter())
            })
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (count, time) = timed(|| {
            let mut count = 0;
            self.0.with(folder, |instance, cache| {
                read(instance, cache, |batch| count += batch.key_lengths.len())
            })?;
            Ok(count)
        })?;
        // The measured load drops its batches, as the limit does. So this load verifies the bytes.
        let mut batches = Vec::new();
        self.0.with(folder, |instance, cache| {
            read(instance, cache, |batch| batches.push(batch))
        })?;
        data.verify(batches.iter().flat_map(entries))?;
        if count != data.entries.len() {
            return Err(format!("{count} entries came back").into());
        }
        Ok(time)
    }
}

/// Writes batches as a cache.
pub fn write(
    instance: &mut Instance,
    cache: &str,
    batches: impl Iterator<Item = impl Borrow<Columns>>,
) -> Result<()> {
    instance.call(async |store, exports| {
        let bulk = exports.larder_cache_cache_bulk();
        let writer = bulk.call_open_writer(&mut *store, cache).await??;
        for columns in batches {
            let methods = bulk.writer();
            let batch = batch(columns.borrow());
            methods.call_append(&mut *store, writer, batch).await??;
        }
        Ok(bulk.writer().call_commit(store, writer).await??)
    })
}

/// Calls a function with each batch of a cache.
pub fn read(
    instance: &mut Instance,
    cache: &str,
    mut batch: impl FnMut(cache_bulk::LiveBatch),
) -> Result<()> {
    instance.call(async |store, exports| {
        let bulk = exports.larder_cache_cache_bulk();
        let reader = bulk.call_open_reader(&mut *store, cache).await??;
        while let Some(next) = bulk.reader().call_next(&mut *store, reader).await?? {
            batch(next);
        }
        let lost = bulk.reader().call_lost(&mut *store, reader).await?;
        reader.resource_drop_async(store).await?;
        if lost > 0 {
            return Err(format!("{lost} entries are lost").into());
        }
        Ok(())
    })
}

/// A batch in the form that wasmtime lowers.
fn batch(columns: &Columns) -> cache_bulk::Batch<'_> {
    cache_bulk::Batch {
        keys: &columns.keys,
        key_lengths: &columns.key_lengths,
        values: &columns.values,
        value_lengths: &columns.value_lengths,
        ttls: &columns.ttls,
    }
}

/// The entries of a batch.
pub fn entries(batch: &cache_bulk::LiveBatch) -> impl Iterator<Item = Loaded<'_>> {
    let keys = (batch.keys.as_bytes(), &batch.key_lengths[..]);
    let values = (&batch.values[..], &batch.value_lengths[..]);
    data::entries(keys, values, &batch.expires_at)
}
