//! Directories and files. Only this file calls the file system.

use crate::abi::Error;
use crate::abi::memory::{buffer, push, reserve, reserve_in};
use crate::abi::wasi::filesystem::preopens;
use crate::abi::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};
use crate::abi::wasi::random::random;
use crate::clock::nanoseconds;

use super::settings;

/// How many bytes one call reads: wasmtime returns no more at once.
pub const READ_BYTES: u64 = 64 * 1024;

/// How many bytes one call writes at most. A host may trap a component that passes very much in one
/// call: wasmtime allows 128 MiB.
const WRITE_BYTES: usize = 8 * 1024 * 1024;

/// A directory. No name leads out of it: names are single path components, and links are never
/// followed.
pub struct Dir {
    descriptor: Descriptor,
    /// The name of the directory, for messages.
    name: String,
}

/// An open file.
pub struct File {
    descriptor: Descriptor,
    name: String,
}

/// A name in a directory.
pub struct Listed {
    /// The name.
    pub name: String,
    /// The name is a regular file.
    pub is_file: bool,
    /// The name is a directory, not a link to one.
    pub is_dir: bool,
}

impl Dir {
    /// The directory that the host gave to the component. If it gave several, the environment may
    /// name one by the path that the host gave it; otherwise the first counts.
    pub fn root() -> Result<Dir, Error> {
        let mut given = preopens::get_directories().into_iter();
        let Some(named) = settings::root() else {
            let first = given.next().map(Dir::given);
            return first.ok_or_else(|| {
                let reason = "the component was given no directory to store in";
                Error::Unavailable(reason.into())
            });
        };
        let found = given.find(|(_, path)| *path == named);
        found.map(Dir::given).ok_or_else(|| {
            let name = settings::ROOT;
            let reason =
                format!("{name} is `{named}`, and the host gave no directory by that path");
            Error::InvalidArgument(reason)
        })
    }

    /// The directory at a path, for a native program.
    #[cfg(unix)]
    pub fn at(path: &std::path::Path) -> Result<Dir, Error> {
        let name = path.display().to_string();
        match Descriptor::directory(path) {
            Ok(descriptor) => Ok(Dir { descriptor, name }),
            Err(code) => Err(error("opening the folder", &name, code)),
        }
    }

    fn given((descriptor, name): (Descriptor, String)) -> Dir {
        Dir { descriptor, name }
    }

