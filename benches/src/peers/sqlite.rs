//! SQLite, called through [rusqlite](https://github.com/rusqlite/rusqlite).

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::Result;
use crate::contestant::{Contestant, Owned, deadline, now, timed, verify};
use crate::data::Data;

/// The most bytes of an entry for which SQLite's manual advises a table without row ids: a
/// twentieth of a page.
const WITHOUT_ROWID: usize = 4096 / 20;

pub struct Sqlite;

fn open(folder: &Path) -> Result<Connection> {
    let connection = Connection::open(folder.join("sqlite"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1048576;",
    )?;
    Ok(connection)
}

impl Contestant for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn settings(&self) -> &'static str {
        "rusqlite, one table by key (`WITHOUT ROWID` if entries are as small as its manual advises), \
         WAL, `synchronous = FULL` (synced), page cache 1 GiB, one transaction, one prepared statement; \
         loaded by one prepared statement"
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let small = data.bytes() / data.entries.len() <= WITHOUT_ROWID;
        let ((), time) = timed(|| {
            let mut connection = open(folder)?;
            let table = "CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB, expires INTEGER)";
            let kind = if small { " WITHOUT ROWID" } else { "" };
            connection.execute_batch(&format!("{table}{kind}"))?;
            let now = now();
            let transaction = connection.transaction()?;
            let mut insert = transaction.prepare("INSERT INTO entries VALUES (?, ?, ?)")?;
            for entry in &data.entries {
                let expires = deadline(now, entry.ttl).map(u64::cast_signed);
                insert.execute(params![entry.key, entry.value, expires])?;
            }
            drop(insert);
            transaction.commit()?;
            connection.close().map_err(|(_, error)| error)?;
            Ok(())
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (loaded, time) = timed(|| {
            let connection = open(folder)?;
            let mut select = connection.prepare(
                "SELECT key, value, expires FROM entries WHERE expires IS NULL OR expires > ?",
            )?;
            let mut rows = select.query([now().cast_signed()])?;
            let mut loaded: Vec<Owned> = Vec::new();
            while let Some(row) = rows.next()? {
                let key = row.get_ref(0)?.as_str()?.to_owned();
                let value = row.get_ref(1)?.as_blob()?.to_owned();
                let expires: Option<i64> = row.get(2)?;
                loaded.push((key, value, expires.map(i64::cast_unsigned)));
            }
            drop(rows);
            drop(select);
            connection.close().map_err(|(_, error)| error)?;
            Ok(loaded)
        })?;
        verify(data, &loaded)?;
        Ok(time)
    }
}
