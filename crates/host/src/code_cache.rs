//! Keeps compiled code in a folder, so that later processes need not compile.

use std::fs::{DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use wasmtime::component::Component;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::ENGINE;

/// A hash of the component and of the engine's settings. A file of code begins with it and has it
/// as its name. SHA-256, so that nobody can make two components with one key.
pub(crate) type Key = [u8; 32];
/// An XXH3 of the code, which follows the key. It finds damage. It does not protect against
/// forgery: a user who could forge the checksum may also write the code.
type Checksum = [u8; 8];

const HEAD: usize = size_of::<Key>() + size_of::<Checksum>();

pub(crate) fn key(bytes: &[u8]) -> Key {
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

/// The component with this key; none if the folder has no intact code that only this user may have
/// written.
pub(crate) fn find(folder: &Path, key: &Key) -> io::Result<Option<Component>> {
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
    // SAFETY: `deserialize` needs bytes that `serialize` gave for an equal engine; other bytes
    // could be any machine code. Only this user may have written the file, so a process of this
    // user wrote it. That process ran `keep`, since the file has the key and the checksum. The file
    // is whole, since both are right. The key covers the component and the engine's settings. The
    // checked bytes are the used bytes: they are in memory by now.
    let component = unsafe { Component::deserialize(&ENGINE, code) };
    Ok(component.ok())
}

/// Writes the code of a component into the folder, which is created if it is missing.
pub(crate) fn keep(folder: &Path, key: &Key, component: &Component) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)?;
    if !is_ours(&folder.metadata()?) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let code = component.serialize().map_err(io::Error::other)?;
    // No sync: the checksum finds a file that a power cut damaged.
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

/// Whether only the user of this process may have written the file or folder.
#[cfg(unix)]
fn is_ours(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    const OTHERS_MAY_WRITE: u32 = 0o022;
    let user = rustix::process::geteuid().as_raw();
    metadata.uid() == user && metadata.mode() & OTHERS_MAY_WRITE == 0
}

/// On other systems the caller is responsible for the rights on the folder.
#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    true
}
