//! Compiles components: from bytes of WebAssembly to code for this machine.

use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use wasmtime::component::Component;

use crate::engine::ENGINE;
use crate::{Error, ErrorKind, code_cache, shortage};

/// The largest component that is compiled, in bytes. A compilation takes time and cannot be
/// stopped.
pub(crate) const LARGEST: usize = 64 << 20;

/// The first bytes of WebAssembly.
const MAGIC: &[u8] = b"\0asm";
/// The bytes that follow in a component.
const COMPONENT_LAYER: &[u8] = &[0x0d, 0, 1, 0];

/// Compiles a component, or takes its code from the code cache. Without a usable code cache, the
/// component is compiled each time.
pub(crate) fn compile(bytes: &[u8], folder: Option<&Path>) -> Result<Component, Error> {
    let Some(folder) = folder else {
        return compile_anew(bytes);
    };
    let key = code_cache::key(bytes);
    if let Ok(Some(component)) = code_cache::find(folder, &key) {
        return Ok(component);
    }
    let component = compile_anew(bytes)?;
    // The code cache only saves time: without it, the next process compiles again.
    let _ = code_cache::keep(folder, &key, &component);
    Ok(component)
}

fn compile_anew(bytes: &[u8]) -> Result<Component, Error> {
    let why = match bytes.strip_prefix(MAGIC) {
        None => "is not WebAssembly".into(),
        Some(rest) if !rest.starts_with(COMPONENT_LAYER) => "is not a component".into(),
        Some(_) if bytes.len() > LARGEST => format!("is larger than {LARGEST} bytes"),
        Some(_) => {
            // A component that makes the compiler panic must not end the program.
            let compiled = catch_unwind(|| Component::from_binary(&ENGINE, bytes));
            return match compiled {
                Ok(compiled) => compiled.map_err(unusable),
                Err(_) => Err(bad("cannot be compiled: the compiler broke down".into())),
            };
        }
    };
    Err(bad(why))
}

/// A component that the crate carries. A process compiles it once.
pub(crate) struct Builtin {
    bytes: &'static [u8],
    compiled: Mutex<Option<Component>>,
}

/// The disk backend.
pub(crate) static DISK: Builtin = Builtin::new(larder_components::DISK);
/// The cache layer.
pub(crate) static CACHE: Builtin = Builtin::new(larder_components::CACHE);

impl Builtin {
    const fn new(bytes: &'static [u8]) -> Self {
        Self {
            bytes,
            compiled: Mutex::new(None),
        }
    }

    /// The compiled component. The first call decides about the code cache.
    pub(crate) fn compiled(&self, code_cache: Option<&Path>) -> Result<Component, Error> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        match &*compiled {
            Some(component) => Ok(component.clone()),
            None => Ok(compiled.insert(compile(self.bytes, code_cache)?).clone()),
        }
    }
}

/// The error of a component whose export differs from the contract.
pub(crate) fn unlike(name: &'static str) -> impl Fn(wasmtime::Error) -> Error {
    move |error| unusable(error.context(format!("exports {name}, but not as in the contract")))
}

/// The error of a component that cannot be used, or for which the process lacks something.
pub(crate) fn unusable(error: wasmtime::Error) -> Error {
    let unusable = match shortage::behind(&error) {
        Some(why) => Error::new(ErrorKind::Unavailable(why)),
        None => bad(format!("{error:#}")),
    };
    unusable.caused_by(error)
}

/// The error of a component that cannot be used, for this reason.
pub(crate) fn bad(why: String) -> Error {
    Error::new(ErrorKind::BadComponent(why))
}
