//! `wasi:filesystem` with [`Faults`] in front of a real or simulated file system.

use std::marker::PhantomData;

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode as SyncErrorCode, Filesize, Host, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sync::io::streams::{
    Error as StreamError, InputStream, OutputStream,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use crate::call::Call;
use crate::faults::Faults;
use crate::sim::SimFilesystem;

/// A file system that can have [`Faults`] in front of it.
pub(crate) trait FileSystem: Host {
    /// Whether syncs go to this file system.
    ///
    /// A real one does not get them: no test cuts its power, so no test has to wait for its disk.
    const SYNCS: bool;
}

impl FileSystem for WasiFilesystemCtxView<'_> {
    const SYNCS: bool = false;
}

impl FileSystem for SimFilesystem<'_> {
    const SYNCS: bool = true;
}

/// A file system with [`Faults`] in front of it.
pub(crate) struct FaultyFilesystem<F> {
    pub(crate) inner: F,
    pub(crate) faults: Faults,
}

/// Tells a linker that the host's file system is `F`, with [`Faults`] in front of it.
pub(crate) struct HasFaulty<F>(PhantomData<F>);

impl<F: HasData> HasData for HasFaulty<F> {
    type Data<'a> = FaultyFilesystem<F::Data<'a>>;
}

impl<F: FileSystem> FaultyFilesystem<F> {
    /// Makes a call, unless a fault prevents it. `work` learns whether it is to be cut short.
    fn call<T>(
        &mut self,
        call: Call,
        path: String,
        work: impl FnOnce(&mut F, bool) -> FsResult<T>,
    ) -> FsResult<T> {
        let passed = self.faults.pass(call, &path);
        let outcome = passed.and_then(|short| work(&mut self.inner, short));
        self.faults.record(call, path, &outcome);
        outcome
    }
}

impl<F: FileSystem> Host for FaultyFilesystem<F> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<SyncErrorCode> {
        Host::convert_error_code(&mut self.inner, error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<StreamError>,
    ) -> wasmtime::Result<Option<SyncErrorCode>> {
        Host::filesystem_error_code(&mut self.inner, error)
    }
}

/// Methods that are recorded under the path of their descriptor, with the path below it added.
macro_rules! pass_and_do {
    ($($call:ident: $name:ident($($arg:ident: $type:ty),*) $(below $path:ident)? -> $result:ty;)*) => {
        $(fn $name(&mut self, fd: Resource<Descriptor>, $($arg: $type),*) -> FsResult<$result> {
            let path = self.faults.path(fd.rep(), None$(.or(Some(&*$path)))?);
            self.call(Call::$call, path, |inner, _| HostDescriptor::$name(inner, fd, $($arg),*))
        })*
    };
}

impl<F: FileSystem> HostDescriptor for FaultyFilesystem<F> {
    pass_and_do! {
        Advise: advise(offset: Filesize, length: Filesize, advice: Advice) -> ();
        AppendViaStream: append_via_stream() -> Resource<OutputStream>;
        CreateDirectory: create_directory_at(path: String) below path -> ();
        GetFlags: get_flags() -> DescriptorFlags;
        GetType: get_type() -> DescriptorType;
        MetadataHash: metadata_hash() -> MetadataHashValue;
        MetadataHashAt: metadata_hash_at(flags: PathFlags, path: String)
            below path -> MetadataHashValue;
        ReadLink: readlink_at(path: String) below path -> String;
        ReadViaStream: read_via_stream(offset: Filesize) -> Resource<InputStream>;
        RemoveDirectory: remove_directory_at(path: String) below path -> ();
        SetSize: set_size(size: Filesize) -> ();
        SetTimes: set_times(accessed: NewTimestamp, modified: NewTimestamp) -> ();
        SetTimesAt: set_times_at(
            flags: PathFlags,
            path: String,
            accessed: NewTimestamp,
            modified: NewTimestamp
        ) below path -> ();
        Stat: stat() -> DescriptorStat;
        StatAt: stat_at(flags: PathFlags, path: String) below path -> DescriptorStat;
        Symlink: symlink_at(target: String, path: String) below path -> ();
        Unlink: unlink_file_at(path: String) below path -> ();
        WriteViaStream: write_via_stream(offset: Filesize) -> Resource<OutputStream>;
    }

    fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let path = self.faults.path(fd.rep(), None);
        self.call(Call::Sync, path, |inner, _| match F::SYNCS {
            true => HostDescriptor::sync(inner, fd),
            false => Ok(()),
        })
    }

    fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let path = self.faults.path(fd.rep(), None);
        self.call(Call::SyncData, path, |inner, _| match F::SYNCS {
            true => HostDescriptor::sync_data(inner, fd),
            false => Ok(()),
        })
    }

    fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let path = self.faults.path(fd.rep(), None);
        self.call(Call::Read, path, |inner, short| {
            let length = if short && length > 1 {
                length / 2
            } else {
                length
            };
            HostDescriptor::read(inner, fd, length, offset)
        })
    }

    fn write(
        &mut self,
        fd: Resource<Descriptor>,
        mut bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        let path = self.faults.path(fd.rep(), None);
        self.call(Call::Write, path, |inner, short| {
            if short && bytes.len() > 1 {
                bytes.truncate(bytes.len() / 2);
            }
            HostDescriptor::write(inner, fd, bytes, offset)
        })
    }

    fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let call = if open_flags.contains(OpenFlags::CREATE) {
            Call::Create
        } else {
            Call::Open
        };
        let full = self.faults.path(fd.rep(), Some(&path));
        let opened = self.call(call, full.clone(), |inner, _| {
            HostDescriptor::open_at(inner, fd, path_flags, path, open_flags, flags)
        })?;
        self.faults.opened(opened.rep(), full);
        Ok(opened)
    }

    fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let path = self.faults.path(fd.rep(), None);
        let stream = self.call(Call::List, path.clone(), |inner, _| {
            HostDescriptor::read_directory(inner, fd)
        })?;
        self.faults.opened(stream.rep(), path);
        Ok(stream)
    }

    fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        let path = self.faults.path(to.rep(), Some(&new));
        self.call(Call::Link, path, |inner, _| {
            HostDescriptor::link_at(inner, fd, flags, old, to, new)
        })
    }

    fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        let path = self.faults.path(to.rep(), Some(&new));
        self.call(Call::Rename, path, |inner, _| {
            HostDescriptor::rename_at(inner, fd, old, to, new)
        })
    }

    fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        HostDescriptor::is_same_object(&mut self.inner, one, other)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.faults.closed(fd.rep());
        HostDescriptor::drop(&mut self.inner, fd)
    }
}

impl<F: FileSystem> HostDirectoryEntryStream for FaultyFilesystem<F> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let path = self.faults.path(stream.rep(), None);
        self.call(Call::NextEntry, path, |inner, _| {
            HostDirectoryEntryStream::read_directory_entry(inner, stream)
        })
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.faults.closed(stream.rep());
        HostDirectoryEntryStream::drop(&mut self.inner, stream)
    }
}
