//! A running component, and the calls to it: the contract's, and longer ones that may be killed.

use std::ops::{Deref, DerefMut};

use larder_conformance::contract::{
    Batch, CacheStat, Change, Condition, Contents, Entry, Error, Found, LiveBatch, Page, Report,
    batch, condition, entries,
};
use larder_conformance::{self as conformance, Functions, Instance as _, Reader, Writer};
use wasmtime::Store;

use crate::backend::State;
use crate::call::Killed;
use crate::faults::Faults;
use crate::write::{Values, Write};

/// A running component. It has the functions of the contract, as the conformance kit calls them.
///
/// They panic if the component traps, with the file system calls that led to the trap, and if it
/// does not export the interface.
pub struct Instance {
    store: Store<State>,
    functions: Functions,
    faults: Faults,
    in_batches: bool,
}

impl Instance {
    pub(crate) fn new(
        store: Store<State>,
        functions: Functions,
        faults: Faults,
        in_batches: bool,
    ) -> Instance {
        Instance {
            store,
            functions,
            faults,
            in_batches,
        }
    }

    /// The faults of this instance's file system.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// All entries that a reader gives from here on, and the number of lost entries after that.
    pub fn rest(&mut self, reader: &Reader) -> Result<Contents, Error> {
        self.faults.start_record("rest", "");
        let outcome = self.try_rest(reader);
        self.untrapped("rest", outcome)
    }

    /// Loads through a new reader.
    pub fn load_in_batches(&mut self, cache: &str) -> Result<Contents, Error> {
        let outcome = self.try_load_in_batches(cache);
        self.untrapped("load in batches", outcome)
    }

    /// Saves through a writer, batch by batch. The writer is dropped if that fails.
    pub fn save_in_batches(&mut self, cache: &str, batches: &[Vec<Entry>]) -> Result<(), Error> {
        let outcome = self.try_save_in_batches(cache, batches);
        self.untrapped("save in batches", outcome)
    }

    /// A change by an instance that may be killed meanwhile. A killed instance does nothing more.
    pub fn write(&mut self, cache: &str, write: &Write) -> Result<Result<(), Error>, Killed> {
        let (operation, outcome) = match write {
            Write::Save(entries) => ("save", self.try_save(cache, entries)),
            Write::SaveInBatches(batches) => {
                ("save in batches", self.try_save_in_batches(cache, batches))
            }
            Write::Apply(changes) => ("apply", self.try_apply(cache, changes)),
            Write::Clear => ("clear", self.try_clear(cache)),
        };
        self.unless_killed(operation, outcome)
    }

    /// `load`, by an instance that may be killed meanwhile.
    pub fn read(&mut self, cache: &str) -> Result<Result<Contents, Error>, Killed> {
        let outcome = self.try_load(cache);
        self.unless_killed("load", outcome)
    }

    /// `cache-bulk.open-reader`, by an instance that may be killed meanwhile.
    pub fn read_later(&mut self, cache: &str) -> Result<Result<Reader, Error>, Killed> {
        self.faults.start_record("open-reader", cache);
        let outcome = self.try_open_reader(cache);
        self.unless_killed("open-reader", outcome)
    }

    /// All entries that a reader gives to an instance that may be killed meanwhile.
    pub fn read_rest(&mut self, reader: Reader) -> Result<Result<Contents, Error>, Killed> {
        self.faults.start_record("rest", "");
        let outcome = self.try_rest(&reader);
        let contents = self.unless_killed("rest", outcome)?;
        self.close_reader(reader);
        Ok(contents)
    }

    /// `cache-lookup.get-many`, by an instance that may be killed meanwhile. Gives the values by
    /// their keys.
    pub fn look_up(&mut self, cache: &str, keys: &[&str]) -> Result<Result<Values, Error>, Killed> {
        let outcome = self.try_get_many(cache, keys);
        let found = self.unless_killed("get-many", outcome)?;
        Ok(found.map(|found| {
            let found = keys.iter().zip(found);
            let found = found.filter_map(|(key, found)| Some(((*key).to_owned(), found?.value)));
            found.collect()
        }))
    }

