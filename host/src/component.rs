//! A component: compiled, linked, and its exports looked up.

use std::sync::{Mutex, PoisonError};

use wasmtime::component::{Component, InstancePre};

use crate::bindings::{CACHE_BACKEND, cache_backend, cache_inspect, cache_updates};
use crate::engine::{ENGINE, LINKER};
use crate::instance::State;
use crate::{DISK_COMPONENT, Error, ErrorKind};

/// A component that exports the contract, and of the optional interfaces whichever it has.
pub(crate) struct Linked {
    pub(crate) instance: InstancePre<State>,
    pub(crate) backend: cache_backend::GuestIndices,
    pub(crate) updates: Option<cache_updates::GuestIndices>,
    pub(crate) inspect: Option<cache_inspect::GuestIndices>,
}

impl Linked {
    pub(crate) fn new(component: &Component) -> Result<Self, Error> {
        if component.get_export_index(None, CACHE_BACKEND).is_none() {
            let what = format!("does not export {CACHE_BACKEND}");
            return Err(Error::new(ErrorKind::BadComponent(what)));
        }
        let instance = LINKER.instantiate_pre(component).map_err(unusable)?;
        Ok(Self {
            backend: cache_backend::GuestIndices::new(&instance).map_err(unusable)?,
            updates: cache_updates::GuestIndices::new(&instance).ok(),
            inspect: cache_inspect::GuestIndices::new(&instance).ok(),
            instance,
        })
    }
}

/// Compiles a component that came as bytes of WebAssembly.
pub(crate) fn compile(bytes: &[u8]) -> Result<Component, Error> {
    Component::from_binary(&ENGINE, bytes).map_err(unusable)
}

/// The built-in component, which is compiled once in a process.
pub(crate) fn builtin() -> Result<Component, Error> {
    static DISK: Mutex<Option<Component>> = Mutex::new(None);
    let mut disk = DISK.lock().unwrap_or_else(PoisonError::into_inner);
    match &*disk {
        Some(component) => Ok(component.clone()),
        None => Ok(disk.insert(compile(DISK_COMPONENT)?).clone()),
    }
}

/// Tells why a component cannot be used.
pub(crate) fn unusable(error: wasmtime::Error) -> Error {
    let why = format!("{error:#}");
    Error::new(ErrorKind::BadComponent(why)).caused_by(error)
}
