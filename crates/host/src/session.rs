//! Calls into a component: the pool of its instances, and sessions of calls in one instance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::component::Linked;
use crate::engine;
use crate::instance::{Failure, Instance};
use crate::settings::Settings;
use crate::{Error, ErrorKind, shortage};

/// How many idle instances are kept.
const IDLE_INSTANCES: usize = 16;
/// How many bytes of memory the idle instances of a backend may have together. New memory costs a
/// page fault every 4 KiB: a third of the time of a large load.
const IDLE_MEMORY: usize = 64 * 1024 * 1024;

/// A component, its settings, and its idle instances.
pub(crate) struct Pool {
    pub(crate) linked: Linked,
    pub(crate) settings: Settings,
    idle: Mutex<Vec<Instance>>,
}

impl Pool {
    pub(crate) fn new(linked: Linked, settings: Settings) -> Self {
        Self {
            linked,
            settings,
            idle: Mutex::default(),
        }
    }

    fn take(&self) -> Option<Instance> {
        let instance = self.idle().pop()?;
        let state = instance.store.data();
        state.is_current(&self.settings).then_some(instance)
    }

    fn put(&self, instance: Instance) {
        let memory = |instance: &Instance| instance.store.data().memory();
        if instance.store.data().is_worth_keeping() {
            let mut idle = self.idle();
            let held: usize = idle.iter().map(memory).sum();
            if idle.len() < IDLE_INSTANCES && held + memory(&instance) <= IDLE_MEMORY {
                idle.push(instance);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        // After a panic elsewhere, all instances in the list are still good.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a size that does not fit into one call of the component.
    pub(crate) fn check_size(&self, size: usize) -> Result<(), ErrorKind> {
        if u32::try_from(size).is_err() || size > self.settings.memory_limit {
            return Err(ErrorKind::TooLarge(size as u64));
        }
        Ok(())
    }
}

/// Calls, one after the other, in one instance. The first call takes the instance from the pool. A
/// dropped session drops its instance, with everything that is open in it.
pub(crate) struct Session {
    pool: Arc<Pool>,
    instance: Option<Instance>,
}

impl Session {
    pub(crate) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            instance: None,
        }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Makes a call, within the time limit. A call that is broken off takes the instance with it,
    /// and everything that was open in it: the next call uses another instance.
    pub(crate) fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let Pool {
            linked, settings, ..
        } = &*self.pool;
        let deadline = Instant::now().checked_add(settings.time_limit);
        let instance = self.instance.take().or_else(|| self.pool.take());
        let result = engine::run(deadline, async {
            let mut instance = match instance {
                Some(mut instance) => {
                    instance.store.data_mut().ready(deadline);
                    instance
                }
                None => Instance::new(linked, settings, deadline).await?,
            };
            let result = match call(&mut instance).await {
                Ok(answer) => Ok(answer),
                Err(Failure::Answered(kind)) => Err(Error::new(with_shortage(kind))),
                Err(Failure::BrokenOff(error)) => {
                    return Err(instance.store.data().explain(error, settings));
                }
            };
            self.instance = Some(instance);
            result
        });
        match result {
            Ok(Some(result)) => result,
            Ok(None) => Err(Error::new(ErrorKind::TimedOut(settings.time_limit))),
            Err(error) => {
                let why = format!("the host cannot run calls: {error}");
                Err(Error::new(ErrorKind::Unavailable(why)).caused_by(error))
            }
        }
    }

    /// Whether the session has an instance: a call was made, and none was broken off since.
    pub(crate) fn has_instance(&self) -> bool {
        self.instance.is_some()
    }

    /// Puts the instance back into the pool. Nothing may be open in it any more.
    pub(crate) fn end(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.pool.put(instance);
        }
    }
}

/// Says if the process has hardly any file descriptors left: WASI has no error for it, so the
/// component takes it for a failure of the disk.
fn with_shortage(kind: ErrorKind) -> ErrorKind {
    let ErrorKind::Unavailable(why) = kind else {
        return kind;
    };
    ErrorKind::Unavailable(match shortage::of_descriptors() {
        Ok(()) => why,
        Err(error) => format!("{why}; the process has hardly any file descriptors left: {error}"),
    })
}
