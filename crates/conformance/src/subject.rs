//! The subject of a case: a backend with storage of its own.

use std::fmt;
use std::path::Path;

use crate::{Clock, Instance};

/// A backend with storage of its own, which is empty at first.
pub trait Subject: Sync {
    /// Starts an instance, beside the running ones. It knows only the storage. If the instance
    /// itself is the storage, the call gives another handle to the running instance.
    ///
    /// # Panics
    ///
    /// If the instance does not start.
    fn open(&self) -> Box<dyn Instance>;

    /// Starts an instance that its host kills in the midst of a call, as if its process was killed.
    /// It is killed at this step, counted from its first call; the first step is 1. Its method
    /// panics then, since there is no answer. If its calls have fewer steps, it is not killed.
    ///
    /// The subject chooses the steps. Each call of the guest to its file system should be between
    /// two of them. A [`Component`](crate::Component) is stopped where its guest enters a function,
    /// or begins a turn of a loop.
    ///
    /// # Panics
    ///
    /// If the instance does not start, or the subject does not offer [`Feature::Kill`].
    fn open_to_be_killed(&self, step: u64) -> Box<dyn Instance> {
        panic!("the subject does not kill an instance at step {step}")
    }

    /// The clocks of all instances.
    fn clock(&self) -> &Clock;

    /// Whether the backend has an optional feature. For [`Feature::Files`], a case also looks
    /// whether the folder has files.
    fn offers(&self, feature: Feature) -> bool;

    /// The folder of the backend's storage; none if the storage is not a folder.
    fn folder(&self) -> Option<&Path>;
}

/// A feature that a backend may have or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// The interface `cache-updates`.
    Updates,
    /// The interface `cache-lookup`.
    Lookup,
    /// The interface `cache-atomics`.
    Atomics,
    /// The interface `cache-bulk`.
    Bulk,
    /// The interface `cache-inspect`.
    Inspect,
    /// Storage that outlives an instance.
    Durability,
    /// Storage that several instances may use at once.
    Concurrency,
    /// Instances that the host can kill: [`Subject::open_to_be_killed`].
    Kill,
    /// Files in a folder of the host. The backend survives damage to them.
    Files,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feature::Updates => "cache-updates",
            Feature::Lookup => "cache-lookup",
            Feature::Atomics => "cache-atomics",
            Feature::Bulk => "cache-bulk",
            Feature::Inspect => "cache-inspect",
            Feature::Durability => "storage that outlives an instance",
            Feature::Concurrency => "storage for several instances at once",
            Feature::Kill => "instances that the host can kill",
            Feature::Files => "files in a folder",
        })
    }
}
