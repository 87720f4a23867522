//! What runs found out, as it is kept in `results.json`.

use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::contestant::Role;
use crate::goals::Goal;
use crate::process::Machine;
use crate::stats::Times;

/// All that was measured, in this run or in earlier ones. What never was is not there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    pub machine: Machine,
    pub places: Vec<PlaceKind>,
    pub stores: Vec<Store>,
    pub applies: Vec<Apply>,
    pub changes: Option<Changes>,
    pub streams: Vec<Stream>,
    pub start: Option<Start>,
    #[serde(default)]
    pub layers: Vec<Layer>,
    pub component_bytes: usize,
    pub goals: Vec<Goal>,
}

impl Results {
    /// Takes over what earlier runs left in this file, if there is one. An error where they had
    /// something else to tell, or were made on another machine: that does not go into one table.
    pub fn with_earlier(self, file: &Path) -> Result<Self> {
        let unusable = |why: &dyn Display| {
            format!(
                "{}: {why}; remove it to measure everything anew",
                file.display()
            )
        };
        let json = match fs::read(file) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(self),
            Err(error) => return Err(unusable(&error).into()),
        };
        let earlier: Self = serde_json::from_slice(&json).map_err(|error| unusable(&error))?;
        if (&earlier.machine, &earlier.places) != (&self.machine, &self.places) {
            return Err(unusable(&"measured on another machine or other storage").into());
        }
        Ok(Self {
            component_bytes: self.component_bytes,
            ..earlier
        })
    }

    /// Keeps all of it in this file, which is whole at any time.
    pub fn write(&self, file: &Path) -> Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_string_pretty(self)?)?;
        Ok(fs::rename(new, file)?)
    }

    /// Puts in the same entries on one place, instead of what was known of them.
    pub fn put_store(&mut self, store: Store) {
        self.stores
            .retain(|old| (&old.place, &old.data) != (&store.place, &store.data));
        self.stores.push(store);
    }

    /// Puts in the single changes on one place, instead of what was known of them.
    pub fn put_apply(&mut self, apply: Apply) {
        self.applies.retain(|old| old.place != apply.place);
        self.applies.push(apply);
    }

    /// Puts in the cache layer on one place, instead of what was known of it.
    pub fn put_layer(&mut self, layer: Layer) {
        self.layers.retain(|old| old.place != layer.place);
        self.layers.push(layer);
    }

    /// Puts in all streams on one place, instead of what was known of them.
    pub fn put_streams(&mut self, place: &str, streams: Vec<Stream>) {
        self.streams.retain(|old| old.place != place);
        self.streams.extend(streams);
    }
}

/// A file system that was measured on.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceKind {
    pub name: String,
    pub storage: String,
}

/// The same entries kept by everyone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub place: String,
    pub data: String,
    /// A name for files.
    pub short: String,
    pub entries: usize,
    pub bytes: usize,
    pub rows: Vec<Row>,
}

/// One of those who kept them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub name: String,
    pub role: Role,
    pub settings: String,
    pub persist: Option<Times>,
    pub load: Option<Times>,
    /// Why it took no more turns, if so.
    pub failed: Option<String>,
}

/// Single changes to a large cache, each beside two fsyncs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    pub place: String,
    pub cache: usize,
    pub apply: Times,
    /// A new file of 4 KiB: fsync of it, and of its folder.
    pub new_file: Times,
    /// A file of 4 KiB that is there: written and fsynced, twice.
    pub in_place: Times,
    /// How many bytes a call wrote.
    pub written_median: f64,
    pub written_max: u64,
}

/// Very many single changes to a large cache.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    pub place: String,
    pub cache: usize,
    pub calls: usize,
    pub times: Times,
    /// How many bytes of keys and values were changed.
    pub changed: u64,
    pub written: u64,
    /// Between two calls.
    pub most_files: usize,
    pub slowest: Call,
}

/// One call.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Which one it was, counted from 0.
    pub number: usize,
    pub millis: f64,
    /// How much of that its thread was computing, rather than waiting for the disk or a processor.
    pub computing_millis: f64,
    pub written: u64,
    pub files_before: usize,
    pub files_after: usize,
}

