//! Compares Larder with other stores, which take turns in one run: see `docs/performance.md`.

mod cases;
mod contestant;
mod data;
mod goals;
mod larder;
mod peers;
mod place;
mod process;
mod result;
mod results;
mod stats;
mod tables;

use std::fs;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use cases::{apply, changes, layer, start, store, stream};
use data::{Data, Kind};
use place::{FOLDER, Place};
use process::Machine;
use result::Result;
use results::{Results, Rows};
use tables::{Table, markdown};

/// The allocator of the command `larder`, for all contestants in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares Larder with other stores.
///
/// A run replaces the rows of its cases in results.json, and prints tables of all rows in that
/// file. Remove the file to measure everything again.
#[derive(Parser)]
struct Options {
    /// A folder on a real disk
    #[arg(long, default_value = FOLDER, hide_default_value = true)]
    dir: PathBuf,
    /// A folder in memory
    #[arg(long, default_value = "/dev/shm")]
    tmpfs: PathBuf,
    /// The turns of each contestant; half as many with much data
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Measure only this case; may be given several times
    #[arg(long, value_name = "CASE")]
    only: Vec<Case>,
    /// Three rounds, and no case that takes minutes
    #[arg(long)]
    quick: bool,
    /// Make the 100,000 single changes on the real disk
    #[arg(long)]
    real: bool,
    /// The folder of results.json
    #[arg(long, default_value = FOLDER, hide_default_value = true)]
    out: PathBuf,
    /// Write the tables into docs/performance.md
    #[arg(long)]
    write_docs: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Subcommand)]
enum Child {
    /// Measures its own process, for the parent process
    #[command(hide = true)]
    Stream(stream::Child),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// 100,000 entries of 100 bytes
    Small,
    /// 1,000,000 entries of 100 bytes
    Million,
    /// 10,000 entries of 10 KB
    Medium,
    /// 100 entries of 10 MB
    Large,
    /// 100,000 entries of all sizes
    Mixture,
    /// Single changes, compared with two fsyncs
    Apply,
    /// 100,000 single changes
    Changes,
    /// 10,000,000 entries, of which only a few are in memory at a time
    Stream,
    /// From a compiled component to the first entries
    Start,
    /// The cache layer
    Layer,
}

impl Case {
    /// Whether it takes minutes.
    fn is_slow(self) -> bool {
        matches!(
            self,
            Self::Million | Self::Large | Self::Changes | Self::Stream
        )
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(Child::Stream(child)) = options.child {
        return child.run();
    }
    fs::create_dir_all(&options.dir)?;
    fs::create_dir_all(&options.out)?;
    let places = [
        Place::new("disk", &options.dir)?,
        Place::new("tmpfs", &options.tmpfs)?,
    ];
    let storage = |place: &Place| (place.name.to_owned(), place.storage.clone());
    let machine = Machine::this(places.iter().map(storage).collect())?;
    let file = options.out.join("results.json");
    let mut results = Results::read(machine, &file)?;
    measure(&options, &places, &mut results)?;
    results.write(&file)?;

    let tables = tables(&results)?;
    for table in &tables {
        println!("\n## {}\n\n{}", table.name, table.text);
    }
    if options.write_docs {
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        tables::write(&repository.join("docs/performance.md"), &tables)?;
    }
    Ok(())
}

fn tables(results: &Results) -> Result<Vec<Table>> {
    let named = |name: &str, text| Table {
        name: name.into(),
        text,
    };
    let settings = store::contestants().into_iter();
    let settings = settings.map(|one| vec![one.name().into(), one.settings().into()]);
    let settings = markdown(&["contestant", "settings"], &settings.collect::<Vec<_>>());
    let goals = markdown(&goals::HEAD, &goals::lines(&results.rows)?);
    let mut tables = vec![
        named("machine", format!("{}.\n", results.machine)),
        named("settings", settings),
    ];
    tables.extend(tables::tables(&results.rows));
    tables.push(named("goals", goals));
    Ok(tables)
}

fn measure(options: &Options, places: &[Place], results: &mut Results) -> Result<()> {
    let is_wanted = |case: Case| match options.only.as_slice() {
        [] => !(options.quick && case.is_slow()),
        only => only.contains(&case),
    };
    let rounds = match options.quick {
        true => 3,
        false => usize::from(options.rounds),
    };

    let mut component = Rows::new("component", "");
    let size = larder_components::DISK.len() as f64 / 1024.0;
    component.add("the disk component", "", "size, KiB", [size]);
    results.put(component);

    for (case, kind) in [
        (Case::Small, Kind::Small),
        (Case::Medium, Kind::Medium),
        (Case::Mixture, Kind::Mixture),
        (Case::Million, Kind::Million),
        (Case::Large, Kind::Large),
    ] {
        if is_wanted(case) {
            let data = Data::new(kind);
            let rounds = match case.is_slow() {
                true => rounds.div_ceil(2),
                false => rounds,
            };
            for place in places {
                results.put(store::run(place, kind, &data, rounds)?);
            }
        }
    }
    if is_wanted(Case::Apply) || is_wanted(Case::Changes) {
        let data = Data::new(Kind::Million);
        for place in places {
            if is_wanted(Case::Apply) {
                results.put(apply::run(place, &data, 50 * rounds)?);
            }
            let is_real = place.name == "disk";
            if is_wanted(Case::Changes) && is_real == options.real {
                results.put(changes::run(place, &data, 100_000)?);
            }
        }
    }
    for place in places {
        if is_wanted(Case::Stream) {
            results.put(stream::run(place, rounds.div_ceil(4))?);
        }
        if is_wanted(Case::Start) && place.name == "disk" {
            results.put(start::run(place, 50 * rounds)?);
        }
        if is_wanted(Case::Layer) {
            results.put(layer::run(place, 3 * rounds)?);
        }
    }
    Ok(())
}
