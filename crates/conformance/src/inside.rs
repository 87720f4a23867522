//! The data of a store: the host's side of one instance.

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The host's side of an instance: WASI, and `extra`, the data of everything else that the host
/// provides.
///
/// It is public for test harnesses that start components themselves, so that they need no
/// `WasiView` of their own.
pub struct Inside<T = ()> {
    wasi: WasiCtx,
    /// The resources of the instance.
    pub table: ResourceTable,
    /// The data of everything that the host provides besides WASI.
    pub extra: T,
}

impl<T> Inside<T> {
    /// Makes the host's side of an instance that is about to start.
    pub fn new(wasi: WasiCtx, extra: T) -> Self {
        Self {
            wasi,
            table: ResourceTable::new(),
            extra,
        }
    }
}

impl<T: Send> WasiView for Inside<T> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
