//! Keeps compiled code in a folder, so that later processes need not compile.

use std::fs::{self, DirBuilder, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;

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

/// The component with this key; none if the folder has no intact code. An error if somebody else
/// may have written the code.
pub(crate) fn find(folder: &Path, key: &Key) -> io::Result<Option<Component>> {
    let file = protected(folder)?.join(name(key));
    // Nobody else can exchange the file from here on: the folder is protected.
    let metadata = file.symlink_metadata()?;
    if !metadata.is_file() || !is_ours(&metadata) {
        return Ok(None);
    }
    let bytes = fs::read(file)?;
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
    let folder = protected(folder)?;
    let code = component.serialize().map_err(io::Error::other)?;
    // No sync: the checksum finds a file that a power cut damaged.
    let mut file = NamedTempFile::new_in(&folder)?;
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

/// The path of the folder, without links, if only this user may write to the folder, and nobody
/// else may put another folder in its place.
fn protected(folder: &Path) -> io::Result<PathBuf> {
    let folder = folder.canonicalize()?;
    let mut is_protected = is_ours(&folder.metadata()?);
    for above in folder.ancestors().skip(1) {
        is_protected &= keeps_its_names(&above.metadata()?);
    }
    match is_protected {
        true => Ok(folder),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

#[cfg(unix)]
const OTHERS_MAY_WRITE: u32 = 0o022;

/// Whether only the user of this process may have written the file or folder.
#[cfg(unix)]
fn is_ours(metadata: &Metadata) -> bool {
    let user = rustix::process::geteuid().as_raw();
    metadata.uid() == user && metadata.mode() & OTHERS_MAY_WRITE == 0
}

/// Whether only root and the user of this process may exchange a folder of theirs in this folder.
#[cfg(unix)]
fn keeps_its_names(metadata: &Metadata) -> bool {
    const STICKY: u32 = 0o1000;
    const ROOT: u32 = 0;
    let user = rustix::process::geteuid().as_raw();
    let mode = metadata.mode();
    [user, ROOT].contains(&metadata.uid()) && (mode & OTHERS_MAY_WRITE == 0 || mode & STICKY != 0)
}

/// On other systems the caller is responsible for the rights on the folder.
#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn keeps_its_names(_: &Metadata) -> bool {
    true
}
