//! Shortages: the process has no address space or no file descriptors left.

use std::io;

/// How many file descriptors the process has to have left, so that a failure is not put down to
/// their number. A component in a call has a few more open than after it.
#[cfg(unix)]
const DESCRIPTORS: usize = 8;

/// The reason for the error, if the operating system refused address space or a descriptor.
pub(crate) fn behind(error: &wasmtime::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let code = code(cause)?;
        let what = if code.kind() == io::ErrorKind::OutOfMemory {
            "address space"
        } else if is_of_descriptors(&code) {
            "file descriptors"
        } else {
            return None;
        };
        Some(format!("the process has no {what} left: {code}"))
    })
}

/// The error of the operating system that a cause holds.
fn code(cause: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    #[cfg(unix)]
    if let Some(code) = cause.downcast_ref::<rustix::io::Errno>() {
        return Some((*code).into());
    }
    let error = cause.downcast_ref::<io::Error>()?;
    error.raw_os_error().map(io::Error::from_raw_os_error)
}

/// Fails if the process has fewer file descriptors left than a call may need.
#[cfg(unix)]
pub(crate) fn of_descriptors() -> io::Result<()> {
    let opened = [(); DESCRIPTORS].map(|()| std::fs::File::open("/"));
    let mut refused = opened.into_iter().filter_map(Result::err);
    refused.find(is_of_descriptors).map_or(Ok(()), Err)
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(crate) fn of_descriptors() -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn is_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = Errno::from_io_error(error);
    code.is_some_and(|code| [Errno::MFILE, Errno::NFILE].contains(&code))
}

#[cfg(not(unix))]
fn is_of_descriptors(_: &io::Error) -> bool {
    false
}
