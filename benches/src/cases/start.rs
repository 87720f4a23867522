//! How long it takes from a compiled component to its first entries.

use larder_host::{Backend, DISK_COMPONENT, Entry};

use crate::Result;
use crate::contestant::timed;
use crate::larder::component::Disk;
use crate::place::Place;
use crate::results::Start;
use crate::stats::Times;

const CACHE: &str = "start";
const ENTRIES: usize = 100;

pub fn run(place: &Place, rounds: usize) -> Result<Start> {
    eprintln!("{rounds} starts, {}", place.name);
    let folder = place.fresh(CACHE)?;
    let entries: Vec<_> = (0..ENTRIES)
        .map(|i| Entry::new(format!("user:{i}"), vec![i as u8; 100]))
        .collect();
    Backend::disk(&folder)?.save(CACHE, &entries)?;
    let code = place.fresh("code")?.join("kept");
    let kept_code_backend = || -> Result<Backend> {
        let backend = Backend::component_bytes(DISK_COMPONENT).code_cache(&code);
        Ok(backend.preopen(&folder, "/").build()?)
    };
    kept_code_backend()?;
    Disk::compiled();

    let (mut library, mut component, mut kept_code) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (loaded, time) = timed(|| Ok(Backend::disk(&folder)?.load(CACHE)?))?;
        expect(loaded.entries.len())?;
        library.push(time);

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
        component.push(time);

        let (loaded, time) = timed(|| Ok(kept_code_backend()?.load(CACHE)?))?;
        expect(loaded.entries.len())?;
        kept_code.push(time);
    }
    Ok(Start {
        library: Times::of(&library).ok_or("no rounds")?,
        component: Times::of(&component).ok_or("no rounds")?,
        kept_code: Times::of(&kept_code).ok_or("no rounds")?,
    })
}

fn expect(count: usize) -> Result<()> {
    if count != ENTRIES {
        return Err(format!("{count} entries came back, not {ENTRIES}").into());
    }
    Ok(())
}
