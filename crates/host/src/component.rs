//! A compiled component that exports the contract, linked with WASI.

use std::sync::LazyLock;

use wasmtime::component::{Component, InstancePre, Linker};

use crate::Error;
use crate::bindings::{
    CACHE_ATOMICS, CACHE_BACKEND, CACHE_BULK, CACHE_INSPECT, CACHE_LOOKUP, CACHE_RECOVERY,
    CACHE_UPDATES, cache_atomics, cache_backend, cache_bulk, cache_inspect, cache_lookup,
    cache_recovery, cache_updates,
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
    pub(crate) recovery: Option<cache_recovery::GuestIndices>,
}

impl Linked {
    pub(crate) fn new(component: &Component) -> Result<Self, Error> {
        let exports = |name| component.get_export_index(None, name).is_some();
        if !exports(CACHE_BACKEND) {
            return Err(bad(format!("does not export {CACHE_BACKEND}")));
        }
        let instance = LINKER.instantiate_pre(component).map_err(unusable)?;
        // The types of the interfaces have no trait in common.
        macro_rules! exported {
            ($interface:ident, $name:ident) => {
                match exports($name) {
                    true => Some($interface::GuestIndices::new(&instance).map_err(unlike($name))?),
                    false => None,
                }
            };
        }
        Ok(Self {
            backend: cache_backend::GuestIndices::new(&instance).map_err(unlike(CACHE_BACKEND))?,
            updates: exported!(cache_updates, CACHE_UPDATES),
            lookup: exported!(cache_lookup, CACHE_LOOKUP),
            atomics: exported!(cache_atomics, CACHE_ATOMICS),
            bulk: exported!(cache_bulk, CACHE_BULK),
            inspect: exported!(cache_inspect, CACHE_INSPECT),
            recovery: exported!(cache_recovery, CACHE_RECOVERY),
            instance,
        })
    }
}
