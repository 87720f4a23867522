//! A file system that fails, stutters or is overtaken exactly where a test says.
//!
//! It stands at the host-call boundary: a component calls `wasi:filesystem`, and every call passes
//! [`Faults`] before wasmtime-wasi's own implementation, or the simulated one, does the work.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
pub use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode as SyncErrorCode, Filesize, Host, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sync::io::streams::{
    Error as StreamError, InputStream, OutputStream,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use crate::Error;
use crate::schedule::Turn;
use crate::sim::{SimDisk, SimFilesystem};

/// No operation needs more calls than this: one that makes more is taken to loop, and trapped.
const CALLS_AT_MOST: usize = 200_000;

/// The functions of `wasi:filesystem` that can fail. `open-at` counts as [`Call::Create`] where it may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `advise`
    Advise,
    /// `append-via-stream`; what is then written to the stream passes unseen.
    AppendViaStream,
    /// `open-at` with the flag `create`
    Create,
    /// `create-directory-at`
    CreateDirectory,
    /// `get-flags`
    GetFlags,
    /// `get-type`
    GetType,
    /// `link-at`; its path is the new one.
    Link,
    /// `read-directory`
    List,
    /// `metadata-hash`
    MetadataHash,
    /// `metadata-hash-at`
    MetadataHashAt,
    /// `read-directory-entry`
    NextEntry,
    /// `open-at` without the flag `create`
    Open,
    /// `read`
    Read,
    /// `readlink-at`
    ReadLink,
    /// `read-via-stream`; what is then read from the stream passes unseen.
    ReadViaStream,
    /// `remove-directory-at`
    RemoveDirectory,
    /// `rename-at`; its path is the new one.
    Rename,
    /// `set-size`
    SetSize,
    /// `set-times`
    SetTimes,
    /// `set-times-at`
    SetTimesAt,
    /// `stat`
    Stat,
    /// `stat-at`
    StatAt,
    /// `symlink-at`; its path is the new one.
    Symlink,
    /// `sync`; nothing waits for the disk.
    Sync,
    /// `sync-data`; nothing waits for the disk.
    SyncData,
    /// `unlink-file-at`
    Unlink,
    /// `write`
    Write,
    /// `write-via-stream`; what is then written to the stream passes unseen.
    WriteViaStream,
}

impl Call {
    /// It makes or removes a name in a folder.
    fn changes_names(self) -> bool {
        use Call::{Create, CreateDirectory, Link, RemoveDirectory, Rename, Symlink, Unlink};
        matches!(
            self,
            Create | CreateDirectory | Link | RemoveDirectory | Rename | Symlink | Unlink
        )
    }
}

/// Which calls a fault is for.
#[derive(Clone, Debug)]
pub struct When {
    call: Option<Call>,
    except: Option<Call>,
    ending: &'static str,
    /// Which of these, counted from 1.
    counts: RangeInclusive<u64>,
}

impl When {
    /// Calls of any function.
    pub fn any() -> When {
        When {
            call: None,
            except: None,
            ending: "",
            counts: 1..=u64::MAX,
        }
    }

    /// Calls of one function.
    pub fn call(call: Call) -> When {
        When {
            call: Some(call),
            ..When::any()
        }
    }

    /// Of these, the ones that are not of this function.
    pub fn except(self, call: Call) -> When {
        When {
            except: Some(call),
            ..self
        }
    }

    /// Of these, the ones for a file or folder whose path ends like this.
    pub fn ending(self, ending: &'static str) -> When {
        When { ending, ..self }
    }

    /// Of these, the nth from now on and no other, counted from 1.
    pub fn nth(self, nth: u64) -> When {
        When {
            counts: nth..=nth,
            ..self
        }
    }

    /// Of these, the nth from now on and all that come after it, counted from 1.
    pub fn from_nth(self, nth: u64) -> When {
        When {
            counts: nth..=u64::MAX,
            ..self
        }
    }

    fn selects(&self, call: Call, path: &str) -> bool {
        self.call.is_none_or(|wanted| wanted == call)
            && self.except != Some(call)
            && path.ends_with(self.ending)
    }
}

