//! The interfaces of the contract that a component exports.

use wasmtime::AsContextMut;
use wasmtime::component::{Component, Instance, InstancePre};

use crate::Feature;
use crate::contract::{
    cache_atomics, cache_backend, cache_bulk, cache_inspect, cache_lookup, cache_recovery,
    cache_updates,
};

/// Whether a component exports an interface of this name. Its functions may differ from the
/// contract.
pub(crate) fn exports(component: &Component, interface: &str) -> bool {
    let name = format!("larder:cache/{interface}@0.1.0");
    component.get_export_index(None, &name).is_some()
}

/// The places of the interfaces in a component. They are the same for all of its instances.
#[derive(Clone)]
pub struct Exports {
    backend: cache_backend::GuestIndices,
    updates: Option<cache_updates::GuestIndices>,
    lookup: Option<cache_lookup::GuestIndices>,
    atomics: Option<cache_atomics::GuestIndices>,
    bulk: Option<cache_bulk::GuestIndices>,
    inspect: Option<cache_inspect::GuestIndices>,
    recovery: Option<cache_recovery::GuestIndices>,
}

/// The interfaces of an instance.
pub struct Functions {
    /// The interface `cache-backend`.
    pub backend: cache_backend::Guest,
    updates: Option<cache_updates::Guest>,
    lookup: Option<cache_lookup::Guest>,
    atomics: Option<cache_atomics::Guest>,
    bulk: Option<cache_bulk::Guest>,
    inspect: Option<cache_inspect::Guest>,
    recovery: Option<cache_recovery::Guest>,
}

impl Exports {
    /// Finds the interfaces of a component.
    ///
    /// # Errors
    ///
    /// If `cache-backend` is missing, or if an interface differs from the contract.
    pub fn of<T: 'static>(component: &InstancePre<T>) -> wasmtime::Result<Exports> {
        let exports = |interface| exports(component.component(), interface);
        let unlike = |interface: &str, error: wasmtime::Error| {
            error.context(format!("exports {interface}, but not as in the contract"))
        };
        // The types of the interfaces have no trait in common.
        macro_rules! exported {
            ($interface:ident, $name:literal) => {
                match exports($name) {
                    true => Some(
                        $interface::GuestIndices::new(component)
                            .map_err(|error| unlike($name, error))?,
                    ),
                    false => None,
                }
            };
        }
        Ok(Exports {
            backend: cache_backend::GuestIndices::new(component)
                .map_err(|error| unlike("cache-backend", error))?,
            updates: exported!(cache_updates, "cache-updates"),
            lookup: exported!(cache_lookup, "cache-lookup"),
            atomics: exported!(cache_atomics, "cache-atomics"),
            bulk: exported!(cache_bulk, "cache-bulk"),
            inspect: exported!(cache_inspect, "cache-inspect"),
            recovery: exported!(cache_recovery, "cache-recovery"),
        })
    }

    /// Whether the component exports this interface. False for a feature that is not an interface.
    pub fn offers(&self, feature: Feature) -> bool {
        match feature {
            Feature::Updates => self.updates.is_some(),
            Feature::Lookup => self.lookup.is_some(),
            Feature::Atomics => self.atomics.is_some(),
            Feature::Bulk => self.bulk.is_some(),
            Feature::Inspect => self.inspect.is_some(),
            Feature::Durability | Feature::Concurrency | Feature::Kill | Feature::Files => false,
        }
    }

    /// Gives the interfaces of an instance.
    ///
    /// # Errors
    ///
    /// If a function differs from the contract.
    pub fn load(
        &self,
        mut store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<Functions> {
        macro_rules! loaded {
            ($interface:ident) => {
                match &self.$interface {
                    Some(it) => Some(it.load(&mut store, instance)?),
                    None => None,
                }
            };
        }
        Ok(Functions {
            backend: self.backend.load(&mut store, instance)?,
            updates: loaded!(updates),
            lookup: loaded!(lookup),
            atomics: loaded!(atomics),
            bulk: loaded!(bulk),
            inspect: loaded!(inspect),
            recovery: loaded!(recovery),
        })
    }
}

impl Functions {
    /// The interface `cache-updates`.
    ///
    /// # Panics
    ///
    /// If the component does not export it.
    pub fn updates(&self) -> &cache_updates::Guest {
        self.updates.as_ref().expect("cache-updates is exported")
    }

    /// The interface `cache-lookup`.
    ///
    /// # Panics
    ///
    /// If the component does not export it.
    pub fn lookup(&self) -> &cache_lookup::Guest {
        self.lookup.as_ref().expect("cache-lookup is exported")
    }

    /// The interface `cache-atomics`.
    ///
    /// # Panics
    ///
    /// If the component does not export it.
    pub fn atomics(&self) -> &cache_atomics::Guest {
        self.atomics.as_ref().expect("cache-atomics is exported")
    }

    /// The interface `cache-bulk`.
    ///
    /// # Panics
    ///
    /// If the component does not export it.
    pub fn bulk(&self) -> &cache_bulk::Guest {
        self.bulk.as_ref().expect("cache-bulk is exported")
    }

    /// The interface `cache-inspect`.
    ///
    /// # Panics
    ///
    /// If the component does not export it.
    pub fn inspect(&self) -> &cache_inspect::Guest {
        self.inspect.as_ref().expect("cache-inspect is exported")
    }

    /// The interface `cache-recovery`.
    ///
    /// # Panics
    ///
    /// If the component does not export it.
    pub fn recovery(&self) -> &cache_recovery::Guest {
        self.recovery.as_ref().expect("cache-recovery is exported")
    }
}
