//! `larder components`: the built components as files.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::output::{Failure, Output};

/// Write the built components to a folder
///
/// Each becomes a file, such as larder-disk.wasm, for wasmtime, wac or a host in any language. A file
/// of that name is replaced.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  larder components --out wasm
  wac plug my-app.wasm --plug wasm/larder-cache.wasm -o app-and-cache.wasm")]
pub struct Args {
    /// The folder, which is created if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let failed =
        |what: &PathBuf, why| Failure::Said(format!("components: {}: {why}", what.display()));
    fs::create_dir_all(&args.out).map_err(|error| failed(&args.out, error))?;
    for component in larder_components::ALL {
        let file = args.out.join(component.file_name());
        fs::write(&file, component.bytes).map_err(|error| failed(&file, error))?;
        let bytes = component.bytes.len();
        match output.json {
            true => {
                output.object(&json!({"operation": "components", "file": file, "bytes": bytes}))?
            }
            false => output.line(format!("{}: {bytes} bytes", file.display()))?,
        }
    }
    Ok(())
}
