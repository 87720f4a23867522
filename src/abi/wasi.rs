//! WASI for the native build, on top of the operating system. It has the types of the bindings, and
//! the functions behave alike: names are single path components, and links are never followed.

/// `wasi:cli`
pub mod cli {
    /// The environment of the process.
    pub mod environment {
        use std::env;

        /// The variables that are UTF-8.
        pub fn get_environment() -> Vec<(String, String)> {
            let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            };
            env::vars_os().filter_map(text).collect()
        }
    }
}

/// `wasi:clocks`
pub mod clocks {
    /// Instants for deadlines.
    pub mod monotonic_clock {
        use std::sync::LazyLock;
        use std::time::Instant;

        /// Nanoseconds since the first call in this process.
        pub fn now() -> u64 {
            static START: LazyLock<Instant> = LazyLock::new(Instant::now);
            u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
        }
    }

    /// The time of day.
    pub mod wall_clock {
        use std::time::{SystemTime, UNIX_EPOCH};

        pub use crate::abi::bindings::wasi::clocks::wall_clock::Datetime;

        /// The current time. A time before 1970 counts as 1970.
        pub fn now() -> Datetime {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            let since = since.unwrap_or_default();
            Datetime {
                seconds: since.as_secs(),
                nanoseconds: since.subsec_nanos(),
            }
        }
    }
}

/// `wasi:random`
pub mod random {
    /// Unpredictable numbers.
    #[expect(clippy::module_inception, reason = "as in WASI")]
    pub mod random {
        use std::hash::{BuildHasher, RandomState};

        /// The hash of nothing, from a hasher that the system has seeded.
        pub fn get_random_u64() -> u64 {
            RandomState::new().hash_one(())
        }
    }
}

/// `wasi:filesystem`
pub mod filesystem {
    /// The directories that a component is given.
    pub mod preopens {
        use super::types::Descriptor;

        /// None: a native program names its directory itself.
        pub fn get_directories() -> Vec<(Descriptor, String)> {
            Vec::new()
        }
    }

    /// Files and directories.
    pub mod types {
        use std::cell::RefCell;
        use std::fs::File;
        use std::os::unix::fs::FileExt;
        use std::path::Path;

        use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
        use rustix::io::{Errno, Result, pread};

        use super::super::clocks::wall_clock::Datetime;
        pub use crate::abi::bindings::wasi::filesystem::types::{
            DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
            PathFlags,
        };

        type Outcome<T> = std::result::Result<T, ErrorCode>;

        /// An open file or directory.
        pub struct Descriptor(File);

        /// A directory that is being listed.
        pub struct DirectoryEntryStream(RefCell<Dir>);

        impl Descriptor {
            /// Opens a directory at any path.
            pub fn directory(path: &Path) -> Outcome<Descriptor> {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                opened(rustix::fs::open(path, flags, Mode::empty()))
            }

            /// Opens a file or directory in this directory, or creates a file.
            pub fn open_at(
                &self,
                _: PathFlags,
                name: &str,
                how: OpenFlags,
                access: DescriptorFlags,
            ) -> Outcome<Descriptor> {
                let mut flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
                flags |= match access.contains(DescriptorFlags::WRITE) {
                    true => OFlags::RDWR,
                    false => OFlags::RDONLY,
                };
                flags.set(OFlags::DIRECTORY, how.contains(OpenFlags::DIRECTORY));
                flags.set(OFlags::CREATE, how.contains(OpenFlags::CREATE));
                flags.set(OFlags::EXCL, how.contains(OpenFlags::EXCLUSIVE));
                let mode = Mode::from_raw_mode(0o666);
                opened(rustix::fs::openat(&self.0, name, flags, mode))
            }

            /// Lists this directory.
            pub fn read_directory(&self) -> Outcome<DirectoryEntryStream> {
                let dir = Dir::read_from(&self.0).map_err(code)?;
                Ok(DirectoryEntryStream(RefCell::new(dir)))
            }

            /// Creates a directory in this one.
            pub fn create_directory_at(&self, name: &str) -> Outcome<()> {
                let mode = Mode::from_raw_mode(0o777);
                rustix::fs::mkdirat(&self.0, name, mode).map_err(code)
            }

            /// Gives a file a second name.
            pub fn link_at(
                &self,
                _: PathFlags,
                old: &str,
                folder: &Descriptor,
                new: &str,
            ) -> Outcome<()> {
                rustix::fs::linkat(&self.0, old, &folder.0, new, AtFlags::empty()).map_err(code)
            }

            /// Gives a file another name, and replaces the file that has it.
            pub fn rename_at(&self, old: &str, folder: &Descriptor, new: &str) -> Outcome<()> {
                rustix::fs::renameat(&self.0, old, &folder.0, new).map_err(code)
            }

            /// Removes a file.
            pub fn unlink_file_at(&self, name: &str) -> Outcome<()> {
                rustix::fs::unlinkat(&self.0, name, AtFlags::empty()).map_err(code)
            }

            /// The type, size and times of a name in this directory.
            pub fn stat_at(&self, _: PathFlags, name: &str) -> Outcome<DescriptorStat> {
                stat(rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW))
            }

            /// The type, size and times of this file or directory.
            pub fn stat(&self) -> Outcome<DescriptorStat> {
                stat(rustix::fs::fstat(&self.0))
            }

            /// Reads at most `length` bytes at `offset` and appends them to a buffer that has the
            /// capacity. Returns 0 only at the end of the file.
            pub fn read_into(&self, length: u64, offset: u64, bytes: &mut Vec<u8>) -> Outcome<u64> {
                let room = bytes.spare_capacity_mut();
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let room = room.get_mut(..length).ok_or(ErrorCode::Overflow)?;
                let (read, _) = pread(&self.0, room, offset).map_err(code)?;
                let read = read.len();
                // SAFETY: this many bytes of the spare capacity were read.
                unsafe { bytes.set_len(bytes.len() + read) };
                Ok(read as u64)
            }

