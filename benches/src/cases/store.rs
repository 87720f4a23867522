//! All contestants take turns: each persists the same entries into a new folder, and loads them.

use std::time::{Duration, Instant};

use crate::Result;
use crate::contestant::Contestant;
use crate::data::{Data, Kind};
use crate::larder::batches::Batches;
use crate::larder::component::Instances;
use crate::larder::library::Library;
use crate::larder::native::{NativeBatches, NativePlain};
use crate::larder::plain::Plain;
use crate::peers::cacache::Cacache;
use crate::peers::cache_backend::CacheBackend;
use crate::peers::diskcache::Diskcache;
use crate::peers::fjall::Fjall;
use crate::peers::limit::{Bytes, Limit};
use crate::peers::redb::Redb;
use crate::peers::sqlite::Sqlite;
use crate::place::{Place, remove};
use crate::results::Rows;
use crate::stats::millis;

/// A contestant whose last turn took longer than this takes no more turns after so many turns.
const PATIENCE: [(Duration, usize); 2] =
    [(Duration::from_secs(10), 3), (Duration::from_secs(60), 1)];

/// A contestant and its times, in ms.
struct Turns {
    contestant: Box<dyn Contestant>,
    persist: Vec<f64>,
    load: Vec<f64>,
    /// The duration of the whole last turn, even if the contestant took only a sample of the data.
    waited: Duration,
    failed: Option<String>,
}

impl Turns {
    fn take(&mut self, data: &Data, place: &Place) -> Result<()> {
        let start = Instant::now();
        let folder = place.fresh("turn")?;
        let persist = self.contestant.persist(data, &folder)?;
        place.settle()?;
        let load = self.contestant.load(data, &folder)?;
        self.persist.push(millis(persist));
        self.load.push(millis(load));
        remove(&folder)?;
        self.waited = start.elapsed();
        Ok(())
    }

    fn is_done(&self) -> bool {
        let had = self.persist.len();
        let too_slow = |&(most, turns)| self.waited > most && had >= turns;
        self.failed.is_some() || PATIENCE.iter().any(too_slow)
    }
}

/// The first is compared with all others.
pub fn contestants() -> Vec<Box<dyn Contestant>> {
    vec![
        Box::new(Library::Opened),
        Box::new(Library::Kept(None)),
        Box::new(Plain(Instances::Kept(None))),
        Box::new(Plain(Instances::New)),
        Box::new(Batches(Instances::Kept(None))),
        Box::new(Batches(Instances::New)),
        Box::new(NativePlain::default()),
        Box::new(NativeBatches::default()),
        Box::new(Limit::Steps(Bytes::default())),
        Box::new(Limit::Whole(Bytes::default())),
        Box::new(Redb),
        Box::new(Fjall),
        Box::new(Sqlite),
        Box::new(Cacache::default()),
        Box::new(CacheBackend::default()),
        Box::new(Diskcache::default()),
    ]
}

pub fn run(place: &Place, kind: Kind, data: &Data, rounds: usize) -> Result<Rows> {
    let mut all = Vec::new();
    for mut contestant in contestants() {
        let prepared = contestant.prepare(data);
        all.push(Turns {
            failed: prepared.err().map(|error| error.to_string()),
            contestant,
            persist: Vec::new(),
            load: Vec::new(),
            waited: Duration::ZERO,
        });
    }
    for round in 0..rounds {
        eprintln!(
            "{}, {}: round {} of {rounds}",
            kind.name(),
            place.name,
            round + 1
        );
        // No contestant always follows the same contestant.
        let first = round % all.len();
        let (last, next) = all.split_at_mut(first);
        for turns in next.iter_mut().chain(last) {
            if !turns.is_done()
                && let Err(error) = turns.take(data, place)
            {
                eprintln!("  {}: {error}", turns.contestant.name());
                turns.failed = Some(error.to_string());
            }
        }
    }
    let mut rows = Rows::new(kind.case(), place.name);
    for turns in all {
        let (name, data) = (turns.contestant.name(), kind.name());
        let failed = turns.failed.map(|why| format!("failed: {why}"));
        rows.add(name, data, "persist, ms", turns.persist).note = failed.unwrap_or_default();
        rows.add(name, data, "load, ms", turns.load);
    }
    Ok(rows)
}
