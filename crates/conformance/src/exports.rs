//! The interfaces of the contract that a component exports.

use wasmtime::AsContextMut;
use wasmtime::component::{Component, Instance, InstancePre};

use crate::Feature;
use crate::contract::{
    cache_atomics, cache_backend, cache_bulk, cache_inspect, cache_lookup, cache_updates,
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
        let updates = exports("cache-updates").then(|| cache_updates::GuestIndices::new(component));
        let lookup = exports("cache-lookup").then(|| cache_lookup::GuestIndices::new(component));
        let atomics = exports("cache-atomics").then(|| cache_atomics::GuestIndices::new(component));
        let bulk = exports("cache-bulk").then(|| cache_bulk::GuestIndices::new(component));
        let inspect = exports("cache-inspect").then(|| cache_inspect::GuestIndices::new(component));
        Ok(Exports {
            backend: cache_backend::GuestIndices::new(component)
                .map_err(|error| unlike("cache-backend", error))?,
            updates: updates
                .transpose()
                .map_err(|error| unlike("cache-updates", error))?,
            lookup: lookup
                .transpose()
                .map_err(|error| unlike("cache-lookup", error))?,
            atomics: atomics
                .transpose()
                .map_err(|error| unlike("cache-atomics", error))?,
            bulk: bulk
                .transpose()
                .map_err(|error| unlike("cache-bulk", error))?,
            inspect: inspect
                .transpose()
                .map_err(|error| unlike("cache-inspect", error))?,
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
        let updates = self.updates.as_ref();
        let updates = updates.map(|updates| updates.load(&mut store, instance));
        let lookup = self.lookup.as_ref();
        let lookup = lookup.map(|lookup| lookup.load(&mut store, instance));
        let atomics = self.atomics.as_ref();
        let atomics = atomics.map(|atomics| atomics.load(&mut store, instance));
        let bulk = self.bulk.as_ref();
        let bulk = bulk.map(|bulk| bulk.load(&mut store, instance));
        let inspect = self.inspect.as_ref();
        let inspect = inspect.map(|inspect| inspect.load(&mut store, instance));
        Ok(Functions {
            backend: self.backend.load(&mut store, instance)?,
            updates: updates.transpose()?,
            lookup: lookup.transpose()?,
            atomics: atomics.transpose()?,
            bulk: bulk.transpose()?,
            inspect: inspect.transpose()?,
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
}
