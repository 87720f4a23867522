//! The command line of wasmtime for tests: its commands `run` and `serve`.

use clap::Parser;
use wasmtime_cli::commands::{RunCommand, ServeCommand};

#[derive(Parser)]
#[command(name = "wasmtime")]
enum Wasmtime {
    Run(RunCommand),
    Serve(ServeCommand),
}

fn main() -> wasmtime::Result<()> {
    match Wasmtime::parse() {
        Wasmtime::Run(command) => command.execute(),
        Wasmtime::Serve(command) => command.execute(),
    }
}
