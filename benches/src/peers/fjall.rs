//! [fjall](https://github.com/fjall-rs/fjall): a log-structured merge tree.

use std::path::Path;
use std::time::Duration;

use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{Database, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use crate::Result;
use crate::contestant::{Contestant, Owned, deadline, now, timed, verify};
use crate::data::Data;

pub struct Fjall;

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .with_kv_separation(Some(KvSeparationOptions::default()))
        .filter_policy(FilterPolicy::disabled())
        .data_block_size_policy(BlockSizePolicy::all(64 * 1024))
}

impl Contestant for Fjall {
    fn name(&self) -> &'static str {
        "fjall"
    }

    fn settings(&self) -> &'static str {
        "one keyspace, written by its bulk ingestion, keys sorted before it (in the measured time), then \
         `PersistMode::SyncAll`; blocks of 64 KiB, values from 1 KiB apart, no filters, no \
         compression; loaded by iterating over the keyspace"
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let ((), time) = timed(|| {
            let database = Database::builder(folder).open()?;
            let keyspace = database.keyspace("entries", options)?;
            let mut sorted: Vec<_> = data.entries.iter().collect();
            sorted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            let now = now();
            let mut record = Vec::new();
            let mut ingestion = keyspace.start_ingestion()?;
            for entry in sorted {
                record.clear();
                let expires = deadline(now, entry.ttl).unwrap_or(u64::MAX);
                record.extend_from_slice(&expires.to_le_bytes());
                record.extend_from_slice(&entry.value);
                ingestion.write(entry.key.as_str(), record.as_slice())?;
            }
            ingestion.finish()?;
            Ok(database.persist(PersistMode::SyncAll)?)
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (loaded, time) = timed(|| {
            let database = Database::builder(folder).open()?;
            let keyspace = database.keyspace("entries", options)?;
            let now = now();
            let mut loaded: Vec<Owned> = Vec::new();
            for entry in keyspace.iter() {
                let (key, record) = entry.into_inner()?;
                let (expires, value) = record.split_first_chunk().ok_or("a short record")?;
                let expires = u64::from_le_bytes(*expires);
                if expires > now {
                    let expires = (expires != u64::MAX).then_some(expires);
                    let key = str::from_utf8(&key)?.to_owned();
                    loaded.push((key, value.to_owned(), expires));
                }
            }
            Ok(loaded)
        })?;
        verify(data, &loaded)?;
        Ok(time)
    }
}
