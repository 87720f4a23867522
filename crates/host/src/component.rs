//! A compiled component that exports the contract, linked with WASI.

use std::sync::LazyLock;

use wasmtime::component::{Component, InstancePre, Linker};

use crate::Error;
use crate::bindings::{
    CACHE_ATOMICS, CACHE_BACKEND, CACHE_BULK, CACHE_INSPECT, CACHE_LOOKUP, CACHE_UPDATES,
    cache_atomics, cache_backend, cache_bulk, cache_inspect, cache_lookup, cache_updates,
};
use crate::compile::{bad, unlike, unusable};
use crate::engine::ENGINE;
use crate::state::State;

/// All of WASI 0.2. The settings of a backend say what its component reaches through it.
static LINKER: LazyLock<Linker<State>> = LazyLock::new(|| {
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("no interface is defined twice");
    linker
});

/// A component that exports `cache-backend`, with the optional interfaces that it exports.
pub(crate) struct Linked {
    pub(crate) instance: InstancePre<State>,
    pub(crate) backend: cache_backend::GuestIndices,
    pub(crate) updates: Option<cache_updates::GuestIndices>,
    pub(crate) lookup: Option<cache_lookup::GuestIndices>,
    pub(crate) atomics: Option<cache_atomics::GuestIndices>,
    pub(crate) bulk: Option<cache_bulk::GuestIndices>,
    pub(crate) inspect: Option<cache_inspect::GuestIndices>,
}

impl Linked {
    pub(crate) fn new(component: &Component) -> Result<Self, Error> {
        let exports = |name| component.get_export_index(None, name).is_some();
        if !exports(CACHE_BACKEND) {
            return Err(bad(format!("does not export {CACHE_BACKEND}")));
        }
        let instance = LINKER.instantiate_pre(component).map_err(unusable)?;
        Ok(Self {
            backend: cache_backend::GuestIndices::new(&instance).map_err(unlike(CACHE_BACKEND))?,
            updates: exports(CACHE_UPDATES)
                .then(|| cache_updates::GuestIndices::new(&instance))
                .transpose()
                .map_err(unlike(CACHE_UPDATES))?,
            lookup: exports(CACHE_LOOKUP)
                .then(|| cache_lookup::GuestIndices::new(&instance))
                .transpose()
                .map_err(unlike(CACHE_LOOKUP))?,
            atomics: exports(CACHE_ATOMICS)
                .then(|| cache_atomics::GuestIndices::new(&instance))
                .transpose()
                .map_err(unlike(CACHE_ATOMICS))?,
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