    /// Lists the directory. Files that appear or disappear meanwhile may be missing. Names that are
    /// not UTF-8 do not belong to Larder and are left out.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let failed = |code| error("listing the folder", &self.name, code);
        let stream = self.descriptor.read_directory().map_err(failed)?;
        let mut listed = Vec::new();
        loop {
            match stream.read_directory_entry() {
                Ok(Some(entry)) => {
                    if listed.len() == listed.capacity() {
                        // The host puts the next names into memory without asking.
                        reserve(listed.len() as u64, 0)?;
                    }
                    let (is_file, is_dir) = (
                        entry.type_ == DescriptorType::RegularFile,
                        entry.type_ == DescriptorType::Directory,
                    );
                    let name = entry.name;
                    push(
                        &mut listed,
                        Listed {
                            name,
                            is_file,
                            is_dir,
                        },
                    )?;
                }
                Ok(None) => return Ok(listed),
                // The file disappeared while the host looked at it.
                Err(ErrorCode::NoEntry | ErrorCode::IllegalByteSequence) => {}
                Err(code) => return Err(failed(code)),
            }
        }
    }

    /// Opens a directory in this one. Returns none if the name does not exist.
    pub fn open_dir(&self, name: &str) -> Result<Option<Dir>, Error> {
        let failed = |code| error("opening the folder", name, code);
        // A host may open first and check later, and opening a pipe may wait without end.
        match self.stat(name)?.map(|stat| stat.type_) {
            Some(DescriptorType::Directory) => {}
            Some(_) => return Err(failed(ErrorCode::NotDirectory)),
            None => return Ok(None),
        }
        let open = |flags| {
            let directory = OpenFlags::DIRECTORY;
            self.descriptor
                .open_at(PathFlags::empty(), name, directory, flags)
        };
        let opened = match open(DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY) {
            // The host may allow the component only to read.
            Err(ErrorCode::ReadOnly | ErrorCode::NotPermitted) => open(DescriptorFlags::READ),
            opened => opened,
        };
        let opened = found(opened).map_err(failed)?;
        Ok(opened.map(|descriptor| Dir {
            descriptor,
            name: name.into(),
        }))
    }

    /// Creates a directory in this one, unless it exists.
    pub fn create_dir(&self, name: &str) -> Result<(), Error> {
        match self.descriptor.create_directory_at(name) {
            Ok(()) | Err(ErrorCode::Exist) => Ok(()),
            Err(code) => Err(error("creating the folder", name, code)),
        }
    }

    /// Opens a file for reading. Returns none if the name does not exist.
    pub fn open(&self, name: &str) -> Result<Option<File>, Error> {
        let opened = self.descriptor.open_at(
            PathFlags::empty(),
            name,
            OpenFlags::empty(),
            DescriptorFlags::READ,
        );
        let opened = found(opened).map_err(|code| error("opening", name, code))?;
        Ok(opened.map(|descriptor| File {
            descriptor,
            name: name.into(),
        }))
    }

    /// Creates a file for writing and reading. Its name is random and ends with `suffix`.
    pub fn create(&self, suffix: &str) -> Result<File, Error> {
        let name = random_name(suffix);
        let created = self.descriptor.open_at(
            PathFlags::empty(),
            &name,
            OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
            DescriptorFlags::READ | DescriptorFlags::WRITE,
        );
        match created {
            Ok(descriptor) => Ok(File { descriptor, name }),
            Err(code) => Err(error("creating", &name, code)),
        }
    }

    /// Gives a file a second name, if that name is free.
    pub fn link(&self, old: &str, new: &str) -> Result<Linked, Error> {
        match self
            .descriptor
            .link_at(PathFlags::empty(), old, &self.descriptor, new)
        {
            Ok(()) => Ok(Linked::Done),
            Err(ErrorCode::Exist) => Ok(Linked::Taken),
            Err(ErrorCode::NoEntry) => Ok(Linked::Gone),
            // The file system has no hard links, or a rule forbids them.
            Err(
                ErrorCode::Unsupported
                | ErrorCode::NotPermitted
                | ErrorCode::TooManyLinks
                | ErrorCode::Access
                | ErrorCode::CrossDevice,
            ) => self.rename(old, new),
            // The link may be made nevertheless.
            Err(ErrorCode::Io) if self.has_two_names(old) => Ok(Linked::Done),
            // A host may hide the reason: wasmtime gives this code for ENOSYS and EXDEV too.
            Err(ErrorCode::Io) if !self.can_link(old)? => self.rename(old, new),
            Err(code) => Err(error("publishing", new, code)),
        }
    }

    fn has_two_names(&self, name: &str) -> bool {
        let stat = self.descriptor.stat_at(PathFlags::empty(), name);
        stat.is_ok_and(|stat| stat.link_count > 1)
    }

    /// Whether a file can have a second name.
    fn can_link(&self, name: &str) -> Result<bool, Error> {
        // It is taken for a temporary too, if it cannot be removed.
        let suffix = name.find('.').and_then(|at| name.get(at..));
        let second = random_name(suffix.unwrap_or_default());
        match self
            .descriptor
            .link_at(PathFlags::empty(), name, &self.descriptor, &second)
        {
            Ok(()) => self.remove(&second),
            Err(_) => Ok(false),
        }
    }

    /// Gives a file a new name, if that name is free. Another writer may take the name between the
    /// check and the rename; then its file is overwritten.
    pub fn rename(&self, old: &str, new: &str) -> Result<Linked, Error> {
        match self.descriptor.stat_at(PathFlags::empty(), new) {
            Ok(_) => return Ok(Linked::Taken),
            Err(ErrorCode::NoEntry) => {}
            Err(code) => return Err(error("looking for", new, code)),
        }
        match self.descriptor.rename_at(old, &self.descriptor, new) {
            Ok(()) => Ok(Linked::Done),
            Err(ErrorCode::NoEntry) => Ok(Linked::Gone),
            Err(code) => Err(error("publishing", new, code)),
        }
    }

    /// Removes a file. Returns false if there is none.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        match self.descriptor.unlink_file_at(name) {
            Ok(()) => Ok(true),
            Err(ErrorCode::NoEntry) => Ok(false),
            Err(code) => Err(error("removing", name, code)),
        }
    }

    /// The time when a file was last written.
    pub fn modified(&self, name: &str) -> Result<Modified, Error> {
        let time = self
            .stat(name)?
            .map(|stat| stat.data_modification_timestamp);
        Ok(match time {
            None => Modified::Gone,
            Some(None) => Modified::Unknown,
            Some(Some(time)) => Modified::At(nanoseconds(time)),
        })
    }

    /// Whether there is a regular file of that name.
    pub fn has_file(&self, name: &str) -> Result<bool, Error> {
        let stat = self.stat(name)?;
        Ok(stat.is_some_and(|stat| stat.type_ == DescriptorType::RegularFile))
    }

    fn stat(&self, name: &str) -> Result<Option<DescriptorStat>, Error> {
        found(self.descriptor.stat_at(PathFlags::empty(), name))
            .map_err(|code| error("looking at", name, code))
    }

    /// Syncs the names in the directory, if the host and its file system can sync them.
    pub fn sync(&self) -> Result<(), Error> {
        match self.descriptor.sync() {
            Ok(()) | Err(ErrorCode::Unsupported | ErrorCode::Invalid) => Ok(()),
            Err(code) => Err(error("syncing the folder", &self.name, code)),
        }
    }
}

