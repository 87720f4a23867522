//! `larder demo`: the whole idea in a few seconds, with every claim checked.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, io};

use indicatif::BinaryBytes;
use larder_host::{Backend, Change, Contents, Entry};
use larder_pickle::Import;
use serde_json::json;
use wasmtime_wasi::HostWallClock;

use crate::duration;
use crate::options::Options;
use crate::output::{Failure, Output};

/// Show the whole idea in a few seconds, on a cache that ships with the command
///
/// Imports what the Python module pickled, restarts, changes it, goes a day ahead, damages a copy and
/// clears; and checks after each step that what it says is so. All of it happens in a temporary
/// folder, which is removed; `--dir` names an empty or new folder to keep instead.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder demo
  larder --dir try-larder demo")]
pub struct Args {}

/// 500 entries, as the Python module wrote them.
static PICKLED: &[u8] = include_bytes!("../demo.pkl");

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub fn run(_: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let Some(dir) = options.named_dir() else {
        let temporary = tempfile::Builder::new().prefix("larder-demo-").tempdir();
        let temporary = temporary.map_err(|error| said("a temporary folder", error))?;
        Demo::new(temporary.path(), options, output).run()?;
        return temporary
            .close()
            .map_err(|error| said("removing the temporary folder", error));
    };
    let empty = fs::create_dir_all(dir).and_then(|()| Ok(fs::read_dir(dir)?.next().is_none()));
    match empty {
        Ok(true) => Demo::new(dir, options, output).run(),
        Ok(false) => Err(said(
            dir.display(),
            "the demo wants an empty folder, or a new one",
        )),
        Err(error) => Err(said(dir.display(), error)),
    }
}

fn said(about: impl Display, why: impl Display) -> Failure {
    Failure::Said(format!("demo: {about}: {why}"))
}

struct Demo<'a> {
    dir: &'a Path,
    store: PathBuf,
    damaged: PathBuf,
    options: &'a Options,
    output: &'a mut Output,
}

impl<'a> Demo<'a> {
    fn new(dir: &'a Path, options: &'a Options, output: &'a mut Output) -> Self {
        Self {
            dir,
            store: dir.join("store"),
            damaged: dir.join("damaged"),
            options,
            output,
        }
    }

    fn run(mut self) -> Result<(), Failure> {
        let started = Instant::now();
        self.say(
            "Larder keeps caches on storage that outlives the program: here, files in a folder,",
        )?;
        let fate = if self.options.named_dir().is_some() {
            "kept"
        } else {
            "removed at the end"
        };
        self.say(format!("{} ({fate}).", self.dir.display()))?;
        let began = SystemTime::now();
        let imported = self.import()?;
        self.restart(&imported, began)?;
        self.change()?;
        self.tomorrow()?;
        let (salvaged, lost) = self.damage(&imported)?;
        self.clear()?;
        self.go_on(started)?;
        match self.output.json {
            false => Ok(()),
            true => self.output.object(&json!({
                "operation": "demo", "imported": imported.entries.len(), "expired": imported.expired,
                "skipped": imported.skipped.len(), "salvaged": salvaged, "lost": lost,
            })),
        }
    }

    fn import(&mut self) -> Result<Import, Failure> {
        self.step("1. Import a cache that the Python module pickled")?;
        let imported = larder_pickle::read(PICKLED, SystemTime::now())
            .map_err(|error| said("the pickled cache", error))?;
        let backend = self.open(&self.store)?;
        let started = Instant::now();
        called(backend.save("users", &imported.entries))?;
        let took = started.elapsed();
        let stat = called(backend.stat("users"))?;
        let dying = imported
            .entries
            .iter()
            .filter(|entry| entry.ttl.is_some())
            .count();
        check(
            stat.entries == imported.entries.len() as u64,
            "every imported entry is stored",
        )?;
        self.say(format!(
            "   {} entries, {dying} of them with a time to live; {} expired, {} skipped",
            imported.entries.len(),
            imported.expired,
            imported.skipped.len(),
        ))?;
        self.say(format!(
            "   saved in {took:.1?}: {}",
            BinaryBytes(stat.bytes)
        ))?;
        Ok(imported)
    }

