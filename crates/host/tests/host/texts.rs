//! Components that are written as text, for faults that no compiler would produce.

use std::sync::LazyLock;

use larder_host::{Backend, Builder, Entry};

/// A backend that does a wrong thing of its caller's choice: the name of the cache says which.
pub const MISBEHAVING: &str = include_str!("../data/misbehaving.wat");
/// A backend that connects to the port that the name of the cache says.
pub const CONNECTING: &str = include_str!("../data/connecting.wat");

/// The component with this text.
pub fn text(wat: &str) -> Builder {
    Backend::component_bytes(wat::parse_str(wat).expect("the text is that of a component"))
}

/// The component of [`MISBEHAVING`].
pub fn misbehaving() -> Builder {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| wat::parse_str(MISBEHAVING).unwrap());
    Backend::component_bytes(BYTES.as_slice())
}

/// This backend and another backend still work.
#[track_caller]
pub fn assert_unharmed(backend: &Backend) {
    backend.load("good").unwrap();
    backend.save("good", [Entry::new("key", "value")]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    disk.save("cache", [Entry::new("key", "value")]).unwrap();
    assert_eq!(disk.load("cache").unwrap().entries.len(), 1);
}