/// The time when a file was last written.
#[derive(Debug, PartialEq, Eq)]
pub enum Modified {
    /// In nanoseconds since 1970.
    At(u64),
    /// The host does not say.
    Unknown,
    /// There is no such file.
    Gone,
}

/// The result of giving a file another name.
#[derive(Debug, PartialEq, Eq)]
pub enum Linked {
    /// The file has the new name.
    Done,
    /// Another file has that name.
    Taken,
    /// The file was removed meanwhile.
    Gone,
}

impl File {
    /// The name by which the file was opened or created.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of the file, in bytes.
    pub fn size(&self) -> Result<u64, Error> {
        match self.descriptor.stat() {
            Ok(stat) => Ok(stat.size),
            Err(code) => Err(error("looking at", &self.name, code)),
        }
    }

    /// Reads from `offset` to `end`, or to the end of the file.
    pub fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, Error> {
        let size = end.saturating_sub(offset);
        reserve(0, size)?;
        let mut bytes = buffer(size)?;
        self.read_into(offset, &mut bytes, end)?;
        Ok(bytes)
    }

    /// Reads from `offset` to `end`, or to the end of the file, and appends the bytes to the
    /// buffer. It is an error if the buffer has too little capacity and cannot grow.
    pub fn read_into(&self, offset: u64, bytes: &mut Vec<u8>, end: u64) -> Result<(), Error> {
        reserve_in(bytes, end.saturating_sub(offset))?;
        let mut offset = offset;
        while offset < end {
            let read = self
                .descriptor
                .read_into(end - offset, offset, bytes)
                .map_err(|code| error("reading", &self.name, code))?;
            if read == 0 {
                break;
            }
            offset = offset.saturating_add(read);
        }
        Ok(())
    }

    /// Reads from `offset` to `end`. It is an error if the file ends before `end`.
    pub fn read_exactly(&self, offset: u64, end: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.read(offset, end)?;
        match offset.saturating_add(bytes.len() as u64) == end {
            true => Ok(bytes),
            false => Err(error("reading", &self.name, ErrorCode::Io)),
        }
    }