/// The faults of one instance's file system, none at first, and a record of the calls that it gets. Clones are
/// the same faults.
#[derive(Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    /// Where the instance has a number in the run of a simulated disk.
    run: Option<(SimDisk, usize)>,
}

#[derive(Default)]
struct Plan {
    faults: Vec<Fault>,
    fired: u64,
    /// The paths of the open descriptors and directory streams, by handle.
    paths: HashMap<u32, String>,
    calls: Vec<Made>,
    turn: Option<Turn>,
}

struct Fault {
    when: When,
    seen: u64,
    effect: Effect,
}

enum Effect {
    Fail(ErrorCode),
    /// Reads and writes do half of what was asked of them.
    Short,
    /// Nothing is done any more.
    Kill,
    /// Done once and taken out.
    Before(Option<Box<dyn FnOnce() + Send>>),
}

/// An instance was stopped, as [`Faults::kill`] planned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("killed")
    }
}

impl std::error::Error for Killed {}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The function.
    pub call: Call,
    /// The file or folder, by its path from the preopened folder.
    pub path: String,
    /// What a fault did to it, where one did.
    pub fault: Option<&'static str>,
}

impl Faults {
    /// None yet, for another instance on a simulated disk, which keeps a record of its own.
    pub(crate) fn on(disk: &SimDisk) -> Faults {
        Faults {
            run: Some((disk.clone(), disk.next_instance())),
            ..Faults::default()
        }
    }

    /// Fails these calls with this code; they do nothing else.
    pub fn fail(&self, when: When, code: ErrorCode) {
        self.add(when, Effect::Fail(code));
    }

    /// Makes these reads and writes do half of what is asked of them, and say so. Other calls, and reads and
    /// writes of a single byte, are done as always.
    pub fn shorten(&self, when: When) {
        self.add(when, Effect::Short);
    }

    /// Does this right before the first of these calls goes to the file system.
    pub fn before(&self, when: When, action: impl FnOnce() + Send + 'static) {
        self.add(when, Effect::Before(Some(Box::new(action))));
    }

    /// Stops the instance right before these calls, as if its process was killed.
    pub fn kill(&self, when: When) {
        self.add(when, Effect::Kill);
    }

    /// Makes every call wait for the turn of this instance, from now on.
    pub(crate) fn take_turns(&self, turn: Turn) {
        self.plan().turn = Some(turn);
    }

    /// Forgets all faults: the file system is sound again.
    pub fn clear(&self) {
        self.plan().faults.clear();
    }

    /// How often a fault had its effect so far.
    pub fn fired(&self) -> u64 {
        self.plan().fired
    }

    /// The calls that the last operation of the instance made, in order.
    pub fn calls(&self) -> Vec<Made> {
        self.plan().calls.clone()
    }

    /// Starts the record again, for another operation.
    pub(crate) fn start_record(&self, operation: &str, cache: &str) {
        self.plan().calls.clear();
        self.note(|| format!("{operation} {cache:?}"));
    }

    /// An operation returned.
    pub(crate) fn end_record(&self, operation: &str, error: Option<&Error>) {
        self.note(|| match error {
            Some(error) => format!("{operation} failed: {error:?}"),
            None => format!("{operation} returned"),
        });
    }

