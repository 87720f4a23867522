//! What wit-bindgen generates from the WIT: the interfaces of the world `disk`.
#![allow(missing_docs)] // Generated; the documentation is in the WIT.

wit_bindgen::generate!({
    path: "wit",
    world: "disk",
    generate_all,
    // `abi::lower` lowers what these two give.
    skip: ["load", "[method]reader.next"],
});
