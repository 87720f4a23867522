//! The Python module that Larder re-imagines: one dict, pickled into one file.

use std::path::Path;
use std::time::Duration;

use super::python::Python;
use crate::Result;
use crate::contestant::{Contestant, Role};
use crate::data::Data;

#[derive(Default)]
pub struct Seed(Option<Python>);

impl Seed {
    fn turn(&mut self, what: &str, folder: &Path) -> Result<Duration> {
        let python = self.0.as_mut().ok_or("it was not prepared")?;
        python.turn(what, folder)
    }
}

impl Contestant for Seed {
    fn name(&self) -> &'static str {
        "the seed"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn settings(&self) -> &'static str {
        "`DiskBackend` of the Python module: a dict of the entries, pickled; does not sync at all"
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        self.0 = Some(Python::start("python3".as_ref(), "seed", data)?);
        Ok(())
    }

    fn persist(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        self.turn("persist", folder)
    }

    fn load(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        self.turn("load", folder)
    }
}
