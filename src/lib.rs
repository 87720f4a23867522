//! The disk backend's exports.
#[allow(missing_docs)]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "disk", generate_all, });
    use super::Disk;
    export!(Disk);
}
use bindings::exports::larder::cache::types::{Contents, Entry, Error};
use bindings::exports::larder::cache::{cache_backend, cache_inspect, cache_updates};

struct Disk;
fn pending<T>() -> Result<T, Error> {
    Err(Error::Unavailable("the storage is not written yet".into()))
}
impl cache_backend::Guest for Disk {
    fn load(_: String) -> Result<Contents, Error> {
        pending()
    }
    fn save(_: String, _: Vec<Entry>) -> Result<(), Error> {
        pending()
    }
    fn clear(_: String) -> Result<(), Error> {
        pending()
    }
}
impl cache_updates::Guest for Disk {
    fn apply(_: String, _: Vec<cache_updates::Change>) -> Result<(), Error> {
        pending()
    }
}
impl cache_inspect::Guest for Disk {
    fn list() -> Result<Vec<String>, Error> {
        pending()
    }
    fn stat(_: String) -> Result<cache_inspect::CacheStat, Error> {
        pending()
    }
    fn verify(_: String) -> Result<cache_inspect::Report, Error> {
        pending()
    }
}
