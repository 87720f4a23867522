//! Components that are built with the harness, as bytes of WebAssembly, besides those of `larder-host`.

macro_rules! component {
    ($package:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $package, ".wasm"))
    };
}

/// The backend in memory.
pub static MEMORY: &[u8] = component!("larder-memory");
/// Changes for a backend that has only load, save and clear.
pub static SIMPLE_UPDATES: &[u8] = component!("larder-simple-updates");
/// Two backends as one.
pub static TIERED: &[u8] = component!("larder-tiered");
/// wasi:keyvalue above the cache layer.
pub static KEYVALUE: &[u8] = component!("larder-keyvalue");
/// A backend that breaks the promise that `LARDER_FAULT` names.
pub static BROKEN: &[u8] = component!("larder-broken");
/// What does to its caches whatever a test asks for.
pub static GUEST: &[u8] = component!("larder-guest");
/// The smallest application of the cache layer.
pub static VISITS: &[u8] = component!("example-visits");
/// An application that knows only wasi:keyvalue.
pub static KEYVALUE_VISITS: &[u8] = component!("example-keyvalue-visits");
/// A server that caches what another one answers.
pub static HTTP_CACHE: &[u8] = component!("example-http-cache");