    /// `cache-atomics.apply-if`, by an instance that may be killed meanwhile. The conditions are
    /// that these keys have these values, or none.
    pub fn write_if(
        &mut self,
        cache: &str,
        keys: &[&str],
        values: &Values,
        changes: &[Change],
    ) -> Result<Result<Vec<u32>, Error>, Killed> {
        let expected = |key: &&str| condition(*key, values.get(*key).map(Vec::as_slice));
        let conditions: Vec<Condition> = keys.iter().map(expected).collect();
        let outcome = self.try_apply_if(cache, &conditions, changes);
        self.unless_killed("apply-if", outcome)
    }

    /// `cache-recovery.recover`, by an instance that may be killed meanwhile.
    pub fn recover(&mut self, cache: &str, number: u64) -> Result<Result<(), Error>, Killed> {
        self.faults.start_record("recover", cache);
        let recovery = self.functions.recovery();
        let outcome = recovery.call_recover(&mut self.store, cache, number);
        self.unless_killed("recover", outcome)
    }

    /// A writer that gets these batches and is dropped, by an instance that may be killed
    /// meanwhile.
    pub fn write_and_drop(
        &mut self,
        cache: &str,
        batches: &[Vec<Entry>],
    ) -> Result<Result<(), Error>, Killed> {
        self.faults.start_record("writer to be dropped", cache);
        let outcome = self.try_write(cache, batches);
        let outcome = outcome.and_then(|written| match written {
            Ok(writer) => self.try_close_writer(writer).map(Ok),
            Err(error) => Ok(Err(error)),
        });
        self.unless_killed("writer to be dropped", outcome)
    }

    fn try_load(&mut self, cache: &str) -> Outcome<Contents> {
        if self.in_batches {
            return self.try_load_in_batches(cache);
        }
        self.faults.start_record("load", cache);
        self.functions.backend.call_load(&mut self.store, cache)
    }

    fn try_save(&mut self, cache: &str, entries: &[Entry]) -> Outcome<()> {
        if self.in_batches {
            return self.try_save_in_batches(cache, &batches_of(entries));
        }
        self.faults.start_record("save", cache);
        self.functions
            .backend
            .call_save(&mut self.store, cache, entries)
    }

    fn try_clear(&mut self, cache: &str) -> Outcome<()> {
        self.faults.start_record("clear", cache);
        self.functions.backend.call_clear(&mut self.store, cache)
    }

    fn try_apply(&mut self, cache: &str, changes: &[Change]) -> Outcome<()> {
        self.faults.start_record("apply", cache);
        let updates = self.functions.updates();
        updates.call_apply(&mut self.store, cache, changes)
    }

    fn try_get_many(&mut self, cache: &str, keys: &[&str]) -> Outcome<Vec<Option<Found>>> {
        self.faults.start_record("get-many", cache);
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let lookup = self.functions.lookup();
        lookup.call_get_many(&mut self.store, cache, &keys)
    }

    fn try_apply_if(
        &mut self,
        cache: &str,
        conditions: &[Condition],
        changes: &[Change],
    ) -> Outcome<Vec<u32>> {
        self.faults.start_record("apply-if", cache);
        let atomics = self.functions.atomics();
        atomics.call_apply_if(&mut self.store, cache, conditions, changes)
    }

    fn try_open_reader(&mut self, cache: &str) -> Outcome<Reader> {
        let opened = self
            .functions
            .bulk()
            .call_open_reader(&mut self.store, cache)?;
        Ok(opened.map(Reader))
    }

    fn try_next(&mut self, reader: &Reader) -> Outcome<Option<LiveBatch>> {
        self.functions
            .bulk()
            .reader()
            .call_next(&mut self.store, reader.0)
    }

