//! The components of Larder, as bytes of WebAssembly.
//!
//! The published crate carries the built components. A program that depends on it needs neither
//! the WebAssembly target nor the sources of the components. With `LARDER_COMPONENTS=DIR`, a build
//! takes the files of that folder instead; [`Component::file_name`] gives their names.
//!
//! ```
//! // A component for any host of the component model:
//! std::fs::write(std::env::temp_dir().join("larder-disk.wasm"), larder_components::DISK)?;
//!
//! for component in larder_components::ALL {
//!     println!("{}: {} bytes", component.name, component.bytes.len());
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

/// A component, with the name of its package.
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

        /// All components.
        pub static ALL: &[Component] = &[$(Component { name: $package, bytes: $name }),*];
    };
}

components! {
    /// The disk backend: the world `disk`.
    DISK = "larder-disk";
    /// The cache layer, which is composed with a backend: the world `cache-layer`.
    CACHE = "larder-cache";
    /// The backend in memory: the world `memory`.
    MEMORY = "larder-memory";
    /// Two backends as one: the world `tiered`.
    TIERED = "larder-tiered";
    /// Adds `cache-updates` to a backend that has only `load`, `save` and `clear`: the world
    /// `simple-updates`.
    SIMPLE_UPDATES = "larder-simple-updates";
    /// `wasi:keyvalue` above the cache layer: the world `keyvalue`.
    KEYVALUE = "larder-keyvalue";
}

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
