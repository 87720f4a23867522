//! The disk backend, as a component on a real file system or on the simulated disk of `host-test`.
//!
//! What goes wrong in each module, and where:
//!
//! | module | what goes wrong |
//! | --- | --- |
//! | `contract` | nothing, but restarts and clocks that are set: the conformance cases |
//! | `crashes` | the process or the machine stops, at every call to the file system |
//! | `failing_calls` | one or two calls to the file system return an error, or do only a part |
//! | `file_system` | the file system lacks something, or holds links and files of others |
//! | `damage` | bytes of Larder's own files change or go |
//! | `hostile` | somebody plants forged files, and things that are no files |
//! | `crowded` | a folder holds very many files |
//! | `concurrency` | threads and processes use one cache; another call comes between any two |
//! | `interleavings` | instances overtake each other in a random order |
//! | `memory_limits` | the component runs out of memory |
//! | `bounds` | nothing: forged files cost time and memory in proportion to their size |
//! | `batches`, `bulk` | any of these, to readers and writers of batches |
//! | `look_ups` | bytes of the table of a large file change |
//! | `recovery` | files are damaged as a whole, and somebody goes back to an earlier version |
//! | `golden` | the files are of an older or a newer version |
//! | `native` | nothing: the native build of the storage and the component agree |
//! | `component` | nothing: the exports, the imports and the size |
//!
//! Components that do wrong to their host are in `misbehaving`, of the tests of `larder-host`.

mod again;
mod batches;
mod bounds;
mod bulk;
mod component;
mod concurrency;
mod contract;
mod crashes;
mod crowded;
mod damage;
mod failing_calls;
mod file_system;
mod golden;
mod hostile;
mod interleavings;
mod look_ups;
mod memory_limits;
#[cfg(unix)]
mod native;
mod recovery;

use std::env;
use std::path::Path;

use larder_host::Backend;

/// The cache that most tests use.
const CACHE: &str = "sessions";

/// The name of the file with this version.
fn version(number: u64) -> String {
    format!("{number:020}.larder")
}

/// The built component, or the mutant that the environment names.
fn disk(folder: &Path) -> Backend {
    let builder = match env::var_os("LARDER_DISK_COMPONENT") {
        Some(component) => Backend::component(component),
        None => Ok(Backend::builtin()),
    };
    builder.unwrap().preopen(folder, "/").build().unwrap()
}
