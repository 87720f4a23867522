//! One instance of a backend's component, and how its calls end.

use std::time::Instant;

use wasmtime::Store;

use crate::bindings::{
    self, CACHE_ATOMICS, CACHE_BACKEND, CACHE_BULK, CACHE_INSPECT, CACHE_LOOKUP, CACHE_RECOVERY,
    CACHE_UPDATES, cache_atomics, cache_backend, cache_bulk, cache_inspect, cache_lookup,
    cache_recovery, cache_updates,
};
use crate::clocks::Clocks;
use crate::compile::unlike;
use crate::component::Linked;
use crate::settings::Settings;
use crate::state::State;
use crate::{Error, ErrorKind};

/// An instance that is ready for a call, or in one.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) backend: cache_backend::Guest,
    pub(crate) updates: Option<cache_updates::Guest>,
    pub(crate) lookup: Option<cache_lookup::Guest>,
    pub(crate) atomics: Option<cache_atomics::Guest>,
    pub(crate) bulk: Option<cache_bulk::Guest>,
    pub(crate) inspect: Option<cache_inspect::Guest>,
    pub(crate) recovery: Option<cache_recovery::Guest>,
}

/// Why a call into an instance gave no result.
pub(crate) enum Failure {
    /// The answer was an error. The instance is still good.
    Answered(ErrorKind),
    /// There was no answer. The instance cannot be used any more.
    BrokenOff(wasmtime::Error),
}

impl From<bindings::Error> for Failure {
    fn from(error: bindings::Error) -> Self {
        Self::Answered(error.into())
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::BrokenOff(error)
    }
}

impl Instance {
    /// Starts an instance, which is then ready for one call until the deadline.
    pub(crate) async fn new(
        linked: &Linked,
        settings: &Settings,
        deadline: Option<Instant>,
    ) -> Result<Self, Error> {
        let mut store = State::store(settings, deadline, ())?;
        let instance = match linked.instance.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(store.data().explain(error, settings)),
        };
        let load = linked.backend.load(&mut store, &instance);
        let backend = load.map_err(unlike(CACHE_BACKEND))?;
        // The types of the interfaces have no trait in common.
        macro_rules! loaded {
            ($interface:ident, $name:ident) => {
                match &linked.$interface {
                    Some(it) => Some(it.load(&mut store, &instance).map_err(unlike($name))?),
                    None => None,
                }
            };
        }
        Ok(Self {
            backend,
            updates: loaded!(updates, CACHE_UPDATES),
            lookup: loaded!(lookup, CACHE_LOOKUP),
            atomics: loaded!(atomics, CACHE_ATOMICS),
            bulk: loaded!(bulk, CACHE_BULK),
            inspect: loaded!(inspect, CACHE_INSPECT),
            recovery: loaded!(recovery, CACHE_RECOVERY),
            store,
        })
    }

    /// As with [`State::tell_time`].
    pub(crate) fn clocks(&mut self) -> wasmtime::Result<Clocks> {
        self.store.data_mut().tell_time()
    }
}

/// Gives an optional interface. If the component does not export it, that is the error of the call.
pub(crate) fn present<'a, T>(
    interface: &'a Option<T>,
    name: &'static str,
) -> Result<&'a T, Failure> {
    let missing = Failure::Answered(ErrorKind::MissingInterface(name));
    interface.as_ref().ok_or(missing)
}
