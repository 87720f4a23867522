//! The data of a store: the host's side of one instance.

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The host's side of an instance: WASI, and `own`, the data of the functions that the host
/// provides besides WASI.
///
/// It is public for test harnesses that start components themselves, so that they need no
/// `WasiView` of their own.
pub struct State<T> {
    /// What the instance may use.
    pub wasi: WasiCtx,
    /// Its open resources.
    pub table: ResourceTable,
    /// Whatever else the host keeps for the instance.
    pub own: T,
}

impl<T> State<T> {
    /// The host's side of an instance that is about to start.
    pub fn new(wasi: WasiCtx, own: T) -> Self {
        let table = ResourceTable::new();
        Self { wasi, table, own }
    }
}

impl<T: Send> WasiView for State<T> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
