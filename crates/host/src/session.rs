//! Calls into a component: the instances that they are made in, and how they end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::builder::Settings;
use crate::component::Linked;
use crate::engine;
use crate::instance::{Failure, Instance};
use crate::{Error, ErrorKind};

/// How many instances wait for calls at most.
const IDLE_INSTANCES: usize = 16;
/// How many bytes of memory the idle instances of a backend may hold on to. Memory that is new costs
/// a page fault every 4 KiB: a third of the time of a large load.
const IDLE_MEMORY: usize = 64 * 1024 * 1024;

/// A component, what its instances may use, and those of them that wait for calls.
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
        instance.is_current(&self.settings).then_some(instance)
    }

    fn put(&self, instance: Instance) {
        if instance.is_worth_keeping() {
            let mut idle = self.idle();
            let memory: usize = idle.iter().map(Instance::memory).sum();
            if idle.len() < IDLE_INSTANCES && memory + instance.memory() <= IDLE_MEMORY {
                idle.push(instance);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        // A panic elsewhere leaves a list of good instances all the same.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what could not be handed to the component in one call.
    pub(crate) fn check_size(&self, size: usize) -> Result<(), ErrorKind> {
        if u32::try_from(size).is_err() || size > self.settings.memory_limit {
            return Err(ErrorKind::TooLarge(size as u64));
        }
        Ok(())
    }
}

/// Calls that are made one after the other in one instance, which is taken from the pool for the
/// first. Dropped, the session drops the instance, and with it all that this has open.
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

    /// Makes a call, within the time limit. Where it was broken off, its instance is gone, and all
    /// that was open in it: the next call would be made in another.
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
                    instance.ready(deadline);
                    instance
                }
                None => Instance::new(linked, settings, deadline).await?,
            };
            let result = match call(&mut instance).await {
                Ok(answer) => Ok(answer),
                Err(Failure::Answered(kind)) => Err(Error::new(kind)),
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

    /// Whether no call was broken off since the first.
    pub(crate) fn has_instance(&self) -> bool {
        self.instance.is_some()
    }

    /// Hands the instance, in which nothing may be open any more, to the calls of others.
    pub(crate) fn end(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.pool.put(instance);
        }
    }
}
