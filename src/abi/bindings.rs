//! The interfaces of the world `disk`, as wit-bindgen generates them from the WIT.
#![allow(missing_docs)] // Generated code; the WIT has the documentation.

wit_bindgen::generate!({
    path: "wit",
    world: "disk",
    generate_all,
    // `abi::lower` lowers the results of these two.
    skip: ["load", "[method]reader.next"],
});
