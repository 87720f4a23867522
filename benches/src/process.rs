//! Facts that Linux tells about this process and about the machine.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;

/// The number of bytes that this process has given the operating system to write.
pub fn written() -> Result<u64> {
    number("/proc/self/io", "wchar:")
}

/// The processor time of this thread.
pub fn computing() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text
        .split_whitespace()
        .next()
        .ok_or("no times of the thread")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// The memory of this process, in bytes.
pub fn memory() -> Result<u64> {
    Ok(number("/proc/self/status", "VmRSS:")? * 1024)
}

/// The most memory that this process has had, in bytes.
pub fn peak_memory() -> Result<u64> {
    Ok(number("/proc/self/status", "VmHWM:")? * 1024)
}

fn number(file: &str, field: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let value = value.and_then(|value| value.split_whitespace().next());
    Ok(value
        .ok_or_else(|| format!("{file} has no {field}"))?
        .parse()?)
}

/// The machine and its storage, on which the figures depend.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    /// Names, and the kinds of storage there.
    pub places: Vec<(String, String)>,
}

impl Machine {
    /// The machine that this process runs on.
    pub fn this(places: Vec<(String, String)>) -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let name = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            processor: name
                .map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']))
                .into(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: number("/proc/meminfo", "MemTotal:")?.div_ceil(1 << 20),
            // The rest of the name says who built it.
            kernel: kernel
                .split(['-', '+', '\n'])
                .next()
                .unwrap_or_default()
                .into(),
            places,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores of {}, {} GiB of memory, Linux {}",
            self.cores, self.processor, self.memory_gib, self.kernel
        )?;
        let mut places = self.places.iter();
        places.try_for_each(|(name, storage)| write!(f, "; {name}: {storage}"))
    }
}

/// The file system of a folder, and the kind of its device.
pub fn storage(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
        .filter(|(_, point, _)| folder.starts_with(point))
        .max_by_key(|(_, point, _)| point.len());
    let (device, _, kind) = mount.ok_or("no mount point")?;
    let Some(device) = device.strip_prefix("/dev/") else {
        return Ok(kind.into());
    };
    let disk = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let rotates = fs::read_to_string(format!("/sys/block/{disk}/queue/rotational"));
    let medium = match (disk.starts_with("vd"), rotates.as_deref().map(str::trim)) {
        (true, _) => "a virtual disk",
        (_, Ok("0")) => "a solid-state disk",
        (_, Ok("1")) => "a hard disk",
        _ => "a disk",
    };
    Ok(format!("{kind} on {medium}"))
}
