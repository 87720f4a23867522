//! `wasi:io/poll` with a deadline: an instance that waits is woken when its call must end.

use std::time::Instant;

use tokio::time::timeout;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as asynchronous;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::runtime::in_tokio;

use crate::Inside;
use crate::running::{Limits, late};

/// Replaces the poll of WASI. An epoch interrupts an instance that computes, but not an instance
/// that waits.
pub(crate) fn add_to_linker(linker: &mut Linker<Inside<Limits>>) -> wasmtime::Result<()> {
    poll::add_to_linker::<_, HasWaiting>(linker, |state| Waiting {
        table: &mut state.table,
        limits: &state.extra,
    })
}

struct Waiting<'a> {
    table: &'a mut ResourceTable,
    limits: &'a Limits,
}

struct HasWaiting;

impl HasData for HasWaiting {
    type Data<'a> = Waiting<'a>;
}

impl Waiting<'_> {
    fn wait<'a, T, F>(
        &'a mut self,
        event: impl FnOnce(&'a mut ResourceTable) -> F,
    ) -> wasmtime::Result<T>
    where
        F: Future<Output = wasmtime::Result<T>>,
    {
        let left = self
            .limits
            .deadline
            .saturating_duration_since(Instant::now());
        let event = event(self.table);
        in_tokio(async { timeout(left, event).await })
            .unwrap_or_else(|_| Err(late(self.limits.time)))
    }
}

impl poll::Host for Waiting<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.wait(|table| asynchronous::Host::poll(table, pollables))
    }
}

impl poll::HostPollable for Waiting<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.wait(|table| asynchronous::HostPollable::block(table, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
