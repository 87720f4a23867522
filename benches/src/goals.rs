//! What was to be reached, and what was.

use serde::{Deserialize, Serialize};

use crate::cases::stream::{FEW, MANY};
use crate::contestant::Role;
use crate::data::Kind;
use crate::results::{Results, Row, Store, Stream};
use crate::stats::Times;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// One number to reach, on one place where that matters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    pub work: String,
    pub place: Option<String>,
    pub unit: String,
    pub most: f64,
    pub reached: f64,
    /// What else there is to say.
    pub note: String,
}

impl Goal {
    pub fn is_met(&self) -> bool {
        self.reached <= self.most
    }
}

/// What is timed of a contestant.
#[derive(Clone, Copy)]
enum Work {
    Persist,
    Load,
}

impl Work {
    fn of(self, row: &Row) -> Option<f64> {
        let times: Option<&Times> = match self {
            Self::Persist => row.persist.as_ref(),
            Self::Load => row.load.as_ref(),
        };
        Some(times?.median)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Persist => "save",
            Self::Load => "load",
        }
    }
}

const PLAIN: &str = "Larder, plain list";
const BATCHES: &str = "Larder, batches";
const LIBRARY: &str = "Larder";
const KEPT: &str = "Larder, kept open";
const LIMIT: &str = "the limit";
const NATIVE: &str = "native, batches";
const SEED: &str = "the seed";

/// Contestant, what it does with which data, beside whom, and by how much at most.
const RATIOS: [(&str, Work, Kind, &str, f64); 12] = [
    (PLAIN, Work::Persist, Kind::Small, SEED, 0.5),
    (PLAIN, Work::Load, Kind::Small, SEED, 0.12),
    (KEPT, Work::Persist, Kind::Small, SEED, 0.5),
    (KEPT, Work::Load, Kind::Small, SEED, 0.12),
    (BATCHES, Work::Persist, Kind::Small, LIMIT, 1.5),
    (BATCHES, Work::Persist, Kind::Medium, LIMIT, 1.15),
    (BATCHES, Work::Load, Kind::Small, LIMIT, 1.5),
    (BATCHES, Work::Load, Kind::Medium, LIMIT, 1.2),
    (BATCHES, Work::Persist, Kind::Small, NATIVE, 1.25),
    (BATCHES, Work::Persist, Kind::Medium, NATIVE, 1.25),
    (BATCHES, Work::Load, Kind::Small, NATIVE, 1.25),
    (BATCHES, Work::Load, Kind::Medium, NATIVE, 1.25),
];

/// The goals that the results tell anything of.
pub fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (who, work, kind, beside, most) in RATIOS {
        let stores = results
            .stores
            .iter()
            .filter(|store| store.data == kind.name());
        goals.extend(stores.filter_map(|store| ratio(store, who, work, beside, most)));
    }
    let million = |store: &&Store| store.data == Kind::Million.name();
    for work in [Work::Persist, Work::Load] {
        let stores = results.stores.iter().filter(million);
        goals.extend(stores.filter_map(|store| beside_peers(store, work)));
    }
    single_changes(results, &mut goals);
    streams(results, &mut goals);
    if let Some(start) = &results.start {
        goals.push(Goal {
            work: "instance, and load of 100 entries".into(),
            place: None,
            unit: "ms".into(),
            most: 0.5,
            reached: start.library.median,
            note: format!("{:.3} ms at worst", start.library.max),
        });
    }
    layers(results, &mut goals);
    goals.push(Goal {
        work: "the disk component".into(),
        place: None,
        unit: "KiB".into(),
        most: 220.0,
        reached: results.component_bytes as f64 / KIB,
        note: String::new(),
    });
    goals
}

fn ratio(store: &Store, who: &str, work: Work, beside: &str, most: f64) -> Option<Goal> {
    let time = |name| work.of(store.rows.iter().find(|row| row.name == name)?);
    let (ours, theirs) = (time(who)?, time(beside)?);
    Some(Goal {
        work: format!("{who}: {} {}, beside {beside}", work.name(), store.data),
        place: Some(store.place.clone()),
        unit: "times".into(),
        most,
        reached: ours / theirs,
        note: format!("{ours:.1} ms beside {theirs:.1} ms"),
    })
}

fn beside_peers(store: &Store, work: Work) -> Option<Goal> {
    let ours = work.of(store.rows.iter().find(|row| row.name == LIBRARY)?)?;
    let peers = store.rows.iter().filter(|row| row.role == Role::Peer);
    let (fastest, time) = peers
        .filter_map(|row| Some((&row.name, work.of(row)?)))
        .min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    Some(Goal {
        work: format!(
            "{LIBRARY}: {} {}, beside the fastest peer",
            work.name(),
            store.data
        ),
        place: Some(store.place.clone()),
        unit: "times".into(),
        most: 1.0,
        reached: ours / time,
        note: format!("{ours:.0} ms beside {time:.0} ms of {fastest}"),
    })
}

