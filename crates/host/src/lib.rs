//! Larder for Rust programs: caches that outlive the process, in storage that the program knows
//! nothing about.
//!
//! A [`Backend`] runs a WebAssembly component that exports the contract `larder:cache`. One that
//! keeps caches as files in a folder is built in, and comes with that folder and nothing else.
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
//! Caches may be larger than memory. They are saved from any iterator and read by one:
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
//! Any other component is given what it needs, and no more than that:
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
//! A [`Layer`] keeps entries in memory above a backend, for this program and for components that it runs
//! with wasmtime and that import `larder:cache/cache`:
//!
//! ```
//! # use std::time::Duration;
//! use larder_host::wasmtime::{Engine, component::Linker};
//! use larder_host::{Backend, Guest, Layer, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let ten_minutes = Duration::from_secs(600);
//! let layer = Layer::new(Backend::disk(&folder)?)?;
//! let options = Options { capacity: Some(10_000), ..Options::default() };
//! let sessions = layer.open("sessions", &options)?;
//! sessions.set("user:1", "alice", Some(ten_minutes));
//! assert_eq!(sessions.get("user:1").unwrap(), b"alice");
//!
//! struct State {
//!     larder: Guest,
//! }
//! let mut linker = Linker::new(&Engine::default());
//! Layer::add_to_linker(&mut linker, |state: &mut State| &mut state.larder)?;
//! // For each instance, in its store:
//! let state = State { larder: layer.guest("tenant-1")? };
//! # let _ = state;
//! # Ok(())
//! # }
//! ```
//!
//! A component that traps, loops, sleeps or eats memory gives an [`Error`], and leaves the program
//! and later calls alone.

mod asynchronous;
mod backend;
mod bindings;
mod builder;
mod code_cache;
mod columns;
mod component;
mod engine;
mod entry;
mod error;
mod inspect;
mod instance;
mod layer;
mod read;
mod session;
mod write;

pub use asynchronous::AsyncBackend;
pub use backend::Backend;
pub use builder::Builder;
pub use entry::{Change, Contents, Entry, LiveEntry};
pub use error::{Error, ErrorKind};
pub use inspect::{CacheStat, Damage, Part, Report};
pub use layer::{Cache, Found, Guest, Keys, Layer, Limits, Metrics, Options};
pub use read::Entries;
/// What [`Layer::add_to_linker`] takes its linker from.
pub use wasmtime;
/// What [`Builder::wasi`] takes its settings from.
pub use wasmtime_wasi;
pub use write::Writer;