    fn restart(&mut self, imported: &Import, began: SystemTime) -> Result<(), Failure> {
        self.step("2. Restart: a fresh instance of the component, the same folder")?;
        let backend = self.open(&self.store)?;
        let started = Instant::now();
        let loaded = called(backend.load("users"))?;
        let took = started.elapsed();
        let loaded = Loaded::new(&loaded);
        check(loaded.lost == 0, "nothing is lost")?;
        check(
            loaded.holds_exactly(&imported.entries),
            "every key and value is what was imported",
        )?;
        // The clock may be set meanwhile, and the two clocks differ in the last digits.
        let went_by = began.elapsed().unwrap_or_default() + Duration::from_secs(1);
        let mut rows = Vec::new();
        for entry in &imported.entries {
            let before = entry.ttl;
            let after = loaded.remaining(&entry.key);
            check(
                before.is_some() == after.is_some(),
                "a time to live is kept, and none is made up",
            )?;
            if let Some((before, after)) = before.zip(after) {
                check(
                    after < before && before - after <= went_by,
                    "times to live went on running, as the clock did",
                )?;
                if rows.len() < 3 {
                    rows.push([
                        entry.key.clone(),
                        String::from_utf8_lossy(&entry.value).into_owned(),
                        duration::exact(to_the_millisecond(before)),
                        duration::exact(to_the_millisecond(after)),
                        duration::exact(to_the_millisecond(before) - to_the_millisecond(after)),
                    ]);
                }
            }
        }
        self.say(format!(
            "   {} entries loaded in {took:.1?}, every key and value as it was; times to live ran on:",
            loaded.entries.len(),
        ))?;
        self.table(
            [
                "key",
                "value",
                ">left at the import",
                ">left now",
                ">went by",
            ],
            rows,
        )
    }

    fn change(&mut self) -> Result<(), Failure> {
        self.step("3. Change a few entries: the cost follows the change, not the cache")?;
        let backend = self.open(&self.store)?;
        let before = called(backend.stat("users"))?;
        let changes = [
            Change::Put(Entry::new("user:0", "changed")),
            Change::Put(Entry::new("visitor", "here until tonight").ttl(DAY / 2)),
            Change::Remove("user:1".into()),
        ];
        let started = Instant::now();
        called(backend.apply("users", &changes))?;
        let took = started.elapsed();
        let after = called(backend.stat("users"))?;
        let loaded = called(backend.load("users"))?;
        let loaded = Loaded::new(&loaded);
        check(
            loaded.value("user:0") == Some(b"changed"),
            "the value put is the one loaded",
        )?;
        check(loaded.value("visitor").is_some(), "the entry put is loaded")?;
        check(
            loaded.value("user:1").is_none(),
            "the entry removed is gone",
        )?;
        self.say(format!(
            "   2 put and 1 removed in {took:.1?}: {} more, version {} after {}",
            BinaryBytes(after.bytes.saturating_sub(before.bytes)),
            after.version,
            before.version,
        ))
    }

    fn tomorrow(&mut self) -> Result<(), Failure> {
        self.step("4. Tomorrow: the same folder under a clock that is a day ahead")?;
        let loaded = called(self.open(&self.store)?.load("users"))?;
        let today = Loaded::new(&loaded);
        let ahead = self.options.builder(&self.store);
        let ahead = called(ahead.and_then(|builder| {
            builder
                .wasi(|wasi| {
                    wasi.wall_clock(DayAhead);
                })
                .build()
        }))?;
        let loaded = called(ahead.load("users"))?;
        let tomorrow = Loaded::new(&loaded);
        check(
            tomorrow.value("visitor").is_none(),
            "what lived for half a day is gone",
        )?;
        check(
            tomorrow.entries.len() + 1 == today.entries.len(),
            "everything else is there",
        )?;
        let mut rows = Vec::new();
        for (key, (value, _)) in &today.entries {
            let Some(before) = today.remaining(key) else {
                continue;
            };
            let after = tomorrow.remaining(key);
            check(
                after.is_none_or(|after| after + DAY <= before),
                "a day went by for each entry",
            )?;
            if *key == "visitor" || rows.len() < 2 {
                rows.push([
                    key.to_string(),
                    String::from_utf8_lossy(value).into_owned(),
                    duration::roughly(before),
                    after.map_or("expired".into(), duration::roughly),
                ]);
            }
        }
        self.say(format!(
            "   {} entries today, {} tomorrow:",
            today.entries.len(),
            tomorrow.entries.len()
        ))?;
        self.table(["key", "value", ">left today", ">left tomorrow"], rows)
    }

