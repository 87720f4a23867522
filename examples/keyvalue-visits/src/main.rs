//! Counts how often it was run. It knows only `wasi:keyvalue`: the person who composes or runs it
//! decides where the count is kept.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package example:keyvalue-visits;
            world visits {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
            }
        ",
        path: "../../wit/deps/keyvalue-draft",
        generate_all,
    });
}

use bindings::wasi::keyvalue::{atomics, store};

fn main() -> Result<(), store::Error> {
    let bucket = store::open(&std::env::args().nth(1).unwrap_or_default())?;
    println!("{}", atomics::increment(&bucket, "visits", 1)?);
    Ok(())
}
