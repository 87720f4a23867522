//! The cache layer: the time of calls that stay in memory, and of a flush in turn with two fsyncs.

use std::path::Path;
use std::time::Duration;

use larder_components::{CACHE, DISK};
use larder_host::{Backend, Cache, Entry, Layer, Options};
use larder_host_test::compose::plug;
use larder_host_test::surroundings::{Inside, Surroundings, compiled, linker};
use wasmtime::Store;

use super::apply::{NEW_FILE, write_new};
use crate::Result;
use crate::contestant::timed;
use crate::place::Place;
use crate::results::Rows;
use crate::stats::millis;

mod generated {
    wasmtime::component::bindgen!({
        inline: "
            package larder:bench;
            world guest {
                export prepare: func(entries: u32) -> result<_, string>;
                export get: func(times: u32) -> u32;
                export set: func(times: u32);
                export flush: func() -> result<_, string>;
            }
        ",
    });
}

use generated::Guest;

static GUEST: &[u8] = include_bytes!(env!("LARDER_BENCH_GUEST"));

const ENTRIES: u32 = 10_000;
/// A million calls take as many milliseconds as one call takes nanoseconds.
const CALLS: u32 = 1_000_000;
const GROUP: u32 = 1_000;

pub fn run(place: &Place, rounds: usize) -> Result<Rows> {
    eprintln!("the cache layer, {rounds} rounds, {}", place.name);
    let mut application = Application::start(&place.fresh("layer")?)?;
    let library = Library::start(&place.fresh("library")?)?;
    let beside = place.fresh("beside")?;
    place.settle()?;
    let (mut gets, mut library_gets, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut flushes, mut fsyncs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        gets.push(application.get(CALLS)?);
        library_gets.push(library.get(CALLS)?);
        sets.push(application.set(CALLS)?);
        application.flush()?;
        application.set(GROUP)?;
        flushes.push(application.flush()?);
        let new_file = beside.join(round.to_string());
        fsyncs.push(timed(|| write_new(&new_file, &beside))?.1);
    }
    let mut rows = Rows::new("layer", place.name);
    let through_library = "a million gets that hit, by the host through `larder-host`";
    for (work, times) in [
        ("a million gets that hit", gets),
        (through_library, library_gets),
        ("a million sets that stay in memory", sets),
        ("a flush of 1,000 changes", flushes),
        (NEW_FILE, fsyncs),
    ] {
        rows.add(work, "", "time, ms", times.into_iter().map(millis));
    }
    Ok(rows)
}

/// An application, the cache layer and the disk backend, in one component. Its clocks stand still,
/// but each look at them is a call to the host, as with clocks that run.
struct Application {
    store: Store<Inside>,
    guest: Guest,
}

impl Application {
    fn start(folder: &Path) -> Result<Self> {
        let cache = plug(CACHE, &[DISK])?;
        let component = compiled(&plug(GUEST, &[&cache])?);
        let mut store = Surroundings::default().on(folder).store();
        let guest = Guest::instantiate(&mut store, &component, &linker())?;
        guest.call_prepare(&mut store, ENTRIES)??;
        Ok(Self { store, guest })
    }

    fn get(&mut self, times: u32) -> Result<Duration> {
        let (found, time) = timed(|| Ok(self.guest.call_get(&mut self.store, times)?))?;
        expect(found, times)?;
        Ok(time)
    }

    fn set(&mut self, times: u32) -> Result<Duration> {
        Ok(timed(|| Ok(self.guest.call_set(&mut self.store, times)?))?.1)
    }

    fn flush(&mut self) -> Result<Duration> {
        Ok(timed(|| Ok(self.guest.call_flush(&mut self.store)??))?.1)
    }
}

/// The same entries in a layer of this program.
struct Library {
    cache: Cache,
    keys: Vec<String>,
}

impl Library {
    fn start(folder: &Path) -> Result<Self> {
        let layer = Layer::new(Backend::disk(folder)?)?;
        let cache = layer.open("bench", &Options::default())?;
        let keys: Vec<_> = (0..ENTRIES).map(|n| format!("user:{n}")).collect();
        cache.set_many(keys.iter().map(|key| Entry::new(key, [7; 100])));
        Ok(Self { cache, keys })
    }

    /// Gets the entries in the order of the guest.
    fn get(&self, times: u32) -> Result<Duration> {
        const STRIDE: usize = 7919;
        let (mut next, mut found) = (0, 0);
        let ((), time) = timed(|| {
            for _ in 0..times {
                next = (next + STRIDE) % self.keys.len();
                found += u32::from(self.cache.get(&self.keys[next]).is_some());
            }
            Ok(())
        })?;
        expect(found, times)?;
        Ok(time)
    }
}

fn expect(found: u32, times: u32) -> Result<()> {
    if found != times {
        return Err(format!("{found} of {times} values were found").into());
    }
    Ok(())
}
