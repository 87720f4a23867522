//! `larder demo`: the whole idea in six short steps, with every claim checked.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, io};

use indicatif::BinaryBytes;
use larder_host::wasmtime_48::wasmtime_wasi::HostWallClock;
use larder_host::{Backend, Change, Entry};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::import;
use crate::options::{Options, ROOT};
use crate::output::{Failure, Output};

/// Show the whole idea in a few seconds, with a cache that ships with the command
///
/// The demo imports a cache that the Python module pickled, restarts, changes entries, goes a day
/// ahead, damages a copy, and clears. After each step it checks every claim that it makes.
///
/// All of this happens in a temporary folder, which is removed at the end. To keep the files, name
/// a new or empty folder with `--dir`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder demo
  larder --dir try-larder demo && larder --dir try-larder/damaged verify")]
pub struct Args {}

/// 500 entries, as the Python module wrote them.
static PICKLED: &[u8] = include_bytes!("../demo.pkl");

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const NEXT: &str = r#"Now try it yourself:
   echo '{"key": "user:1", "value": "Ada", "ttl": "90s"}' | larder save sessions
   larder load sessions
   larder ls
   larder help"#;

type Outcome<T> = Result<T, Box<dyn Error>>;

impl From<Box<dyn Error>> for Failure {
    fn from(why: Box<dyn Error>) -> Self {
        Self::Said(format!("demo: {why}"))
    }
}

pub fn run(_: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let started = Instant::now();
    let (dir, temporary) = folder(options)?;
    let mut say = |text: String| {
        if !output.json {
            text.lines().try_for_each(|line| output.line(line))?;
        }
        output.flush()
    };
    say("Larder keeps caches on storage that outlives the program.".into())?;
    say(format!("Here the storage is the folder {}.", dir.display()))?;
    let mut demo = Demo {
        options,
        store: dir.join("store"),
        copy: dir.join("damaged"),
        began: SystemTime::now(),
        users: Entries::new(),
        facts: Value::Null,
    };
    say(demo.import()?)?;
    say(demo.restart()?)?;
    say(demo.change()?)?;
    say(demo.tomorrow()?)?;
    say(demo.damage()?)?;
    say(demo.clear()?)?;
    // The name by which the user called this command works although it may not be on the path.
    let larder = env::args_os().next().unwrap_or_else(|| "larder".into());
    let next = NEXT.replace("larder ", &format!("{} ", larder.display()));
    let took = started.elapsed();
    say(format!("\nEvery claim was checked, in {took:.1?}. {next}"))?;
    if output.json {
        output.object(&demo.facts)?;
    }
    let removed = temporary.map_or(Ok(()), TempDir::close);
    removed.map_err(|why| Failure::Said(format!("demo: removing the temporary folder: {why}")))
}

/// The folder for the demo: the named folder, or a temporary folder.
fn folder(options: &Options) -> Outcome<(PathBuf, Option<TempDir>)> {
    let Some(dir) = options.named_dir() else {
        let temporary = tempfile::Builder::new().prefix("larder-demo-").tempdir()?;
        return Ok((temporary.path().into(), Some(temporary)));
    };
    let is_empty = fs::create_dir_all(dir).and_then(|()| Ok(fs::read_dir(dir)?.next().is_none()));
    match is_empty.map_err(|why| format!("{dir:?}: {why}"))? {
        true => Ok((dir.into(), None)),
        false => Err(format!("{dir:?}: the demo needs a new or empty folder").into()),
    }
}

type Entries = BTreeMap<String, Entry>;

/// Each step checks its claims and gives the text for people: a title and some lines.
struct Demo<'a> {
    options: &'a Options,
    store: PathBuf,
    copy: PathBuf,
    began: SystemTime,
    /// The entries that the cache "users" is to hold, each with the ttl that it was stored with.
    users: Entries,
    /// The result for programs.
    facts: Value,
}