            /// Writes at `offset`. Returns how many bytes were written.
            pub fn write(&self, bytes: &[u8], offset: u64) -> Outcome<u64> {
                match self.0.write_at(bytes, offset) {
                    Ok(written) => Ok(written as u64),
                    Err(error) => Err(code_of(&error)),
                }
            }

            /// Makes the content of the file survive a power cut.
            pub fn sync_data(&self) -> Outcome<()> {
                self.0.sync_data().map_err(|error| code_of(&error))
            }

            /// Makes the names in this directory survive a power cut.
            pub fn sync(&self) -> Outcome<()> {
                self.0.sync_all().map_err(|error| code_of(&error))
            }
        }

        impl DirectoryEntryStream {
            /// The next name, in no order. Returns none after the last one.
            pub fn read_directory_entry(&self) -> Outcome<Option<DirectoryEntry>> {
                let mut dir = self.0.borrow_mut();
                loop {
                    let Some(entry) = dir.read() else {
                        return Ok(None);
                    };
                    let entry = entry.map_err(code)?;
                    let name = entry.file_name().to_str();
                    let name = name.map_err(|_| ErrorCode::IllegalByteSequence)?;
                    if name == "." || name == ".." {
                        continue;
                    }
                    let file_type = match entry.file_type() {
                        // Some file systems do not tell the type.
                        FileType::Unknown => {
                            let folder = dir.fd().map_err(code)?;
                            let nofollow = AtFlags::SYMLINK_NOFOLLOW;
                            let stat = rustix::fs::statat(folder, name, nofollow);
                            FileType::from_raw_mode(stat.map_err(code)?.st_mode)
                        }
                        known => known,
                    };
                    return Ok(Some(DirectoryEntry {
                        type_: type_of(file_type),
                        name: name.into(),
                    }));
                }
            }
        }

        fn opened(outcome: Result<std::os::fd::OwnedFd>) -> Outcome<Descriptor> {
            match outcome {
                Ok(descriptor) => Ok(Descriptor(descriptor.into())),
                Err(errno) => Err(code(errno)),
            }
        }

        #[allow(
            clippy::useless_conversion,
            reason = "the type of the link count differs between systems"
        )]
        fn stat(outcome: Result<Stat>) -> Outcome<DescriptorStat> {
            let stat = outcome.map_err(code)?;
            let written = u64::try_from(stat.st_mtime)
                .ok()
                .zip(u32::try_from(stat.st_mtime_nsec).ok());
            let written = written.map(|(seconds, nanoseconds)| Datetime {
                seconds,
                nanoseconds,
            });
            Ok(DescriptorStat {
                type_: type_of(FileType::from_raw_mode(stat.st_mode)),
                size: u64::try_from(stat.st_size).map_err(|_| ErrorCode::Overflow)?,
                data_modification_timestamp: written,
                link_count: stat.st_nlink.into(),
                // The storage does not use these.
                data_access_timestamp: None,
                status_change_timestamp: None,
            })
        }

        fn type_of(file_type: FileType) -> DescriptorType {
            match file_type {
                FileType::RegularFile => DescriptorType::RegularFile,
                FileType::Directory => DescriptorType::Directory,
                FileType::Symlink => DescriptorType::SymbolicLink,
                FileType::Fifo => DescriptorType::Fifo,
                FileType::Socket => DescriptorType::Socket,
                FileType::CharacterDevice => DescriptorType::CharacterDevice,
                FileType::BlockDevice => DescriptorType::BlockDevice,
                FileType::Unknown => DescriptorType::Unknown,
            }
        }

        fn code_of(error: &std::io::Error) -> ErrorCode {
            Errno::from_io_error(error).map_or(ErrorCode::Io, code)
        }

        fn code(errno: Errno) -> ErrorCode {
            match errno {
                Errno::ACCESS => ErrorCode::Access,
                Errno::AGAIN => ErrorCode::WouldBlock,
                Errno::BUSY => ErrorCode::Busy,
                Errno::DQUOT => ErrorCode::Quota,
                Errno::EXIST => ErrorCode::Exist,
                Errno::FBIG => ErrorCode::FileTooLarge,
                Errno::ILSEQ => ErrorCode::IllegalByteSequence,
                Errno::INTR => ErrorCode::Interrupted,
                Errno::INVAL => ErrorCode::Invalid,
                Errno::ISDIR => ErrorCode::IsDirectory,
                Errno::LOOP => ErrorCode::Loop,
                Errno::MLINK => ErrorCode::TooManyLinks,
                Errno::NAMETOOLONG => ErrorCode::NameTooLong,
                Errno::NODEV | Errno::NXIO => ErrorCode::NoDevice,
                Errno::NOENT => ErrorCode::NoEntry,
                Errno::NOMEM => ErrorCode::InsufficientMemory,
                Errno::NOSPC => ErrorCode::InsufficientSpace,
                Errno::NOSYS | Errno::NOTSUP => ErrorCode::Unsupported,
                Errno::NOTDIR => ErrorCode::NotDirectory,
                Errno::OVERFLOW => ErrorCode::Overflow,
                Errno::PERM => ErrorCode::NotPermitted,
                Errno::ROFS => ErrorCode::ReadOnly,
                Errno::TXTBSY => ErrorCode::TextFileBusy,
                // EIO, and errors that files and directories do not cause.
                _ => ErrorCode::Io,
            }
        }
    }
}
