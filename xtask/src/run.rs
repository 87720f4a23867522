//! What all tasks share: the workspace, cargo, and how a failure is told.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The outcome of a task; an error is a sentence for the maintainer.
pub type Outcome<T = ()> = Result<T, String>;

/// The top of the workspace.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The folder that cargo builds in.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace().join(target),
        None => workspace().join("target"),
    }
}

/// Refuses to publish components that were not built from this tree, or not as they ship.
pub fn own_components() -> Outcome {
    let mut names = ["LARDER_COMPONENTS", "LARDER_COVERAGE"].into_iter();
    match names.find(|name| env::var_os(name).is_some()) {
        Some(name) => Err(format!(
            "{name} is set: these components are not to be published"
        )),
        None => Ok(()),
    }
}

/// Runs cargo with these arguments, in this folder.
pub fn cargo(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    run(cargo.current_dir(folder).args(arguments))
}

pub fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Says of an error which path it is about.
pub fn about<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}
