//! Compiled code, kept in a folder for the processes to come.

use std::fs::{DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use wasmtime::component::Component;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::ENGINE;
use crate::{Error, component};

/// What a file of code is for: a component, and an engine that compiles as this one does. It is the
/// beginning of the file, and its name. Nobody can make two components with one key.
type Key = [u8; 32];
/// An XXH3 of the code, which follows the key. It is there for damage: whoever could forge it may
/// write the code as well.
type Checksum = [u8; 8];

const HEAD: usize = size_of::<Key>() + size_of::<Checksum>();

/// Gives a component compiled: as it is in the folder, or else anew, to be kept there. The folder
/// saves time where it can be used, and is done without where it cannot.
pub(crate) fn compile(folder: &Path, bytes: &[u8]) -> Result<Component, Error> {
    let key = key(bytes);
    if let Ok(Some(component)) = find(folder, &key) {
        return Ok(component);
    }
    let component = component::compile(bytes)?;
    let _ = keep(folder, &key, &component);
    Ok(component)
}

fn key(bytes: &[u8]) -> Key {
    let mut engine = DefaultHasher::new();
    ENGINE.precompile_compatibility_hash().hash(&mut engine);
    Sha256::new()
        .chain_update(engine.finish().to_le_bytes())
        .chain_update(bytes)
        .finalize()
        .into()
}

fn name(key: &Key) -> String {
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    digits + ".cwasm"
}

fn find(folder: &Path, key: &Key) -> io::Result<Option<Component>> {
    if !is_ours(&folder.metadata()?) {
        return Ok(None);
    }
    let mut file = File::open(folder.join(name(key)))?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_ours(&metadata) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let Some((head, code)) = bytes.split_at_checked(HEAD) else {
        return Ok(None);
    };
    if head != self::head(key, code) {
        return Ok(None);
    }
    // SAFETY: the bytes must be what `serialize` gave for an engine like this one, or they could be
    // any machine code. The file is a file of the user's, which nobody else may write, so a process
    // of the user's wrote it; that was `keep`, since it carries the key and the checksum; it is
    // whole, since they are right; and the key stands for the component and all of the engine that
    // compiled code depends on. What was checked is what is used: it is in memory by now.
    let component = unsafe { Component::deserialize(&ENGINE, code) };
    Ok(component.ok())
}

fn keep(folder: &Path, key: &Key, component: &Component) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)?;
    if !is_ours(&folder.metadata()?) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let code = component.serialize().map_err(io::Error::other)?;
    // Nothing is synced: what a power cut leaves of it does not pass the check.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&head(key, &code))?;
    file.write_all(&code)?;
    file.persist(folder.join(name(key)))?;
    Ok(())
}

fn head(key: &Key, code: &[u8]) -> [u8; HEAD] {
    let checksum: Checksum = xxh3_64(code).to_le_bytes();
    let mut head = [0; HEAD];
    let (start, end) = head.split_at_mut(key.len());
    start.copy_from_slice(key);
    end.copy_from_slice(&checksum);
    head
}

/// Whether nobody but the user of this process may have written it.
#[cfg(unix)]
fn is_ours(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    const OTHERS_MAY_WRITE: u32 = 0o022;
    let user = rustix::process::geteuid().as_raw();
    metadata.uid() == user && metadata.mode() & OTHERS_MAY_WRITE == 0
}

/// Elsewhere it is for the caller to see to.
#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    true
}
