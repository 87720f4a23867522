//! `cargo xtask`: what maintainers run that is more than one cargo call.

mod features;
mod modules;
mod numbers;
mod package;
mod release;
mod run;
mod wit;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use run::about;

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
