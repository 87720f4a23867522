//! What a backend is made of: a component, and what it may use.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use wasmtime_wasi::WasiCtxBuilder;

use crate::{Backend, Error};

/// The settings of a backend that is being made.
#[derive(Default)]
pub struct Builder {}

impl Builder {
    /// Gives the component a folder of the host, under the path by which it shall know it.
    pub fn preopen(self, _host: impl AsRef<Path>, _guest: impl Into<String>) -> Self {
        self
    }

    /// Sets a variable in the component's environment.
    pub fn env(self, _key: impl Into<String>, _value: impl Into<String>) -> Self {
        self
    }

    /// Lets the component connect to this address.
    pub fn allow_tcp(self, _address: SocketAddr) -> Self {
        self
    }

    /// Sets how much memory a call may use, in bytes.
    pub fn memory_limit(self, _bytes: usize) -> Self {
        self
    }

    /// Sets how long a call may take.
    pub fn time_limit(self, _limit: Duration) -> Self {
        self
    }

    /// Anything else of WASI, clocks included.
    pub fn wasi(self, _set: impl Fn(&mut WasiCtxBuilder) + Send + Sync + 'static) -> Self {
        self
    }

    /// Compiles the component and checks that it can be used.
    pub fn build(self) -> Result<Backend, Error> {
        Ok(Backend {})
    }
}
