//! [python-diskcache](https://grantjenks.com/docs/diskcache/): SQLite, and files for large values.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::python::Python;
use crate::Result;
use crate::contestant::{Contestant, Sample};
use crate::data::Data;
use crate::place::FOLDER;

const PACKAGE: &str = "diskcache==5.6.3";

/// The most entries for it.
const MOST: usize = 100_000;

#[derive(Default)]
pub struct Diskcache {
    python: Option<Python>,
    sample: Sample,
}

impl Diskcache {
    fn turn(&mut self, work: &str, data: &Data, folder: &Path) -> Result<Duration> {
        let python = self
            .python
            .as_mut()
            .ok_or("the contestant was not prepared")?;
        let (_, times) = self.sample.share(data);
        Ok(python.turn(work, folder)?.mul_f64(times))
    }
}

impl Contestant for Diskcache {
    fn name(&self) -> &'static str {
        "python-diskcache"
    }

    fn settings(&self) -> &'static str {
        "5.6.3, one transaction, WAL, `sqlite_synchronous` 2 (synced; values from 32 KiB are files, \
         which it does not sync), no eviction; loaded key by key in one transaction; of more than \
         100,000 entries only the first 100,000 are stored, and the time is multiplied"
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        self.sample = Sample::of(data, MOST);
        let (data, _) = self.sample.share(data);
        self.python = Some(Python::start(&installed()?, "diskcache", data)?);
        Ok(())
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        self.turn("persist", data, folder)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        self.turn("load", data, folder)
    }
}

/// An interpreter with the package, which is installed first if it is missing.
fn installed() -> Result<PathBuf> {
    let venv = Path::new(FOLDER).join("venv");
    let python = venv.join("bin/python3");
    let version = PACKAGE.trim_start_matches("diskcache==");
    let check = format!("import diskcache, sys; sys.exit(diskcache.__version__ != '{version}')");
    let present = Command::new(&python).args(["-c", &check]).status();
    if !present.is_ok_and(|status| status.success()) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let pip = ["-m", "pip", "install", "--quiet", PACKAGE];
        run(Command::new(&python).args(pip))?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(())
}
