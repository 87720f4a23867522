//! `wasi:filesystem` on a simulated disk.

use std::time::Duration;

use rand::Rng;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode as SyncErrorCode, Filesize, Host, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sync::io::streams::{
    Error as StreamError, InputStream, OutputStream,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::disk::SimDisk;
use super::listing::{Listing, type_of};
use super::nodes::{File, Folder, Ino, Kind, Node, Nodes, ROOT};
use super::path::{Place, resolve};
use crate::call::ErrorCode;

/// The most bytes that a read gives, as in wasmtime-wasi.
const READ_AT_MOST: u64 = 64 * 1024;

/// The longest file, in bytes. A longer one would use up memory, not the simulated disk.
const LONGEST_FILE: u64 = 1 << 30;

/// A simulated disk as one instance sees it.
pub(crate) struct SimFilesystem<'a> {
    pub(crate) disk: &'a SimDisk,
    pub(crate) access: FsPerms,
    pub(crate) table: &'a mut ResourceTable,
}

/// Tells a linker that the host's file system is a [`SimFilesystem`].
pub(crate) struct HasSimFilesystem;

impl HasData for HasSimFilesystem {
    type Data<'a> = SimFilesystem<'a>;
}

/// An open file or folder.
struct Open {
    ino: Ino,
    flags: DescriptorFlags,
}

impl SimFilesystem<'_> {
    fn open(&self, fd: &Resource<Descriptor>) -> wasmtime::Result<&Open> {
        Ok(self.table.get(&Resource::<Open>::new_borrow(fd.rep()))?)
    }

    fn ino(&self, fd: &Resource<Descriptor>) -> FsResult<Ino> {
        Ok(self.open(fd).map_err(FsError::trap)?.ino)
    }

    fn place(&self, fd: &Resource<Descriptor>, path: &str, flags: PathFlags) -> FsResult<Place> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let ino = self.ino(fd)?;
        Ok(resolve(&self.disk.nodes(), ino, path, follow)?)
    }

    fn now(&self) -> Duration {
        self.disk.clock().wall()
    }

    fn check_may_write(&self) -> FsResult<()> {
        match self.access.write_not_permitted() {
            true => Err(ErrorCode::NotPermitted.into()),
            false => Ok(()),
        }
    }

    /// Changes the disk, if the instance may.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Nodes, Duration) -> Result<T, ErrorCode>,
    ) -> FsResult<T> {
        self.check_may_write()?;
        let now = self.now();
        Ok(change(&mut self.disk.nodes(), now)?)
    }

    /// The file of a descriptor that was opened with this flag.
    fn opened_for(&self, fd: &Resource<Descriptor>, flag: DescriptorFlags) -> FsResult<Ino> {
        let open = self.open(fd).map_err(FsError::trap)?;
        self.disk
            .nodes()
            .file(open.ino)
            .map_err(|_| ErrorCode::BadDescriptor)?;
        match open.flags.contains(flag) {
            true => Ok(open.ino),
            false => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    fn set_times_of(&self, ino: Ino, modified: NewTimestamp) -> FsResult<()> {
        self.change(|nodes, now| {
            nodes.get_mut(ino).modified = match modified {
                NewTimestamp::NoChange => return Ok(()),
                NewTimestamp::Now => now,
                NewTimestamp::Timestamp(time) => Duration::new(time.seconds, time.nanoseconds),
            };
            Ok(())
        })
    }

    fn stat_of(&self, ino: Ino) -> DescriptorStat {
        let nodes = self.disk.nodes();
        let Node { kind, modified } = nodes.get(ino);
        let modified = Datetime {
            seconds: modified.as_secs(),
            nanoseconds: modified.subsec_nanos(),
        };
        let size = match kind {
            Kind::File(file) => file.seen.len(),
            Kind::Folder(_) => 0,
            Kind::Link(to) => to.len(),
        };
        DescriptorStat {
            type_: type_of(kind),
            link_count: nodes.link_count(ino),
            size: size as u64,
            data_access_timestamp: Some(modified),
            data_modification_timestamp: Some(modified),
            status_change_timestamp: Some(modified),
        }
    }
}

fn hash_of(ino: Ino) -> MetadataHashValue {
    MetadataHashValue {
        lower: ino,
        upper: 0,
    }
}

/// An offset or size in a file that may be that long.
fn within_limits(bytes: u64) -> Result<usize, ErrorCode> {
    let bytes = (bytes <= LONGEST_FILE).then_some(bytes);
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or(ErrorCode::FileTooLarge)
}

impl preopens::Host for SimFilesystem<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let root = Open {
            ino: ROOT,
            flags: DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        };
        let root = self.table.push(root)?;
        Ok(vec![(Resource::new_own(root.rep()), "/".to_owned())])
    }
}

