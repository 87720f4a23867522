//! The time from a compiled component to its first entries.

use larder_components::DISK;
use larder_host::{Backend, Entry};

use crate::Result;
use crate::contestant::timed;
use crate::larder::component::Disk;
use crate::place::Place;
use crate::results::Rows;
use crate::stats::millis;

const CACHE: &str = "start";
const ENTRIES: usize = 100;

pub fn run(place: &Place, rounds: usize) -> Result<Rows> {
    eprintln!("{rounds} starts, {}", place.name);
    let folder = place.fresh(CACHE)?;
    let entries: Vec<_> = (0..ENTRIES)
        .map(|i| Entry::new(format!("user:{i}"), vec![i as u8; 100]))
        .collect();
    Backend::disk(&folder)?.save(CACHE, &entries)?;
    let code = place.fresh("code")?.join("kept");
    let kept_code_backend = || -> Result<Backend> {
        let backend = Backend::component_bytes(DISK).code_cache(&code);
        Ok(backend.preopen(&folder, "/").build()?)
    };
    kept_code_backend()?;
    Disk::compiled();

    let (mut library, mut component, mut kept_code) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (loaded, time) = timed(|| Ok(Backend::disk(&folder)?.load(CACHE)?))?;
        expect(loaded.entries.len())?;
        library.push(millis(time));

        let (loaded, time) = timed(|| {
            let mut instance = Disk::compiled().start(&folder)?;
            instance.call(async |store, exports| {
                Ok(exports
                    .larder_cache_cache_backend()
                    .call_load(store, CACHE)
                    .await??)
            })
        })?;
        expect(loaded.entries.len())?;
        component.push(millis(time));

        let (loaded, time) = timed(|| Ok(kept_code_backend()?.load(CACHE)?))?;
        expect(loaded.entries.len())?;
        kept_code.push(millis(time));
    }
    let mut rows = Rows::new("start", place.name);
    for (work, times) in [
        ("`larder-host`: open a folder, load 100 entries", library),
        ("wasmtime alone: an instance, load the same", component),
        ("`larder-host`, its code from a code cache", kept_code),
    ] {
        rows.add(work, "", "time, ms", times);
    }
    Ok(rows)
}

fn expect(count: usize) -> Result<()> {
    if count != ENTRIES {
        return Err(format!("{count} entries came back, not {ENTRIES}").into());
    }
    Ok(())
}
