//! Lets the conformance kit judge a [`Subject`] and its instances.

use std::path::Path;

use larder_conformance::contract::{
    Batch, CacheStat, Change, Contents, Entry, Error, LiveBatch, Report,
};
use larder_conformance::{self as conformance, Clock, Feature, Reader, Writer};

use crate::instance::Instance;
use crate::subject::Subject;

impl conformance::Subject for Subject {
    fn open(&self) -> Box<dyn conformance::Instance> {
        Box::new(self.open())
    }

    fn clock(&self) -> &Clock {
        self.clock()
    }

    fn offers(&self, feature: Feature) -> bool {
        match feature {
            Feature::Durability => true,
            Feature::Concurrency => !self.alone,
            // Without syncs, damage may bring back an older version; the disk backend's docs say
            // so.
            Feature::Files => self.syncs(),
            interface => self.backend.exports.offers(interface),
        }
    }

    fn folder(&self) -> Option<&Path> {
        self.real_folder()
    }
}

/// The instance's own functions of the same names.
impl conformance::Instance for Instance {
    fn load(&mut self, cache: &str) -> Result<Contents, Error> {
        self.load(cache)
    }

    fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        self.save(cache, entries)
    }

    fn clear(&mut self, cache: &str) -> Result<(), Error> {
        self.clear(cache)
    }

    fn apply(&mut self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        self.apply(cache, changes)
    }

    fn open_reader(&mut self, cache: &str) -> Result<Reader, Error> {
        self.open_reader(cache)
    }

    fn next(&mut self, reader: &Reader) -> Result<Option<LiveBatch>, Error> {
        self.next(reader)
    }

    fn lost(&mut self, reader: &Reader) -> u64 {
        self.lost(reader)
    }

    fn count(&mut self, reader: &Reader) -> u64 {
        self.count(reader)
    }

    fn close_reader(&mut self, reader: Reader) {
        self.close_reader(reader);
    }

    fn open_writer(&mut self, cache: &str) -> Result<Writer, Error> {
        self.open_writer(cache)
    }

    fn append(&mut self, writer: &Writer, entries: &Batch) -> Result<(), Error> {
        self.append(writer, entries)
    }

    fn commit(&mut self, writer: Writer) -> Result<(), Error> {
        self.commit(writer)
    }

    fn close_writer(&mut self, writer: Writer) {
        self.close_writer(writer);
    }

    fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        self.list_caches()
    }

    fn stat(&mut self, cache: &str) -> Result<CacheStat, Error> {
        self.stat(cache)
    }

    fn verify(&mut self, cache: &str) -> Result<Report, Error> {
        self.verify(cache)
    }
}