impl Host for SimFilesystem<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<SyncErrorCode> {
        Ok(error.downcast()?.into())
    }

    fn filesystem_error_code(
        &mut self,
        _error: Resource<StreamError>,
    ) -> wasmtime::Result<Option<SyncErrorCode>> {
        // The disk gives no streams, so no stream has failed.
        Ok(None)
    }
}

impl HostDescriptor for SimFilesystem<'_> {
    fn advise(
        &mut self,
        _fd: Resource<Descriptor>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> FsResult<()> {
        Ok(())
    }

    fn append_via_stream(&mut self, _: Resource<Descriptor>) -> FsResult<Resource<OutputStream>> {
        Err(ErrorCode::Unsupported.into())
    }

    fn read_via_stream(
        &mut self,
        _: Resource<Descriptor>,
        _: Filesize,
    ) -> FsResult<Resource<InputStream>> {
        Err(ErrorCode::Unsupported.into())
    }

    fn write_via_stream(
        &mut self,
        _: Resource<Descriptor>,
        _: Filesize,
    ) -> FsResult<Resource<OutputStream>> {
        Err(ErrorCode::Unsupported.into())
    }

    fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let place = self.place(&fd, &path, PathFlags::empty())?;
        self.change(|nodes, now| {
            let empty = Kind::Folder(Folder::default());
            nodes
                .create(place.folder, &place.name, empty, now)
                .map(drop)
        })
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        Ok(self.open(&fd).map_err(FsError::trap)?.flags)
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        let ino = self.ino(&fd)?;
        Ok(type_of(&self.disk.nodes().get(ino).kind))
    }

    fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        Ok(self.open(&one)?.ino == self.open(&other)?.ino)
    }

    fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        if flags.contains(PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        let old = self.place(&fd, &old, flags)?.found()?;
        let new = self.place(&to, &new, flags)?;
        self.change(|nodes, now| nodes.link(old, new.folder, &new.name, now))
    }

    fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        Ok(hash_of(self.ino(&fd)?))
    }

    fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        Ok(hash_of(self.place(&fd, &path, flags)?.found()?))
    }

    fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let writes = DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY;
        let changes = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        if open_flags.intersects(changes) || flags.contains(DescriptorFlags::WRITE) {
            self.check_may_write()?;
        }
        let place = self.place(&fd, &path, path_flags)?;
        let ino = match place.node {
            Some(_) if open_flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) => {
                return Err(ErrorCode::Exist.into());
            }
            Some(ino) => ino,
            None if open_flags.contains(OpenFlags::CREATE) => self.change(|nodes, now| {
                let empty = Kind::File(File::default());
                nodes.create(place.folder, &place.name, empty, now)
            })?,
            None => return Err(ErrorCode::NoEntry.into()),
        };
        let type_ = type_of(&self.disk.nodes().get(ino).kind);
        let allowed = match type_ {
            DescriptorType::RegularFile if open_flags.contains(OpenFlags::DIRECTORY) => {
                return Err(ErrorCode::NotDirectory.into());
            }
            DescriptorType::RegularFile => DescriptorFlags::READ | DescriptorFlags::WRITE,
            DescriptorType::Directory if flags.contains(DescriptorFlags::WRITE) => {
                return Err(ErrorCode::IsDirectory.into());
            }
            DescriptorType::Directory => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            _ => return Err(ErrorCode::Loop.into()),
        };
        if open_flags.contains(OpenFlags::TRUNCATE) {
            self.change(|nodes, now| nodes.set_size(ino, 0, now))?;
        }
        let mut flags = flags & allowed;
        if self.access.write_not_permitted() {
            flags &= !writes;
        }
        let opened = self
            .table
            .push(Open { ino, flags })
            .map_err(FsError::trap)?;
        Ok(Resource::new_own(opened.rep()))
    }

    fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let ino = self.opened_for(&fd, DescriptorFlags::READ)?;
        let nodes = self.disk.nodes();
        let bytes = &nodes.file(ino)?.seen;
        let start = offset.min(bytes.len() as u64) as usize;
        let rest = &bytes[start..];
        let read = &rest[..length.min(READ_AT_MOST).min(rest.len() as u64) as usize];
        Ok((read.to_vec(), read.is_empty()))
    }

    fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let folder = self.ino(&fd)?;
        self.disk.nodes().folder(folder)?;
        let listing = Listing::new(folder, self.disk.random().next_u64());
        let listing = self.table.push(listing).map_err(FsError::trap)?;
        Ok(Resource::new_own(listing.rep()))
    }

    fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let ino = self.place(&fd, &path, PathFlags::empty())?.found()?;
        match &self.disk.nodes().get(ino).kind {
            Kind::Link(to) => Ok(to.clone()),
            Kind::File(_) | Kind::Folder(_) => Err(ErrorCode::Invalid.into()),
        }
    }

    fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let place = self.place(&fd, &path, PathFlags::empty())?;
        if place.name == "." {
            return Err(ErrorCode::Invalid.into());
        }
        self.change(|nodes, now| nodes.remove_folder(place.folder, &place.name, now))
    }

    fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        let old = self.place(&fd, &old, PathFlags::empty())?;
        let new = self.place(&to, &new, PathFlags::empty())?;
        if old.name == "." || new.name == "." {
            return Err(ErrorCode::Busy.into());
        }
        // The model has no power cuts in a rename between folders; so they are like two file
        // systems.
        if old.folder != new.folder {
            return Err(ErrorCode::CrossDevice.into());
        }
        self.change(|nodes, now| nodes.rename(old.folder, &old.name, &new.name, now))
    }

    fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let ino = self.opened_for(&fd, DescriptorFlags::WRITE)?;
        let size = within_limits(size)?;
        self.change(|nodes, now| nodes.set_size(ino, size, now))
    }

    fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        _accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let ino = self.ino(&fd)?;
        self.set_times_of(ino, modified)
    }

    fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        _accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let ino = self.place(&fd, &path, flags)?.found()?;
        self.set_times_of(ino, modified)
    }

    fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let ino = self.ino(&fd)?;
        Ok(self.stat_of(ino))
    }

    fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let ino = self.place(&fd, &path, flags)?.found()?;
        Ok(self.stat_of(ino))
    }

    fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        if target.starts_with('/') {
            return Err(ErrorCode::NotPermitted.into());
        }
        let place = self.place(&fd, &path, PathFlags::empty())?;
        self.change(|nodes, now| {
            let link = Kind::Link(target);
            nodes.create(place.folder, &place.name, link, now).map(drop)
        })
    }

    fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let ino = self.ino(&fd)?;
        self.disk.nodes().sync(ino);
        Ok(())
    }

    fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.sync(fd)
    }

    fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let place = self.place(&fd, &path, PathFlags::empty())?;
        if place.name == "." {
            return Err(ErrorCode::IsDirectory.into());
        }
        self.change(|nodes, now| nodes.unlink(place.folder, &place.name, now))
    }

    fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        let ino = self.opened_for(&fd, DescriptorFlags::WRITE)?;
        within_limits(offset.saturating_add(bytes.len() as u64))?;
        let start = within_limits(offset)?;
        self.change(|nodes, now| nodes.write(ino, &bytes, start, now))?;
        Ok(bytes.len() as u64)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Open>::new_own(fd.rep()))?;
        Ok(())
    }
}

impl HostDirectoryEntryStream for SimFilesystem<'_> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let listing = Resource::<Listing>::new_borrow(stream.rep());
        let listing = self.table.get_mut(&listing).map_err(FsError::trap)?;
        Ok(listing.next(&self.disk.nodes())?)
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table
            .delete(Resource::<Listing>::new_own(stream.rep()))?;
        Ok(())
    }
}