    fn try_rest(&mut self, reader: &Reader) -> Outcome<Contents> {
        let mut given = Vec::new();
        loop {
            match self.try_next(reader)? {
                Ok(Some(batch)) => given.extend(entries(batch)),
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        let lost = self.lost(reader);
        Ok(Ok(Contents {
            entries: given,
            lost,
        }))
    }

    fn try_load_in_batches(&mut self, cache: &str) -> Outcome<Contents> {
        self.faults.start_record("load in batches", cache);
        let reader = match self.try_open_reader(cache)? {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error)),
        };
        let contents = self.try_rest(&reader)?;
        self.close_reader(reader);
        Ok(contents)
    }

    fn try_open_writer(&mut self, cache: &str) -> Outcome<Writer> {
        let opened = self
            .functions
            .bulk()
            .call_open_writer(&mut self.store, cache)?;
        Ok(opened.map(Writer))
    }

    fn try_append(&mut self, writer: &Writer, entries: &Batch) -> Outcome<()> {
        self.functions
            .bulk()
            .writer()
            .call_append(&mut self.store, writer.0, entries)
    }

    fn try_commit(&mut self, writer: Writer) -> Outcome<()> {
        self.functions
            .bulk()
            .writer()
            .call_commit(&mut self.store, writer.0)
    }

    fn try_close_writer(&mut self, writer: Writer) -> wasmtime::Result<()> {
        writer.0.resource_drop(&mut self.store)
    }

    fn try_save_in_batches(&mut self, cache: &str, batches: &[Vec<Entry>]) -> Outcome<()> {
        self.faults.start_record("save in batches", cache);
        match self.try_write(cache, batches)? {
            Ok(writer) => self.try_commit(writer),
            Err(error) => Ok(Err(error)),
        }
    }

    /// A writer that has these batches. It is dropped if an append fails.
    fn try_write(&mut self, cache: &str, batches: &[Vec<Entry>]) -> Outcome<Writer> {
        let writer = match self.try_open_writer(cache)? {
            Ok(writer) => writer,
            Err(error) => return Ok(Err(error)),
        };
        for entries in batches {
            if let Err(error) = self.try_append(&writer, &batch(entries))? {
                self.try_close_writer(writer)?;
                return Ok(Err(error));
            }
        }
        Ok(Ok(writer))
    }

    fn unless_killed<T>(
        &self,
        operation: &str,
        outcome: Outcome<T>,
    ) -> Result<Result<T, Error>, Killed> {
        match outcome {
            Err(trap) if trap.is::<Killed>() => Err(Killed),
            outcome => Ok(self.untrapped(operation, outcome)),
        }
    }

    fn untrapped<T>(&self, operation: &str, outcome: Outcome<T>) -> Result<T, Error> {
        let outcome = outcome.unwrap_or_else(|trap| {
            panic!(
                "{operation} trapped: {trap:?}\nits file system calls:\n{}",
                self.faults
            )
        });
        self.faults.end_record(operation, outcome.as_ref().err());
        outcome
    }
}

/// Makes the contract's functions callable without an import of the kit's trait.
impl Deref for Instance {
    type Target = dyn conformance::Instance;

    fn deref(&self) -> &Self::Target {
        self
    }
}

impl DerefMut for Instance {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self
    }
}

impl conformance::Instance for Instance {
    fn load(&mut self, cache: &str) -> Result<Contents, Error> {
        let outcome = self.try_load(cache);
        self.untrapped("load", outcome)
    }

    fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        let outcome = self.try_save(cache, entries);
        self.untrapped("save", outcome)
    }

    fn clear(&mut self, cache: &str) -> Result<(), Error> {
        let outcome = self.try_clear(cache);
        self.untrapped("clear", outcome)
    }

    fn apply(&mut self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        let outcome = self.try_apply(cache, changes);
        self.untrapped("apply", outcome)
    }

    fn get_many(&mut self, cache: &str, keys: &[&str]) -> Result<Vec<Option<Found>>, Error> {
        let outcome = self.try_get_many(cache, keys);
        self.untrapped("get-many", outcome)
    }

    fn scan(&mut self, cache: &str, after: Option<&str>, limit: u32) -> Result<Page, Error> {
        self.faults.start_record("scan", cache);
        let lookup = self.functions.lookup();
        let outcome = lookup.call_scan(&mut self.store, cache, after, limit);
        self.untrapped("scan", outcome)
    }

    fn apply_if(
        &mut self,
        cache: &str,
        conditions: &[Condition],
        changes: &[Change],
    ) -> Result<Vec<u32>, Error> {
        let outcome = self.try_apply_if(cache, conditions, changes);
        self.untrapped("apply-if", outcome)
    }

    fn open_reader(&mut self, cache: &str) -> Result<Reader, Error> {
        self.faults.start_record("open-reader", cache);
        let outcome = self.try_open_reader(cache);
        self.untrapped("open-reader", outcome)
    }

    fn next(&mut self, reader: &Reader) -> Result<Option<LiveBatch>, Error> {
        self.faults.start_record("next", "");
        let outcome = self.try_next(reader);
        self.untrapped("next", outcome)
    }

    fn lost(&mut self, reader: &Reader) -> u64 {
        let lost = self
            .functions
            .bulk()
            .reader()
            .call_lost(&mut self.store, reader.0);
        lost.expect("lost does not trap")
    }

    fn count(&mut self, reader: &Reader) -> u64 {
        let count = self
            .functions
            .bulk()
            .reader()
            .call_count(&mut self.store, reader.0);
        count.expect("count does not trap")
    }

    fn close_reader(&mut self, reader: Reader) {
        let closed = reader.0.resource_drop(&mut self.store);
        closed.expect("dropping a reader does not trap");
    }

    fn open_writer(&mut self, cache: &str) -> Result<Writer, Error> {
        self.faults.start_record("open-writer", cache);
        let outcome = self.try_open_writer(cache);
        self.untrapped("open-writer", outcome)
    }

    fn append(&mut self, writer: &Writer, entries: &Batch) -> Result<(), Error> {
        self.faults.start_record("append", "");
        let outcome = self.try_append(writer, entries);
        self.untrapped("append", outcome)
    }

    fn commit(&mut self, writer: Writer) -> Result<(), Error> {
        self.faults.start_record("commit", "");
        let outcome = self.try_commit(writer);
        self.untrapped("commit", outcome)
    }

    fn close_writer(&mut self, writer: Writer) {
        self.faults.start_record("drop of a writer", "");
        let outcome = self.try_close_writer(writer).map(Ok);
        let closed = self.untrapped("drop of a writer", outcome);
        closed.expect("a drop gives no error");
    }

    fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        self.faults.start_record("list-caches", "");
        let inspect = self.functions.inspect();
        let outcome = inspect.call_list_caches(&mut self.store);
        self.untrapped("list-caches", outcome)
    }

    fn stat(&mut self, cache: &str) -> Result<CacheStat, Error> {
        self.faults.start_record("stat", cache);
        let inspect = self.functions.inspect();
        let outcome = inspect.call_stat(&mut self.store, cache);
        self.untrapped("stat", outcome)
    }

    fn verify(&mut self, cache: &str) -> Result<Report, Error> {
        self.faults.start_record("verify", cache);
        let inspect = self.functions.inspect();
        let outcome = inspect.call_verify(&mut self.store, cache);
        self.untrapped("verify", outcome)
    }
}

/// Batches of one entry, of two, of four, and so on, up to 4096.
fn batches_of(mut entries: &[Entry]) -> Vec<Vec<Entry>> {
    let mut batches = Vec::new();
    while !entries.is_empty() {
        let count = entries.len().min(1 << batches.len().min(12));
        let (batch, rest) = entries.split_at(count);
        batches.push(batch.to_vec());
        entries = rest;
    }
    batches
}

/// The answer of a function of a component, or its trap.
type Outcome<T> = wasmtime::Result<Result<T, Error>>;