fn single_changes(results: &Results, goals: &mut Vec<Goal>) {
    // In memory, an fsync costs nothing.
    for apply in results.applies.iter().filter(|apply| apply.place == "disk") {
        for (beside, times) in [
            (
                "two fsyncs of a new 4 KiB file: its own, its folder's",
                &apply.new_file,
            ),
            ("two fsyncs of a 4 KiB file in place", &apply.in_place),
        ] {
            let (ours, theirs) = (apply.apply.median, times.median);
            goals.push(Goal {
                work: format!(
                    "apply of one change to {} entries, beside {beside}",
                    apply.cache
                ),
                place: Some(apply.place.clone()),
                unit: "times".into(),
                most: 3.0,
                reached: ours / theirs,
                note: format!("{ours:.3} ms beside {theirs:.3} ms"),
            });
        }
        goals.push(Goal {
            work: "bytes that it writes".into(),
            place: Some(apply.place.clone()),
            unit: "KiB".into(),
            most: 8.0,
            reached: apply.written_median / KIB,
            note: format!(
                "{:.0} KiB at most, with a fold",
                apply.written_max as f64 / KIB
            ),
        });
    }
    if let Some(changes) = &results.changes {
        let allowed = changes.changed + 200 * changes.calls as u64;
        goals.push(Goal {
            work: format!(
                "{} single changes: bytes written for each (changed + 200)",
                changes.calls
            ),
            place: Some(changes.place.clone()),
            unit: "times".into(),
            most: 8.0,
            reached: changes.written as f64 / allowed as f64,
            note: format!("{:.0} MiB written", changes.written as f64 / MIB),
        });
        let slowest = &changes.slowest;
        goals.push(Goal {
            work: "files at any time between them".into(),
            place: Some(changes.place.clone()),
            unit: "files".into(),
            most: 100.0,
            reached: changes.most_files as f64,
            note: format!(
                "the slowest call, number {}, took {:.1} ms, {:.1} ms of it computing: {} files became \
                 {}, and it wrote {:.0} KiB",
                slowest.number,
                slowest.millis,
                slowest.computing_millis,
                slowest.files_before,
                slowest.files_after,
                slowest.written as f64 / KIB,
            ),
        });
    }
}

fn layers(results: &Results, goals: &mut Vec<Goal>) {
    // In memory, an fsync costs nothing.
    for layer in results.layers.iter().filter(|layer| layer.place == "disk") {
        for (what, times, most) in [
            ("composed: a get that hits", &layer.get, 1.0),
            (
                "through `larder-host`: a get that hits",
                &layer.library_get,
                3.0,
            ),
            ("composed: a set that stays in memory", &layer.set, 2.0),
        ] {
            goals.push(Goal {
                work: format!("cache layer, {what}"),
                place: None,
                unit: "µs".into(),
                most,
                reached: times.median / 1000.0,
                note: String::new(),
            });
        }
        let (flush, fsyncs) = (layer.flush.median, layer.fsyncs.median);
        goals.push(Goal {
            work: "cache layer, composed: flush of 1,000 changes, beside two fsyncs".into(),
            place: Some(layer.place.clone()),
            unit: "times".into(),
            most: 2.0,
            reached: flush / fsyncs,
            note: format!("{flush:.3} ms beside {fsyncs:.3} ms"),
        });
    }
}

fn streams(results: &Results, goals: &mut Vec<Goal>) {
    for many in results
        .streams
        .iter()
        .filter(|stream| stream.entries == MANY)
    {
        let same = |stream: &&Stream| {
            (&stream.place, &stream.through, &stream.what)
                == (&many.place, &many.through, &many.what)
        };
        let mut few = results.streams.iter().filter(same);
        let work = format!("{} of {MANY} entries, {}", many.what, many.through);
        let memory = |what, bytes: u64, most| Goal {
            work: format!("{work}: memory of {what}"),
            place: Some(many.place.clone()),
            unit: "MiB".into(),
            most,
            reached: bytes as f64 / MIB,
            note: String::new(),
        };
        let guest = many.guest_bytes;
        goals.extend(guest.map(|bytes| memory("the guest", bytes, 32.0)));
        goals.push(memory("the host above idle", many.host_bytes, 64.0));
        if let Some(few) = few.find(|stream| stream.entries == FEW) {
            let each = |stream: &Stream| stream.times.median * 1e6 / stream.entries as f64;
            goals.push(Goal {
                work: format!("{work}: time for each, beside that of {FEW}"),
                place: Some(many.place.clone()),
                unit: "times".into(),
                most: 1.2,
                reached: each(many) / each(few),
                note: format!("{:.0} ns beside {:.0} ns", each(many), each(few)),
            });
        }
    }
}
