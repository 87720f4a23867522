//! The components that only tests use, as bytes of WebAssembly.

macro_rules! component {
    ($package:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $package, ".wasm"))
    };
}

/// A backend that breaks one promise; the environment variable `LARDER_FAULT` names it.
pub static BROKEN: &[u8] = component!("larder-broken");
/// An application whose exports let a test use its caches.
pub static GUEST: &[u8] = component!("larder-guest");
/// The smallest application of the cache layer.
pub static VISITS: &[u8] = component!("example-visits");
/// An application that knows only wasi:keyvalue.
pub static KEYVALUE_VISITS: &[u8] = component!("example-keyvalue-visits");
/// A server that caches another server's answers.
pub static HTTP_CACHE: &[u8] = component!("example-http-cache");
