//! `larder verify`: checks every byte of caches.

use indicatif::{BinaryBytes, HumanCount};
use larder_host::Report;
use serde_json::json;

use crate::options::Options;
use crate::output::{self, Failure, Output};

/// Check every byte of caches, and show all damage
///
/// If any byte is damaged, the exit code is 1. `larder load` still gives the intact entries.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder verify sessions pages
  larder verify                    all caches")]
pub struct Args {
    /// The names of the caches; without a name, all caches
    #[arg(value_name = "CACHE")]
    caches: Vec<String>,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let storage = options
        .existing()
        .map_err(|why| options.failure("verify", None, why))?;
    let caches = match args.caches.is_empty() {
        true => storage
            .backend
            .list()
            .map_err(|error| options.explain(&error))?,
        false => args.caches.clone(),
    };
    let mut reports = Vec::with_capacity(caches.len());
    for cache in output::counting("verifying caches", caches.len() as u64).wrap_iter(caches.iter())
    {
        match storage.backend.verify(cache) {
            Ok(report) => reports.push((cache, report)),
            Err(error) => output.failed(options.explain(&error)),
        }
    }
    match output.json {
        true => for_programs(&reports, output)?,
        false => for_people(&reports, output)?,
    }
    for (cache, report) in reports {
        if !report.damage.is_empty() {
            output.failed(options.failure("verify", Some(cache), state(&report)));
        }
    }
    Ok(())
}

fn for_programs(reports: &[(&String, Report)], output: &mut Output) -> Result<(), Failure> {
    for (cache, report) in reports {
        let damage = report.damage.iter().map(|damage| {
            json!({
                "file": damage.file, "part": damage.part.to_string(), "offset": damage.offset,
                "length": damage.length, "entries": damage.entries,
            })
        });
        output.object(&json!({
            "cache": cache, "files": report.files, "blocks": report.blocks, "bytes": report.bytes,
            "whole": report.damage.is_empty(), "damage": damage.collect::<Vec<_>>(),
        }))?;
    }
    Ok(())
}

fn for_people(reports: &[(&String, Report)], output: &mut Output) -> Result<(), Failure> {
    output.table(
        ["cache", ">files", ">blocks", ">bytes", "state"],
        reports.iter().map(|(cache, report)| {
            [
                cache.to_string(),
                HumanCount(report.files).to_string(),
                HumanCount(report.blocks).to_string(),
                BinaryBytes(report.bytes).to_string(),
                state(report),
            ]
        }),
    )?;
    let damage: Vec<_> = reports
        .iter()
        .flat_map(|(_, report)| &report.damage)
        .collect();
    if damage.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.table(
        ["damaged file", "part", ">offset", ">length", ">entries"],
        damage.into_iter().map(|damage| {
            [
                damage.file.clone(),
                damage.part.to_string(),
                damage.offset.to_string(),
                damage.length.to_string(),
                HumanCount(damage.entries).to_string(),
            ]
        }),
    )
}

fn state(report: &Report) -> String {
    match (report.files, report.damage.as_slice()) {
        (0, []) => "nothing stored".into(),
        (_, []) => "whole".into(),
        (_, damage) => {
            let entries: u64 = damage.iter().map(|damage| damage.entries).sum();
            let places = output::count(damage.len() as u64, "place", "places");
            format!(
                "{places} damaged, with {}",
                output::count(entries, "entry", "entries")
            )
        }
    }
}
