//! The options that every verb takes, and the storage that they choose.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::{env, io};

use clap::ValueEnum;
use larder_host::{Backend, Builder, Error, ErrorKind};
use tempfile::TempDir;

use crate::output::{self, Failure};

/// The setting of the component that `--durability` sets.
const DURABILITY: &str = "LARDER_DURABILITY";
/// The path by which the component knows the folder.
pub const ROOT: &str = "/";

#[derive(clap::Args)]
pub struct Options {
    /// The folder that holds the caches [default: $LARDER_DIR, or else larder-data]
    ///
    /// A verb that stores entries creates the folder. For the other verbs, a folder that does not
    /// exist is empty, and they do not create it.
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// The component to use instead of the built-in disk backend; it finds DIR at /
    #[arg(long, global = true, value_name = "FILE.wasm")]
    backend: Option<PathBuf>,

    /// The crashes that a finished change survives [default: $LARDER_DURABILITY, or else full]
    #[arg(long, global = true, value_name = "LEVEL")]
    durability: Option<Durability>,

    /// Write one JSON object a line, for programs, instead of text and tables
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Durability {
    /// A power cut: file and folder are synced
    Full,
    /// A killed process: most changes are not synced, so a power cut may bring back an older one
    Atomic,
}

/// A backend with its folder.
pub struct Storage {
    pub backend: Backend,
    /// An empty folder in place of a folder that does not exist. So the component itself answers
    /// for an empty store and for invalid names, and a look does not create the folder.
    _stand_in: Option<TempDir>,
}

impl Options {
    /// The storage for a verb that only reads or removes. A missing folder stays missing.
    pub fn existing(&self) -> Result<Storage, String> {
        let dir = self.dir();
        let stand_in = match dir.try_exists() {
            Ok(true) => None,
            Ok(false) => {
                Some(stand_in().map_err(|error| format!("creating a temporary folder: {error}"))?)
            }
            Err(error) => return Err(error.to_string()),
        };
        let over = stand_in.as_ref().map_or(dir.as_path(), TempDir::path);
        let backend = self.builder().and_then(|it| it.preopen(over, ROOT).build());
        Ok(Storage {
            backend: backend.map_err(|error| error.to_string())?,
            _stand_in: stand_in,
        })
    }

    /// The storage for a verb that stores entries in this cache. A missing folder is created, but
    /// not for a cache whose name is invalid.
    pub fn created(&self, cache: &str) -> Result<Storage, String> {
        larder_names::check(cache).map_err(|why| ErrorKind::InvalidName(why.into()).to_string())?;
        let backend = self.over(&self.dir());
        Ok(Storage {
            backend: backend.map_err(|error| error.to_string())?,
            _stand_in: None,
        })
    }

    /// The chosen component with this folder, which is created if it is missing.
    pub fn over(&self, dir: &Path) -> Result<Backend, Error> {
        self.builder()?.preopen_or_create(dir, ROOT).build()
    }

    /// The chosen component without a folder, for further settings.
    pub fn builder(&self) -> Result<Builder, Error> {
        let mut builder = match &self.backend {
            Some(file) => Backend::component(file)?,
            None => Backend::builtin(),
        };
        let durability = match self.durability {
            Some(Durability::Full) => Some("full".into()),
            Some(Durability::Atomic) => Some("atomic".into()),
            None => env::var_os(DURABILITY).map(|level| level.to_string_lossy().into_owned()),
        };
        if let Some(level) = durability {
            builder = builder.env(DURABILITY, level);
        }
        if let Some(folder) = code_cache() {
            builder = builder.code_cache(folder);
        }
        Ok(builder)
    }

    /// The folder that was named on the command line.
    pub fn named_dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The folder that holds the caches.
    pub fn dir(&self) -> PathBuf {
        let from_environment = || env::var_os("LARDER_DIR").filter(|dir| !dir.is_empty());
        match &self.dir {
            Some(dir) => dir.clone(),
            None => from_environment().map_or_else(|| "larder-data".into(), PathBuf::from),
        }
    }

    /// A failed operation: its name, the cache if it was about one, the folder, and the reason.
    pub fn failure(&self, operation: &str, cache: Option<&str>, why: impl Display) -> Failure {
        let dir = self.dir();
        let dir = dir.display();
        Failure::Said(match cache {
            Some(cache) => format!("{operation} of cache {cache:?} in {dir}: {why}"),
            None => format!("{operation} in {dir}: {why}"),
        })
    }

    /// The end of an operation that gave all entries of a cache but the lost ones.
    pub fn complete(&self, operation: &str, cache: &str, lost: u64) -> Result<(), Failure> {
        if lost == 0 {
            return Ok(());
        }
        let lost = output::count(lost, "entry is", "entries are");
        let why = format!("{lost} lost to damage; `larder verify` says where");
        Err(self.failure(operation, Some(cache), why))
    }

    /// A failed call of the backend.
    pub fn explain(&self, error: &Error) -> Failure {
        self.explain_as(error.operation(), error)
    }

    /// A failed call of the backend, under the name that people know it by.
    pub fn explain_as(&self, operation: &str, error: &Error) -> Failure {
        let kind = error.kind();
        let why = match (kind, error.cache()) {
            (ErrorKind::Corrupt(what), Some(cache)) if !what.contains(".postcard") => {
                format!("{kind}; `larder recover {cache}` lists earlier versions")
            }
            _ => kind.to_string(),
        };
        self.failure(operation, error.cache(), why)
    }
}

/// An empty folder. It goes to the usual places if `TMPDIR` names none: a look at a folder that
/// does not exist needs no setting.
fn stand_in() -> io::Result<TempDir> {
    tempfile::tempdir().or_else(|error| {
        let mut usual = ["/tmp", "/var/tmp"].into_iter();
        let made = usual.find_map(|place| tempfile::tempdir_in(place).ok());
        made.ok_or(error)
    })
}

/// The folder for compiled components; none if the setting is empty, or the user's home is missing.
fn code_cache() -> Option<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from);
    if let Some(folder) = set("LARDER_CODE_CACHE") {
        return Some(folder).filter(|folder| !folder.as_os_str().is_empty());
    }
    let caches = set("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
    let caches = caches.or_else(|| {
        let home = env::home_dir().filter(|home| home.is_dir())?;
        Some(home.join(".cache"))
    });
    let folder = caches?.join("larder");
    Some(folder).filter(|folder| folder.is_absolute())
}
