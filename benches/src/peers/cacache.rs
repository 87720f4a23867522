//! [cacache](https://github.com/zkat/cacache-rs): files that are named by the hash of their bytes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use cacache::{Algorithm, WriteOpts};
use rustix::fs::syncfs;

use crate::Result;
use crate::contestant::{Contestant, Owned, Sample, deadline, now, timed, verify};
use crate::data::Data;

/// The most entries for it: it makes two files for each.
const MOST: usize = 2_000;

#[derive(Default)]
pub struct Cacache(Sample);

impl Contestant for Cacache {
    fn name(&self) -> &'static str {
        "cacache"
    }

    fn settings(&self) -> &'static str {
        "its synchronous interface with XXH3; two files an entry, which it does not sync: one `syncfs` \
         at the end; of more than 2,000 entries only the first 2,000 are stored, and the time is \
         multiplied"
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        self.0 = Sample::of(data, MOST);
        Ok(())
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (data, times) = self.0.share(data);
        let ((), time) = timed(|| {
            let now = now();
            for entry in &data.entries {
                let mut options = WriteOpts::new()
                    .algorithm(Algorithm::Xxh3)
                    .size(entry.value.len());
                if let Some(expires) = deadline(now, entry.ttl) {
                    options = options.metadata(expires.into());
                }
                let mut writer = options.open_sync(folder, &entry.key)?;
                writer.write_all(&entry.value)?;
                writer.commit()?;
            }
            Ok(syncfs(File::open(folder)?)?)
        })?;
        Ok(time.mul_f64(times))
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (data, times) = self.0.share(data);
        let (loaded, time) = timed(|| {
            let now = now();
            let mut loaded: Vec<Owned> = Vec::new();
            for entry in cacache::list_sync(folder) {
                let entry = entry?;
                let expires = entry.metadata.as_u64();
                if expires.is_none_or(|expires| expires > now) {
                    let value = cacache::read_hash_sync(folder, &entry.integrity)?;
                    loaded.push((entry.key, value, expires));
                }
            }
            Ok(loaded)
        })?;
        verify(data, &loaded)?;
        Ok(time.mul_f64(times))
    }
}