    fn damage(&mut self, imported: &Import) -> Result<(usize, u64), Failure> {
        self.step("5. Damage: one flipped byte in a copy of the folder")?;
        // Values so much larger that the cache takes several blocks.
        let pages: Vec<Entry> = imported
            .entries
            .iter()
            .map(|entry| Entry::new(&entry.key, entry.value.repeat(64)))
            .collect();
        called(self.open(&self.store)?.save("pages", &pages))?;
        let (flipped, offset) = copy_and_flip(&self.store, &self.damaged)
            .map_err(|error| said(self.damaged.display(), error))?;

        let backend = self.open(&self.damaged)?;
        let report = called(backend.verify("pages"))?;
        let loaded = called(backend.load("pages"))?;
        let loaded = Loaded::new(&loaded);
        let intact = pages
            .iter()
            .filter(|page| loaded.value(&page.key) == Some(&page.value))
            .count();
        check(!report.damage.is_empty(), "verify finds the damage")?;
        check(
            intact == loaded.entries.len(),
            "every salvaged entry is what was saved",
        )?;
        check(
            intact as u64 + loaded.lost == pages.len() as u64,
            "every other entry is counted as lost",
        )?;
        check(
            called(self.open(&self.store)?.verify("pages"))?
                .damage
                .is_empty(),
            "the folder itself is whole",
        )?;
        self.say(format!(
            "   {} entries in {}, {} blocks; the byte at {offset} of {} flipped",
            pages.len(),
            BinaryBytes(report.bytes),
            report.blocks,
            flipped.display(),
        ))?;
        for damage in &report.damage {
            self.say(format!(
                "   verify finds the {} at {}, {} long, with {} entries",
                damage.part,
                damage.offset,
                BinaryBytes(damage.length),
                damage.entries,
            ))?;
        }
        self.say(format!(
            "   load salvages {intact} entries, each as it was saved, and counts {} as lost",
            loaded.lost
        ))?;
        Ok((intact, loaded.lost))
    }

    fn clear(&mut self) -> Result<(), Failure> {
        self.step("6. Clear")?;
        let backend = self.open(&self.store)?;
        let caches = called(backend.list())?;
        for cache in &caches {
            called(backend.clear(cache))?;
        }
        check(
            called(self.open(&self.store)?.list())?.is_empty(),
            "no cache is left",
        )?;
        let mut left = 0;
        for file in files(&self.store).map_err(|error| said(self.store.display(), error))? {
            let bytes = fs::read(&file).map_err(|error| said(file.display(), error))?;
            let told = ["user:", "value-", "visitor"]
                .map(str::as_bytes)
                .into_iter();
            let told = told.filter(|text| bytes.windows(text.len()).any(|part| part == *text));
            check(told.count() == 0, "nothing of the data is left in any file")?;
            left += bytes.len() as u64;
        }
        self.say(format!(
            "   {} cleared; {} of files are left, and nothing of the data in them",
            caches.join(" and "),
            BinaryBytes(left),
        ))
    }

    fn go_on(&mut self, started: Instant) -> Result<(), Failure> {
        self.say("")?;
        self.say(format!(
            "All of this was checked, in {:.1?}. To go on:",
            started.elapsed()
        ))?;
        // As it was called, which works where it is not on the path.
        let larder = env::args_os().next().unwrap_or_else(|| "larder".into());
        let larder = larder.display();
        let entry = r#"{"key": "user:1", "value": "Ada", "ttl": "90s"}"#;
        self.say(format!("   echo '{entry}' | {larder} save sessions"))?;
        self.say(format!("   {larder} load sessions"))?;
        self.say(format!("   {larder} ls"))?;
        if self.options.named_dir().is_some() {
            self.say(format!(
                "   {larder} --dir {} verify",
                self.damaged.display()
            ))?;
        }
        self.say(format!("   {larder} help"))
    }