impl Demo<'_> {
    fn import(&mut self) -> Outcome<String> {
        let import = larder_pickle::read(PICKLED, self.began)?;
        let (expired, skipped) = (import.expired, import.skipped.len());
        self.users = by_key(import.entries.into_iter().map(import::stored));
        let backend = self.open(&self.store)?;
        backend.save("users", self.users.values())?;
        let (all, stat) = (self.users.len(), backend.stat("users")?);
        check(stat.entries == all as u64, "every entry is stored")?;
        self.facts = json!({
            "operation": "demo", "imported": all, "expired": expired, "skipped": skipped,
        });
        let bytes = BinaryBytes(stat.bytes);
        Ok(format!(
            "\n1. Import a cache that the Python module pickled\n   \
             {all} entries, {expired} expired, {skipped} skipped; they take {bytes}."
        ))
    }

    fn restart(&mut self) -> Outcome<String> {
        let (loaded, lost) = load(&self.open(&self.store)?, "users")?;
        check(lost == 0, "nothing is lost")?;
        self.check_users(&loaded, Duration::ZERO)?;
        let all = loaded.len();
        Ok(format!(
            "\n2. Restart: a new instance of the component opens the same folder\n   \
             {all} entries: every key and value is as it was, every time to live went on running."
        ))
    }

    fn change(&mut self) -> Outcome<String> {
        let backend = self.open(&self.store)?;
        let visitor = Entry::new("visitor", "here until tonight").ttl(DAY / 2);
        let put = [Entry::new("user:0", "changed"), visitor];
        let mut changes = put.clone().map(Change::Put).to_vec();
        changes.push(Change::Remove("user:1".into()));
        let before = backend.stat("users")?.bytes;
        backend.apply("users", &changes)?;
        let more = BinaryBytes(backend.stat("users")?.bytes.saturating_sub(before));
        self.users.extend(by_key(put));
        self.users.remove("user:1");
        self.check_users(&load(&backend, "users")?.0, Duration::ZERO)?;
        Ok(format!(
            "\n3. Change: the cost follows the change, not the size of the cache\n   \
             2 entries put and 1 removed, in {more} more of storage."
        ))
    }

    fn tomorrow(&mut self) -> Outcome<String> {
        let ahead = self.options.builder()?.preopen(&self.store, ROOT);
        let ahead = ahead.wasi(|wasi| _ = wasi.wall_clock(DayAhead));
        let (loaded, _) = load(&ahead.build()?, "users")?;
        let (today, tomorrow) = (self.users.len(), loaded.len());
        check(!loaded.contains_key("visitor"), "\"visitor\" has expired")?;
        self.check_users(&loaded, DAY)?;
        Ok(format!(
            "\n4. Tomorrow: the same folder, under a clock that is a day ahead\n   \
             {today} entries today, {tomorrow} tomorrow: \"visitor\" had 12 hours to live, and expired.\n   \
             Every other entry is there, with a day less to live."
        ))
    }

    fn damage(&mut self) -> Outcome<String> {
        // The values are so much larger that the cache takes several blocks.
        let larger = |user: &Entry| Entry::new(&user.key, user.value.repeat(64));
        let pages = by_key(self.users.values().map(larger));
        self.open(&self.copy)?.save("pages", pages.values())?;
        let files = files(&self.copy)?.into_iter();
        let largest = files.max_by_key(|(_, bytes)| bytes.len());
        let (file, mut bytes) = largest.ok_or("the component stores no files")?;
        let middle = bytes.len() / 2;
        *bytes.get_mut(middle).ok_or("all files are empty")? ^= 1;
        fs::write(&file, bytes)?;

        let backend = self.open(&self.copy)?;
        let (report, (loaded, lost)) = (backend.verify("pages")?, load(&backend, "pages")?);
        let [damage] = &report.damage[..] else {
            return Err("`verify` does not find the damage".into());
        };
        let (all, salvaged) = (pages.len(), loaded.len());
        let mut found = loaded.iter();
        let intact = found.all(|(key, page)| pages.get(key) == Some(page));
        check(intact, "every salvaged entry is as it was saved")?;
        let counted = salvaged as u64 + lost == all as u64;
        check(counted, "every other entry counts as lost")?;
        self.facts["salvaged"] = salvaged.into();
        self.facts["lost"] = lost.into();
        let (part, offset, blocks) = (damage.part, damage.offset, report.blocks);
        Ok(format!(
            "\n5. Damage: flip one bit in a larger copy of the cache\n   \
             {all} entries in {blocks} blocks; the flipped bit is in byte {middle}.\n   \
             `verify` finds the damaged {part}, which begins at byte {offset}.\n   \
             `load` salvages {salvaged} entries, each as it was saved, and counts {lost} as lost."
        ))
    }

    fn clear(&mut self) -> Outcome<String> {
        let backend = self.open(&self.store)?;
        backend.clear("users")?;
        check(backend.list()?.is_empty(), "no cache is left")?;
        let files = files(&self.store)?.into_iter();
        let left: Vec<_> = files.flat_map(|(_, bytes)| bytes).collect();
        for data in ["user:", "value-", "visitor"] {
            let mut parts = left.windows(data.len());
            check(parts.all(|part| part != data.as_bytes()), "no data is left")?;
        }
        let left = BinaryBytes(left.len() as u64);
        Ok(format!(
            "\n6. Clear: nothing of the data remains\n   \
             The cache is cleared. {left} of files are left, without any of the data."
        ))
    }

    /// Checks that the loaded entries are the entries of `users` that live longer than `waited`.
    /// The time to live of each must be shorter by `waited`.
    fn check_users(&self, loaded: &Entries, waited: Duration) -> Outcome<()> {
        // The clock may be set meanwhile, and the two clocks differ in the last digits.
        let most = waited + self.began.elapsed().unwrap_or_default() + Duration::from_secs(1);
        let lives = |user: &&Entry| user.ttl.is_none_or(|ttl| ttl > waited);
        let users: Vec<_> = self.users.values().filter(lives).collect();
        let same_keys = loaded.keys().eq(users.iter().map(|user| &user.key));
        check(same_keys, "no key is missing or new")?;
        for (is, was) in loaded.values().zip(users) {
            check(is.value == was.value, "every value is as it was stored")?;
            let runs_on = match (is.ttl, was.ttl) {
                (Some(is), Some(was)) => is + waited < was && was <= is + most,
                (is, was) => is == was,
            };
            check(runs_on, "every time to live went on running")?;
        }
        Ok(())
    }

    /// A new instance of the component, over this folder.
    fn open(&self, dir: &Path) -> Outcome<Backend> {
        Ok(self.options.over(dir)?)
    }
}

fn by_key(entries: impl IntoIterator<Item = Entry>) -> Entries {
    let entries = entries.into_iter();
    entries.map(|entry| (entry.key.clone(), entry)).collect()
}

/// The entries of a cache, each with the time that it still has to live; and how many are lost.
fn load(backend: &Backend, cache: &str) -> Outcome<(Entries, u64)> {
    let (contents, now) = (backend.load(cache)?, Instant::now());
    let entries = contents.entries.into_iter().map(|entry| Entry {
        ttl: entry.expires_at.map(|at| at.saturating_duration_since(now)),
        ..Entry::new(entry.key, entry.value)
    });
    Ok((by_key(entries), contents.lost))
}

fn check(holds: bool, claim: &str) -> Result<(), String> {
    let broken = || format!("this claim does not hold: {claim}");
    holds.then_some(()).ok_or_else(broken)
}

/// Every file in a folder and in the folders below it, with its bytes.
fn files(dir: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push((path.clone(), fs::read(path)?)),
        }
    }
    Ok(found)
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
