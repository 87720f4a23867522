//! Larder for Rust programs: caches that outlive the process.
//!
//! A [`Backend`] runs a WebAssembly component that exports the contract `larder:cache`. The disk
//! backend is built in. It keeps caches as files in one folder, and can use nothing but that
//! folder.
//!
//! ```
//! use std::time::Duration;
//!
//! use larder_host::{Backend, Change, Entry};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let disk = Backend::disk(&folder)?;
//! let ten_minutes = Duration::from_secs(600);
//! disk.save("sessions", [Entry::new("user:1", "alice").ttl(ten_minutes)])?;
//! disk.apply("sessions", [Change::Put(Entry::new("user:2", "bob"))])?;
//!
//! for entry in disk.load("sessions")?.entries {
//!     println!("{} until {:?}", entry.key, entry.expires_at);
//! }
//! # assert_eq!(disk.load("sessions")?.entries.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! Caches may be larger than memory. They are saved from any iterator, and read by an iterator:
//!
//! ```
//! # use larder_host::{Backend, Entry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let disk = Backend::disk(&folder)?;
//! disk.save("pages", (0..50_000).map(|n| Entry::new(format!("page {n}"), "text")))?;
//!
//! let mut bytes = 0;
//! for entry in disk.read("pages")? {
//!     bytes += entry?.value.len();
//! }
//! # assert_eq!(bytes, 200_000);
//! # Ok(())
//! # }
//! ```
//!
//! Tasks of tokio use an [`AsyncBackend`], which [`Backend::into_async`] gives.
//!
//! Any other component gets only what the [`Builder`] allows:
//!
//! ```no_run
//! # use larder_host::Backend;
//! # use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let backend = Backend::component("my_backend.wasm")?
//!     .preopen("/var/cache/app", "/")
//!     .env("LARDER_DURABILITY", "atomic")
//!     .allow_tcp("192.0.2.1:6379".parse()?)
//!     .memory_limit(256 << 20)
//!     .time_limit(Duration::from_secs(5))
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! A component that traps, loops, sleeps or asks for too much memory gives an [`Error`]. The
//! program goes on, and later calls work.
//!
//! A [`Layer`] keeps entries in memory above a backend, for this program:
//!
//! ```
//! # use std::time::Duration;
//! use larder_host::{Backend, Layer, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let ten_minutes = Duration::from_secs(600);
//! let layer = Layer::new(Backend::disk(&folder)?)?;
//! let sessions = layer.open("sessions", &Options::default().capacity(10_000))?;
//! sessions.set("user:1", "alice", Some(ten_minutes));
//! assert_eq!(sessions.get("user:1").unwrap(), b"alice");
//! # Ok(())
//! # }
//! ```
//!
//! A [`Tenant`] gives the same layer to a component that imports `larder:cache/cache`.

mod asynchronous;
mod backend;
mod bindings;
mod builder;
mod clocks;
mod code_cache;
mod columns;
mod compile;
mod component;
mod engine;
mod entry;
mod error;
mod folder;
mod inspect;
mod instance;
mod layer;
mod lookup;
mod read;
mod recovery;
mod session;
mod settings;
mod shortage;
mod state;
mod write;

pub use asynchronous::{AsyncBackend, AsyncEntries, AsyncWriter};
pub use backend::Backend;
pub use builder::Builder;
pub use entry::{Change, Contents, Entry, LiveEntry};
pub use error::{Error, ErrorKind};
pub use inspect::{CacheStat, Damage, Part, Report, Version};
pub use layer::{Cache, Found, Keys, Layer, Limits, Metrics, Options, Tenant};
pub use lookup::{Condition, Page};
pub use read::Entries;
pub use write::Writer;

/// Wasmtime, in the version whose types this crate uses.
///
/// [`Layer::add_to_linker`] takes a `Linker` of this `wasmtime`, and [`Builder::wasi`] gives a
/// `WasiCtxBuilder` of this `wasmtime_wasi`. A program that uses them from here always has the
/// right version. A later version of this crate with another wasmtime has a module of another name,
/// so that the compiler shows every place that must change.
pub mod wasmtime_48 {
    pub use wasmtime;
    pub use wasmtime_wasi;
}

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
