//! [redb](https://www.redb.org): a B-tree in one file, copy on write.

use std::path::Path;
use std::time::Duration;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::Result;
use crate::contestant::{Contestant, Owned, deadline, now, timed, verify};
use crate::data::Data;

/// The deadline of an entry (`u64::MAX`: none), and its value.
const TABLE: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("entries");

pub struct Redb;

impl Contestant for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn settings(&self) -> &'static str {
        "one table, one write transaction, durability `Immediate` (synced), cache 1 GiB; loaded by \
         iterating over the table in one read transaction"
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let ((), time) = timed(|| {
            let database = Database::create(folder.join("redb"))?;
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            let mut table = transaction.open_table(TABLE)?;
            let now = now();
            for entry in &data.entries {
                let expires = deadline(now, entry.ttl).unwrap_or(u64::MAX);
                table.insert(entry.key.as_str(), (expires, entry.value.as_slice()))?;
            }
            drop(table);
            transaction.commit()?;
            Ok(database.close()?)
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (loaded, time) = timed(|| {
            let database = Database::open(folder.join("redb"))?;
            let table = database.begin_read()?.open_table(TABLE)?;
            let now = now();
            let mut loaded: Vec<Owned> = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                let (expires, value) = value.value();
                if expires > now {
                    let expires = (expires != u64::MAX).then_some(expires);
                    loaded.push((key.value().to_owned(), value.to_owned(), expires));
                }
            }
            drop(table);
            database.close()?;
            Ok(loaded)
        })?;
        verify(data, &loaded)?;
        Ok(time)
    }
}