    /// Reads the whole file.
    pub fn read_all(&self) -> Result<Vec<u8>, Error> {
        self.read(0, self.size()?)
    }

    /// Writes all of the bytes at `offset`.
    pub fn write(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), Error> {
        let failed = |code| error("writing", &self.name, code);
        while !bytes.is_empty() {
            let piece = bytes.get(..WRITE_BYTES).unwrap_or(bytes);
            let written = self.descriptor.write(piece, offset).map_err(failed)?;
            let rest = usize::try_from(written).ok().and_then(|n| bytes.get(n..));
            bytes = match rest {
                Some(rest) if written > 0 => rest,
                _ => return Err(failed(ErrorCode::Io)),
            };
            offset = offset.saturating_add(written);
        }
        Ok(())
    }

    /// Makes the content of the file survive a power cut.
    pub fn sync_data(&self) -> Result<(), Error> {
        self.descriptor
            .sync_data()
            .map_err(|code| error("syncing", &self.name, code))
    }
}

#[cfg(not(unix))]
impl Descriptor {
    /// Reads at most `length` bytes at `offset` and appends them to a buffer that has the capacity.
    /// Returns 0 only at the end of the file.
    fn read_into(&self, length: u64, offset: u64, bytes: &mut Vec<u8>) -> Result<u64, ErrorCode> {
        let (chunk, _) = self.read(READ_BYTES.min(length), offset)?;
        bytes.extend_from_slice(&chunk);
        Ok(chunk.len() as u64)
    }
}

/// A name that no other file has. It ends with `suffix`.
pub fn random_name(suffix: &str) -> String {
    format!("{:016x}{suffix}", random::get_random_u64())
}

fn found<T>(outcome: Result<T, ErrorCode>) -> Result<Option<T>, ErrorCode> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(ErrorCode::NoEntry) => Ok(None),
        Err(code) => Err(code),
    }
}

/// Translates an error of the file system into an error of the contract.
#[cold]
fn error(doing: &str, what: &str, code: ErrorCode) -> Error {
    let reason = || format!("{doing} {what}: {}", reason(code));
    match code {
        ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly | ErrorCode::Loop => {
            Error::AccessDenied
        }
        ErrorCode::InsufficientSpace | ErrorCode::Quota => Error::NoSpace,
        ErrorCode::InsufficientMemory
        | ErrorCode::Io
        | ErrorCode::Interrupted
        | ErrorCode::Busy
        | ErrorCode::WouldBlock
        | ErrorCode::InProgress
        | ErrorCode::Already
        | ErrorCode::Deadlock
        | ErrorCode::NoDevice
        | ErrorCode::NoLock
        | ErrorCode::TextFileBusy => Error::Unavailable(reason()),
        _ => Error::Other(reason()),
    }
}

/// What an error code means, in words.
fn reason(code: ErrorCode) -> &'static str {
    match code {
        // wasmtime says this also where it has no better code.
        ErrorCode::Io => {
            "the storage failed, or is read-only, or a quota is reached; the host does not say which"
        }
        ErrorCode::InsufficientMemory => "the host has no memory left",
        ErrorCode::Interrupted => "the call was interrupted",
        ErrorCode::Busy
        | ErrorCode::WouldBlock
        | ErrorCode::InProgress
        | ErrorCode::Already
        | ErrorCode::Deadlock
        | ErrorCode::NoLock
        | ErrorCode::TextFileBusy => "the storage is busy",
        ErrorCode::NoDevice => "the device is gone",
        ErrorCode::NotDirectory => "it is not a directory",
        ErrorCode::IsDirectory => "it is a directory",
        ErrorCode::NameTooLong => "the name is too long for the file system",
        ErrorCode::FileTooLarge => "the file is too large for the file system or the process",
        ErrorCode::Unsupported => "the host or the file system cannot do this",
        ErrorCode::Exist => "the name is taken",
        ErrorCode::NoEntry => "it does not exist",
        other => other.name(),
    }
}