    /// Notes something in the run of a simulated disk.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if let Some((disk, instance)) = &self.run {
            disk.run().operation(*instance, what());
        }
    }

    fn add(&self, when: When, effect: Effect) {
        self.plan().faults.push(Fault {
            when,
            seen: 0,
            effect,
        });
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan
            .lock()
            .expect("no test panics while it plans faults")
    }

    /// What a call has to pass: fails where the plan says so, and says whether it is to be cut short.
    fn pass(&self, call: Call, path: &str) -> FsResult<bool> {
        let turn = self.plan().turn.clone();
        let dead = turn.is_some_and(|turn| turn.wait(call.changes_names()).is_err());
        let mut plan = self.plan();
        if plan.calls.len() >= CALLS_AT_MOST {
            return Err(FsError::trap(wasmtime::Error::msg(
                "one operation made so many file system calls that it must be in a loop",
            )));
        }
        let (mut failure, mut short, mut killed, mut action) = (None, false, dead, None);
        for fault in &mut plan.faults {
            if !fault.when.selects(call, path) {
                continue;
            }
            fault.seen += 1;
            if !fault.when.counts.contains(&fault.seen) {
                continue;
            }
            match &mut fault.effect {
                Effect::Fail(code) => failure = Some(*code),
                Effect::Short => short = matches!(call, Call::Read | Call::Write),
                Effect::Kill => killed = true,
                Effect::Before(planned) => action = planned.take().or(action),
            }
        }
        let fault = match (&failure, &action) {
            _ if killed => Some("killed"),
            (Some(code), _) => Some(code.name()),
            _ if short => Some("cut short"),
            (_, Some(_)) => Some("overtaken"),
            _ => None,
        };
        plan.fired += u64::from(fault.is_some());
        let path = path.to_owned();
        plan.calls.push(Made { call, path, fault });
        // The action may well use this file system, through other instances.
        drop(plan);
        if let Some(action) = action {
            action();
        }
        match failure {
            _ if killed => Err(FsError::trap(Killed)),
            Some(code) => Err(code.into()),
            None => Ok(short),
        }
    }

    /// What came of a call, for the run of a simulated disk.
    fn came_of<T>(&self, call: Call, path: String, outcome: &FsResult<T>) {
        let Some((disk, instance)) = &self.run else {
            return;
        };
        let outcome = match outcome {
            Ok(_) => "done",
            Err(error) => error.downcast_ref().map_or("stopped", ErrorCode::name),
        };
        disk.run().call(*instance, call, path, outcome);
    }

    /// The path of an open descriptor or directory stream, and of what is below it; of a preopened folder nothing.
    fn path(&self, handle: u32, below: Option<&str>) -> String {
        let plan = self.plan();
        let path = plan.paths.get(&handle).map_or("", String::as_str);
        match below {
            Some(below) if path.is_empty() => below.to_owned(),
            Some(below) => format!("{path}/{below}"),
            None => path.to_owned(),
        }
    }

    fn opened(&self, handle: u32, path: String) {
        self.plan().paths.insert(handle, path);
    }

    fn closed(&self, handle: u32) {
        self.plan().paths.remove(&handle);
    }
}

/// The calls that the last operation made, one a line; on a simulated disk, all that happened there.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((disk, _)) = &self.run {
            return disk.run().fmt(f);
        }
        let plan = self.plan();
        for (n, made) in (1..).zip(&plan.calls) {
            let fault = made.fault.unwrap_or("done");
            writeln!(f, "{n:>4} {:?} {:?} {fault}", made.call, made.path)?;
        }
        Ok(())
    }
}

/// A file system that can have [`Faults`] in front of it.
pub(crate) trait FileSystem: Host {
    /// Whether it can tell what is synced from what is not. A real one cannot, as no test cuts its power, so none
    /// has to wait for its disk: syncs pass the faults, and that is all.
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

/// Tells a linker that its host's file system is this one, with [`Faults`] in front of it.
pub(crate) struct HasFaulty<F>(PhantomData<F>);

impl<F: HasData> HasData for HasFaulty<F> {
    type Data<'a> = FaultyFilesystem<F::Data<'a>>;
}

impl<F: FileSystem> FaultyFilesystem<F> {
    /// Does a call, unless a fault does something else. The work is told whether it is to be cut short.
    fn call<T>(
        &mut self,
        call: Call,
        path: String,
        work: impl FnOnce(&mut F, bool) -> FsResult<T>,
    ) -> FsResult<T> {
        let passed = self.faults.pass(call, &path);
        let outcome = passed.and_then(|short| work(&mut self.inner, short));
        self.faults.came_of(call, path, &outcome);
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

/// Methods that are done under the path of their descriptor and of what is below it.
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
        MetadataHashAt: metadata_hash_at(flags: PathFlags, path: String) below path -> MetadataHashValue;
        ReadLink: readlink_at(path: String) below path -> String;
        ReadViaStream: read_via_stream(offset: Filesize) -> Resource<InputStream>;
        RemoveDirectory: remove_directory_at(path: String) below path -> ();
        SetSize: set_size(size: Filesize) -> ();
        SetTimes: set_times(accessed: NewTimestamp, modified: NewTimestamp) -> ();
        SetTimesAt: set_times_at(flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp) below path -> ();
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