/// A cache that nobody holds, written or read piece by piece by a process of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub place: String,
    /// In batches, called by wasmtime alone, or entry by entry with `larder-host`.
    pub through: String,
    pub what: String,
    pub entries: u64,
    pub times: Times,
    /// How large the component's memory became, where that is known.
    pub guest_bytes: Option<u64>,
    /// How much more memory the process had at most than when it was ready.
    pub host_bytes: u64,
}

/// From a compiled component to the first entries.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// `larder-host`: a backend and a load of 100 entries.
    pub library: Times,
    /// wasmtime alone: an instance and the same load.
    pub component: Times,
    /// The library once more, with the machine code from its code cache.
    pub kept_code: Times,
}

/// The cache layer, composed with an application and the disk backend where nothing else is said.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub place: String,
    /// A million gets that hit, of values of 100 bytes.
    pub get: Times,
    /// The same by the host, through a layer of `larder-host`.
    pub library_get: Times,
    /// A million sets that stay in memory.
    pub set: Times,
    /// A thousand changes handed to the backend.
    pub flush: Times,
    /// Two fsyncs: of a new file of 4 KiB, and of its folder.
    pub fsyncs: Times,
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn nothing() -> Results {
        Results {
            machine: Machine {
                processor: "some".into(),
                cores: 2,
                memory_gib: 1,
                kernel: "1.0".into(),
            },
            places: Vec::new(),
            stores: Vec::new(),
            applies: Vec::new(),
            changes: None,
            streams: Vec::new(),
            start: None,
            layers: Vec::new(),
            component_bytes: 1,
            goals: Vec::new(),
        }
    }

    fn store(place: &str, data: &str, entries: usize) -> Store {
        Store {
            place: place.into(),
            data: data.into(),
            short: data.into(),
            entries,
            bytes: 0,
            rows: vec![Row {
                name: "one".into(),
                role: Role::Native,
                settings: String::new(),
                persist: Times::of(&[std::time::Duration::from_millis(2)]),
                load: None,
                failed: Some("why".into()),
            }],
        }
    }

    fn known(results: &Results) -> Vec<(&str, &str, usize)> {
        let stores = results.stores.iter();
        let known = stores.map(|store| (&*store.place, &*store.data, store.entries));
        known.collect()
    }

    /// A file of its own for a test, which need not be there.
    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("larder-bench-{}-{name}.json", std::process::id()))
    }

    #[test]
    fn a_run_replaces_what_it_measured_and_keeps_the_rest() {
        let file = file("kept");
        let mut first = nothing().with_earlier(&file).expect("there is none yet");
        for (place, data) in [("disk", "small"), ("disk", "large"), ("tmpfs", "small")] {
            first.put_store(store(place, data, 1));
        }
        first.write(&file).expect("a folder for it");

        let now = Results {
            component_bytes: 2,
            ..nothing()
        };
        let mut second = now.with_earlier(&file).expect("the first one");
        fs::remove_file(&file).expect("it is there");
        let row = &second.stores[0].rows[0];
        assert_eq!(
            (row.role, row.failed.as_deref()),
            (Role::Native, Some("why"))
        );
        assert_eq!(row.persist.as_ref().map(|times| times.median), Some(2.0));
        second.put_store(store("disk", "small", 2));
        assert_eq!(second.component_bytes, 2);
        assert_eq!(
            known(&second),
            [
                ("disk", "large", 1),
                ("tmpfs", "small", 1),
                ("disk", "small", 2)
            ]
        );
    }

    #[test]
    fn what_cannot_be_taken_over_is_an_error_that_names_the_file() {
        let file = file("strange");
        let mut elsewhere = nothing();
        elsewhere.machine.cores += 1;
        let elsewhere = serde_json::to_string(&elsewhere).expect("it is JSON");
        let ours = serde_json::to_string(&nothing()).expect("it is JSON");
        let older = ours.replace("\"streams\"", "\"flows\"");
        let newer = ours.replacen('{', "{\"more\":1,", 1);
        let torn = ours[..ours.len() / 2].to_owned();
        for text in [elsewhere, older, newer, torn, String::new()] {
            fs::write(&file, &text).expect("a folder for it");
            let error = nothing().with_earlier(&file).err().expect("it is an error");
            let error = error.to_string();
            assert!(error.contains(&*file.to_string_lossy()), "{error}");
            assert!(error.contains("remove it"), "{error}");
        }
        fs::write(&file, ours).expect("a folder for it");
        nothing().with_earlier(&file).expect("its own");
        fs::remove_file(&file).expect("it is there");
    }
}
