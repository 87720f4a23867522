//! Reads the cache files of the Python module `cache_backend.py`, which pickled a dict.
//!
//! A pickle is a program, and Python runs any function that it names. This reader builds only the
//! plain data of a file: text, bytes, numbers, bools, `None`, lists, tuples, sets and dicts, and
//! the `OrderedDict`, `defaultdict`, `Counter` and `deque` of the standard library. It never runs,
//! imports or looks up anything. It skips an entry that needs more, and reads the others. It knows
//! the protocols 0 to 5, of Python 2 and 3.
//!
//! The crate `serde-pickle` does not fit. It either refuses the whole file, or puts `None` in place
//! of an unknown object, which then looks like data. It also copies shared data each time that the
//! file refers to it, so a small file can grow without limit.
//!
//! [`read`] returns for any bytes. It takes time and memory in proportion to their number.
//!
//! ```
//! use std::time::SystemTime;
//!
//! // As `pickle.dumps({"greeting": ("hello", None)}, protocol=2)` writes it.
//! let file = b"\x80\x02}X\x08\0\0\0greetingX\x05\0\0\0helloN\x86s.";
//! let import = larder_pickle::read(file, SystemTime::now())?;
//! assert_eq!(import.entries[0].key, "greeting");
//! assert_eq!(import.entries[0].value, b"hello");
//! assert_eq!(import.entries[0].ttl, None);
//! # Ok::<(), larder_pickle::PickleError>(())
//! ```

#[cfg(test)]
mod bounds;
mod calls;
mod error;
mod format;
mod import;
mod literal;
mod machine;
mod node;
mod writer;

pub use error::PickleError;
pub use import::{Entry, Import, Skipped, read};