    fn open(&self, dir: &Path) -> Result<Backend, Failure> {
        fs::create_dir_all(dir).map_err(|error| said(dir.display(), error))?;
        called(self.options.over(dir))
    }

    fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.say("")?;
        self.say(title)?;
        // What is done next may take a moment.
        self.output.flush()
    }

    fn say(&mut self, text: impl Display) -> Result<(), Failure> {
        match self.output.json {
            true => Ok(()),
            false => self.output.line(text),
        }
    }

    fn table<const N: usize>(
        &mut self,
        headings: [&str; N],
        rows: Vec<[String; N]>,
    ) -> Result<(), Failure> {
        match self.output.json {
            true => Ok(()),
            false => self.output.table(headings, rows),
        }
    }
}

/// What was loaded, by key.
struct Loaded<'a> {
    entries: BTreeMap<&'a str, (&'a [u8], Option<Instant>)>,
    lost: u64,
    at: Instant,
}

impl<'a> Loaded<'a> {
    fn new(contents: &'a Contents) -> Self {
        let entries = contents.entries.iter();
        Self {
            entries: entries
                .map(|entry| {
                    (
                        entry.key.as_str(),
                        (entry.value.as_slice(), entry.expires_at),
                    )
                })
                .collect(),
            lost: contents.lost,
            at: Instant::now(),
        }
    }

    fn value(&self, key: &str) -> Option<&'a [u8]> {
        self.entries.get(key).map(|(value, _)| *value)
    }

    fn remaining(&self, key: &str) -> Option<Duration> {
        let (_, deadline) = self.entries.get(key)?;
        deadline.map(|deadline| deadline.saturating_duration_since(self.at))
    }

    fn holds_exactly(&self, entries: &[Entry]) -> bool {
        self.entries.len() == entries.len()
            && entries
                .iter()
                .all(|entry| self.value(&entry.key) == Some(&entry.value))
    }
}

struct DayAhead;

impl HostWallClock for DayAhead {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap_or_default() + DAY
    }
}

fn called<T>(outcome: Result<T, larder_host::Error>) -> Result<T, Failure> {
    outcome.map_err(|error| Failure::Said(format!("demo: {error}")))
}

fn check(holds: bool, claim: &str) -> Result<(), Failure> {
    match holds {
        true => Ok(()),
        false => Err(said("this does not hold", claim)),
    }
}

fn to_the_millisecond(exactly: Duration) -> Duration {
    exactly - Duration::from_nanos(u64::from(exactly.subsec_nanos() % 1_000_000))
}

/// Copies a folder and flips a bit in the middle of the largest file of the copy: which file, by its
/// path from the folder, and where.
fn copy_and_flip(from: &Path, to: &Path) -> io::Result<(PathBuf, usize)> {
    let mut largest = (PathBuf::new(), Vec::new());
    for file in files(from)? {
        let name = file
            .strip_prefix(from)
            .map_err(io::Error::other)?
            .to_owned();
        let copy = to.join(&name);
        fs::create_dir_all(copy.parent().unwrap_or(to))?;
        fs::copy(&file, &copy)?;
        let bytes = fs::read(&file)?;
        if bytes.len() >= largest.1.len() {
            largest = (name, bytes);
        }
    }
    let (name, mut bytes) = largest;
    let middle = bytes.len() / 2;
    let byte = bytes.get_mut(middle);
    *byte.ok_or_else(|| io::Error::other("the component has stored nothing in files"))? ^= 1;
    fs::write(to.join(&name), bytes)?;
    Ok((name, middle))
}

/// The files of a folder and the folders in it.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => found.extend(files(&entry.path())?),
            false => found.push(entry.path()),
        }
    }
    Ok(found)
}
