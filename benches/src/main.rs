//! Larder beside other stores, in turns: see `docs/performance.md`.

mod cases;
mod contestant;
mod data;
mod docs;
mod goals;
mod larder;
mod peers;
mod place;
mod plot;
mod process;
mod results;
mod stats;
mod tables;

use std::fs;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use cases::{apply, changes, layer, start, store, stream};
use data::{Data, Kind};
use place::Place;
use process::Machine;
use results::{PlaceKind, Results};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The allocator of the command `larder`, for everyone in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Larder beside other stores.
///
/// A run replaces what it measures in results.json, and makes the tables and plots of all that is
/// there. Remove the file to measure everything anew.
#[derive(Parser)]
struct Options {
    /// A folder on a real disk
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// A folder in memory
    #[arg(long, default_value = "/dev/shm")]
    tmpfs: PathBuf,
    /// How often everyone takes a turn; half as often with much data
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Measure this only; may be given several times
    #[arg(long, value_name = "CASE")]
    only: Vec<Case>,
    /// Three rounds, and nothing that takes minutes
    #[arg(long)]
    quick: bool,
    /// Make the very many changes on the real disk
    #[arg(long)]
    real: bool,
    /// Where results.json and the plots go
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Update the tables in docs/performance.md
    #[arg(long)]
    write_docs: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Subcommand)]
enum Child {
    /// Measures itself, for the parent process
    #[command(hide = true)]
    Stream(stream::Child),
}

/// What can be measured by itself.
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
    /// Single changes beside two fsyncs
    Apply,
    /// 100,000 single changes
    Changes,
    /// 10,000,000 entries that nobody holds
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
    let file = options.out.join("results.json");
    let mut results = nothing(&places)?.with_earlier(&file)?;
    measure(&options, &places, &mut results)?;
    results.goals = goals::goals(&results);
    results.write(&file)?;

    let tables = tables::tables(&results);
    for table in &tables {
        println!("\n## {}\n\n{}", table.name, table.text);
    }
    plot::write(&options.out, &results)?;
    if options.write_docs {
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        docs::write(&repository.join("docs/performance.md"), &tables)?;
    }
    Ok(())
}

fn nothing(places: &[Place]) -> Result<Results> {
    let kind = |place: &Place| PlaceKind {
        name: place.name.into(),
        storage: place.storage.clone(),
    };
    Ok(Results {
        machine: Machine::this()?,
        places: places.iter().map(kind).collect(),
        stores: Vec::new(),
        applies: Vec::new(),
        changes: None,
        streams: Vec::new(),
        start: None,
        layers: Vec::new(),
        component_bytes: larder_host::DISK_COMPONENT.len(),
        goals: Vec::new(),
    })
}

fn measure(options: &Options, places: &[Place], results: &mut Results) -> Result<()> {
    let asked = |case: Case| match options.only.as_slice() {
        [] => !(options.quick && case.is_slow()),
        only => only.contains(&case),
    };
    let rounds = match options.quick {
        true => 3,
        false => usize::from(options.rounds),
    };

    for (case, kind) in [
        (Case::Small, Kind::Small),
        (Case::Medium, Kind::Medium),
        (Case::Mixture, Kind::Mixture),
        (Case::Million, Kind::Million),
        (Case::Large, Kind::Large),
    ] {
        if asked(case) {
            let data = Data::new(kind);
            let rounds = match case.is_slow() {
                true => rounds.div_ceil(2),
                false => rounds,
            };
            for place in places {
                results.put_store(store::run(place, kind, &data, rounds)?);
            }
        }
    }
    if asked(Case::Apply) || asked(Case::Changes) {
        let data = Data::new(Kind::Million);
        for place in places {
            if asked(Case::Apply) {
                results.put_apply(apply::run(place, &data, 50 * rounds)?);
            }
            let is_real = place.name == "disk";
            if asked(Case::Changes) && is_real == options.real {
                results.changes = Some(changes::run(place, &data, 100_000)?);
            }
        }
    }
    for place in places {
        if asked(Case::Stream) {
            results.put_streams(place.name, stream::run(place, rounds.div_ceil(4))?);
        }
        if asked(Case::Start) && place.name == "disk" {
            results.start = Some(start::run(place, 50 * rounds)?);
        }
        if asked(Case::Layer) {
            results.put_layer(layer::run(place, 3 * rounds)?);
        }
    }
    Ok(())
}
