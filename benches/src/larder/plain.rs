//! Larder's typed functions, called by wasmtime alone: they show the cost of a plain list.

use std::path::Path;
use std::time::Duration;

use super::component::{Disk, Instances, types};
use crate::Result;
use crate::contestant::{Contestant, timed};
use crate::data::Data;

pub struct Plain(pub Instances);

impl Contestant for Plain {
    fn name(&self) -> &'static str {
        match self.0 {
            Instances::Kept(_) => "Larder, plain list",
            Instances::New => "Larder, plain list, new instance",
        }
    }

    fn settings(&self) -> &'static str {
        match self.0 {
            Instances::Kept(_) => {
                "the typed functions `save` and `load` of the contract, called by wasmtime in one \
                 instance for all turns; durability `full` (synced)"
            }
            Instances::New => {
                "the same, in a new instance for each turn; the component is compiled before"
            }
        }
    }

    fn prepare(&mut self, _: &Data) -> Result<()> {
        Disk::compiled();
        Ok(())
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let ((), time) = timed(|| {
            let entries = data.entries.iter().map(|entry| types::Entry {
                key: &entry.key,
                value: &entry.value,
                ttl: entry.ttl.map(|ttl| ttl.as_nanos() as u64),
            });
            let entries: Vec<_> = entries.collect();
            self.0.with(folder, |instance, cache| {
                instance.call(async |store, exports| {
                    let saved = exports
                        .larder_cache_cache_backend()
                        .call_save(store, cache, &entries)
                        .await?;
                    Ok(saved?)
                })
            })
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (contents, time) = timed(|| {
            self.0.with(folder, |instance, cache| {
                instance.call(async |store, exports| {
                    Ok(exports
                        .larder_cache_cache_backend()
                        .call_load(store, cache)
                        .await??)
                })
            })
        })?;
        if contents.lost > 0 {
            return Err(format!("{} entries are lost", contents.lost).into());
        }
        data.verify(contents.entries.iter().map(|entry| {
            let key = entry.key.as_bytes();
            (key, entry.value.as_slice(), entry.expires_at.is_some())
        }))?;
        Ok(time)
    }
}
