//! The Python module that Larder re-imagines: one dict, pickled into one file.

use std::path::Path;
use std::time::Duration;

use super::python::Python;
use crate::Result;
use crate::contestant::Contestant;
use crate::data::Data;

#[derive(Default)]
pub struct CacheBackend(Option<Python>);

impl CacheBackend {
    fn turn(&mut self, work: &str, folder: &Path) -> Result<Duration> {
        let python = self.0.as_mut().ok_or("the contestant was not prepared")?;
        python.turn(work, folder)
    }
}

impl Contestant for CacheBackend {
    fn name(&self) -> &'static str {
        "the Python module"
    }

    fn settings(&self) -> &'static str {
        "`DiskBackend` of `cache_backend.py`: a dict of the entries, pickled; does not sync at all"
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        let python = Python::start("python3".as_ref(), "cache_backend", data)?;
        self.0 = Some(python);
        Ok(())
    }

    fn persist(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        self.turn("persist", folder)
    }

    fn load(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        self.turn("load", folder)
    }
}
