//! A component: compiled, linked, and its exports looked up.

use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use wasmtime::component::{Component, InstancePre};

use crate::bindings::{
    CACHE_BACKEND, CACHE_BULK, CACHE_INSPECT, CACHE_UPDATES, cache_backend, cache_bulk,
    cache_inspect, cache_updates,
};
use crate::builder::Settings;
use crate::engine::{ENGINE, LINKER};
use crate::instance::State;
use crate::{Error, ErrorKind};

/// A component that exports the contract, and of the optional interfaces whichever it has.
pub(crate) struct Linked {
    pub(crate) instance: InstancePre<State>,
    pub(crate) backend: cache_backend::GuestIndices,
    pub(crate) updates: Option<cache_updates::GuestIndices>,
    pub(crate) bulk: Option<cache_bulk::GuestIndices>,
    pub(crate) inspect: Option<cache_inspect::GuestIndices>,
}

impl Linked {
    pub(crate) fn new(component: &Component) -> Result<Self, Error> {
        let exports = |name| component.get_export_index(None, name).is_some();
        if !exports(CACHE_BACKEND) {
            let what = format!("does not export {CACHE_BACKEND}");
            return Err(bad(what));
        }
        let instance = LINKER.instantiate_pre(component).map_err(unusable)?;
        Ok(Self {
            backend: cache_backend::GuestIndices::new(&instance).map_err(unlike(CACHE_BACKEND))?,
            updates: exports(CACHE_UPDATES)
                .then(|| cache_updates::GuestIndices::new(&instance))
                .transpose()
                .map_err(unlike(CACHE_UPDATES))?,
            bulk: exports(CACHE_BULK)
                .then(|| cache_bulk::GuestIndices::new(&instance))
                .transpose()
                .map_err(unlike(CACHE_BULK))?,
            inspect: exports(CACHE_INSPECT)
                .then(|| cache_inspect::GuestIndices::new(&instance))
                .transpose()
                .map_err(unlike(CACHE_INSPECT))?,
            instance,
        })
    }
}

/// The most bytes of WebAssembly that are compiled, which takes its time and cannot be stopped.
pub(crate) const LARGEST: usize = 64 << 20;

/// How WebAssembly begins, and what a component says next.
const MAGIC: &[u8] = b"\0asm";
const COMPONENT_LAYER: &[u8] = &[0x0d, 0, 1, 0];

/// Compiles a component that came as bytes of WebAssembly.
pub(crate) fn compile(bytes: &[u8]) -> Result<Component, Error> {
    let why = match bytes.strip_prefix(MAGIC) {
        None => "is not WebAssembly".into(),
        Some(rest) if !rest.starts_with(COMPONENT_LAYER) => "is not a component".into(),
        Some(_) if bytes.len() > LARGEST => format!("is larger than {LARGEST} bytes"),
        Some(_) => {
            // A compiler that breaks down over a component must not take the program with it.
            let compiled = catch_unwind(|| Component::from_binary(&ENGINE, bytes));
            return match compiled {
                Ok(compiled) => compiled.map_err(unusable),
                Err(_) => Err(bad("cannot be compiled: the compiler broke down".into())),
            };
        }
    };
    Err(bad(why))
}

/// A component that the crate carries, which is compiled once in a process.
pub(crate) struct Builtin {
    bytes: &'static [u8],
    compiled: Mutex<Option<Component>>,
}

/// The disk backend.
pub(crate) static DISK: Builtin = Builtin::new(larder_components::DISK);
/// The cache layer.
pub(crate) static CACHE: Builtin = Builtin::new(larder_components::CACHE);

impl Builtin {
    const fn new(bytes: &'static [u8]) -> Self {
        Self {
            bytes,
            compiled: Mutex::new(None),
        }
    }

    pub(crate) fn compiled(&self, settings: &Settings) -> Result<Component, Error> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        match &*compiled {
            Some(component) => Ok(component.clone()),
            None => Ok(compiled.insert(settings.compile(self.bytes)?).clone()),
        }
    }
}

/// Tells why a component with this export cannot be used, which is not what the contract says.
pub(crate) fn unlike(name: &'static str) -> impl Fn(wasmtime::Error) -> Error {
    move |error| unusable(error.context(format!("exports {name}, but not as in the contract")))
}

/// Tells why a component cannot be used.
pub(crate) fn unusable(error: wasmtime::Error) -> Error {
    bad(format!("{error:#}")).caused_by(error)
}

fn bad(why: String) -> Error {
    Error::new(ErrorKind::BadComponent(why))
}
