//! `cargo xtask`: what maintainers run that is more than one cargo call.

mod modules;
mod numbers;
mod package;
mod release;
mod wit;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use clap::{Parser, Subcommand};

/// Tasks of maintainers that take more than one cargo call.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    #[command(flatten)]
    One(Verb),
}

#[derive(Subcommand)]
enum Verb {
    /// Print the figures that the structure of the repository is held to, and fail above a limit
    Numbers,
    /// Package every crate of `crates/`, and check the packages outside the workspace
    Package {
        /// Package the tree as it is, with uncommitted changes
        #[arg(long)]
        dry: bool,
        /// Leave the built components in `crates/components/built`, for `cargo publish`
        #[arg(long)]
        keep: bool,
    },
    /// Write all that a release publishes to a folder, with sizes and checksums
    Release {
        /// The folder, which must be empty or new
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Leave out the command's binary, which takes minutes to build
        #[arg(long)]
        dry: bool,
    },
    /// Write the WIT package as one text file and as one binary file
    Wit {
        /// The folder, which is created if it is missing
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let Task::One(verb) = Task::parse();
    let outcome = match verb {
        Verb::Numbers => numbers::print(),
        Verb::Package { dry, keep } => package::check(dry, keep),
        Verb::Release { out, dry } => release::write(&out, dry),
        Verb::Wit { out } => fs::create_dir_all(&out)
            .map_err(about(&out))
            .and_then(|()| wit::write(&out))
            .map(|_| ()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the workspace.
fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The folder that cargo builds in.
fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace().join(target),
        None => workspace().join("target"),
    }
}

/// Refuses to publish components that were not built from this tree, or not as they ship.
fn own_components() -> Outcome {
    let mut names = ["LARDER_COMPONENTS", "LARDER_COVERAGE"].into_iter();
    match names.find(|name| env::var_os(name).is_some()) {
        Some(name) => Err(format!(
            "{name} is set: these components are not to be published"
        )),
        None => Ok(()),
    }
}

/// Runs cargo with these arguments, in this folder.
fn cargo(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    run(cargo.current_dir(folder).args(arguments))
}

fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Says of an error which path it is about.
fn about<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}
