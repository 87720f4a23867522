//! The components of Larder, built, as bytes of WebAssembly.
//!
//! A program that depends on this crate needs neither the WebAssembly target nor the sources of the
//! components: the published crate carries them. A build with `LARDER_COMPONENTS=DIR` takes the
//! files of that folder instead, named as [`Component::file_name`] says.

/// A component.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Component {
    /// The name of its package: `larder-disk`.
    pub name: &'static str,
    /// Its WebAssembly, in the binary format.
    pub bytes: &'static [u8],
}

impl Component {
    /// The name of its file: `larder-disk.wasm`.
    pub fn file_name(&self) -> String {
        format!("{}.wasm", self.name)
    }
}

macro_rules! components {
    ($($(#[$docs:meta])* $name:ident = $package:literal;)*) => {
        $($(#[$docs])*
        pub static $name: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/", $package, ".wasm"));)*

        /// All of them.
        pub static ALL: &[Component] = &[$(Component { name: $package, bytes: $name }),*];
    };
}

components! {
    /// The disk backend: the world `disk`.
    DISK = "larder-disk";
    /// The cache layer, to be composed with a backend: the world `cache-layer`.
    CACHE = "larder-cache";
    /// The backend in memory: the world `memory`.
    MEMORY = "larder-memory";
    /// Two backends as one: the world `tiered`.
    TIERED = "larder-tiered";
    /// `cache-updates` for a backend that has only `load`, `save` and `clear`: the world `simple-updates`.
    SIMPLE_UPDATES = "larder-simple-updates";
    /// `wasi:keyvalue` above the cache layer: the world `keyvalue`.
    KEYVALUE = "larder-keyvalue";
}
