//! The goals as data, and the values that were reached.

use crate::Result;
use crate::data::{FEW, MANY};
use crate::results::Row;

type Name = &'static str;

/// Case, contestant, parameter (empty: any), metric, and the most that the median may be. Names at
/// the end are contestants, or parameters of the same contestant: the smallest of their medians is
/// the unit of the goal.
struct Goal(Name, Name, Name, Name, f64, &'static [Name]);

/// In memory, an fsync costs nothing: these cases are judged on the disk only.
const ON_DISK: [&str; 2] = ["apply", "layer"];

const BATCHES: Name = "Larder, batches";
const NATIVE: Name = "native, batches";
const LIMIT: Name = "the limit";
const PYTHON: Name = "the Python module";
const DISKCACHE: Name = "python-diskcache";
const PEERS: &[Name] = &["redb", "fjall", "SQLite", "cacache", PYTHON, DISKCACHE];

const SAVE: Name = "persist, ms";
const LOAD: Name = "load, ms";
const TIME: Name = "time, ms";
const EACH: Name = "time of each entry, ns";
const GUEST: Name = "memory of the guest, MiB";
const HOST: Name = "memory of the host above idle, MiB";

const APPLY: Name = "apply of one change";
const CHANGES: Name = "very many single changes";
const NEW_FILE: Name = "fsync of a new file of 4 KiB, and of its folder";
const IN_PLACE: Name = "two fsyncs of a file of 4 KiB in place";

#[rustfmt::skip] // One goal in a line.
const GOALS: [Goal; 35] = [
    Goal("small", "Larder, plain list", "", SAVE, 0.5, &[PYTHON]),
    Goal("small", "Larder, plain list", "", LOAD, 0.12, &[PYTHON]),
    Goal("small", "Larder, kept open", "", SAVE, 0.5, &[PYTHON]),
    Goal("small", "Larder, kept open", "", LOAD, 0.12, &[PYTHON]),
    Goal("small", BATCHES, "", SAVE, 1.5, &[LIMIT]),
    Goal("medium", BATCHES, "", SAVE, 1.15, &[LIMIT]),
    Goal("small", BATCHES, "", LOAD, 1.5, &[LIMIT]),
    Goal("medium", BATCHES, "", LOAD, 1.2, &[LIMIT]),
    Goal("small", BATCHES, "", SAVE, 1.25, &[NATIVE]),
    Goal("medium", BATCHES, "", SAVE, 1.25, &[NATIVE]),
    Goal("small", BATCHES, "", LOAD, 1.25, &[NATIVE]),
    Goal("medium", BATCHES, "", LOAD, 1.25, &[NATIVE]),
    Goal("million", "Larder", "", SAVE, 1.0, PEERS),
    Goal("million", "Larder", "", LOAD, 1.0, PEERS),
    Goal("apply", APPLY, "", TIME, 3.0, &[NEW_FILE]),
    Goal("apply", APPLY, "", TIME, 3.0, &[IN_PLACE]),
    Goal("apply", APPLY, "", "written, KiB", 8.0, &[]),
    Goal("changes", CHANGES, "", "bytes written / (bytes changed + 200 a call)", 8.0, &[]),
    Goal("changes", CHANGES, "", "files between two calls", 100.0, &[]),
    Goal("stream", "save in batches", MANY.name, GUEST, 32.0, &[]),
    Goal("stream", "save in batches", MANY.name, HOST, 64.0, &[]),
    Goal("stream", "save in batches", MANY.name, EACH, 1.2, &[FEW.name]),
    Goal("stream", "load in batches", MANY.name, GUEST, 32.0, &[]),
    Goal("stream", "load in batches", MANY.name, HOST, 64.0, &[]),
    Goal("stream", "load in batches", MANY.name, EACH, 1.2, &[FEW.name]),
    Goal("stream", "save by `larder-host`", MANY.name, HOST, 64.0, &[]),
    Goal("stream", "save by `larder-host`", MANY.name, EACH, 1.2, &[FEW.name]),
    Goal("stream", "load by `larder-host`", MANY.name, HOST, 64.0, &[]),
    Goal("stream", "load by `larder-host`", MANY.name, EACH, 1.2, &[FEW.name]),
    Goal("layer", "a million gets that hit", "", TIME, 1000.0, &[]),
    Goal("layer", "a million gets that hit, by the host through `larder-host`", "", TIME, 3000.0, &[]),
    Goal("layer", "a million sets that stay in memory", "", TIME, 2000.0, &[]),
    Goal("layer", "a flush of 1,000 changes", "", TIME, 2.0, &[NEW_FILE]),
    Goal("start", "`larder-host`: open a folder, load 100 entries", "", TIME, 0.5, &[]),
    Goal("component", "the disk component", "", "size, KiB", 220.0, &[]),
];

/// The head of the table of [`lines`].
pub const HEAD: [&str; 6] = ["work", "on", "at most", "reached", "met", ""];

/// A line for each goal in each place that was measured. It is an error if a case lacks the row of
/// one of its goals.
pub fn lines(rows: &[Row]) -> Result<Vec<Vec<String>>> {
    let mut lines = Vec::new();
    for goal in &GOALS {
        let is_judged = |row: &&Row| {
            (&*row.case, &*row.contestant, &*row.metric) == (goal.0, goal.1, goal.3)
                && (goal.2.is_empty() || goal.2 == row.parameter)
        };
        let mut judged = rows.iter().filter(is_judged).peekable();
        if judged.peek().is_none() && rows.iter().any(|row| row.case == goal.0) {
            return Err(format!("{} has no {}, {}", goal.0, goal.1, goal.3).into());
        }
        let here = judged.filter(|row| row.place != "tmpfs" || !ON_DISK.contains(&goal.0));
        lines.extend(here.filter_map(|row| goal.line(row, rows)));
    }
    Ok(lines)
}

impl Goal {
    /// None if the contestant failed, or all that stand beside it.
    fn line(&self, row: &Row, rows: &[Row]) -> Option<Vec<String>> {
        let &Self(case, contestant, _, metric, most, beside) = self;
        let ours = row.spread?;
        let is_beside = |other: &&Row| {
            (&*other.case, &other.place, &*other.metric) == (case, &row.place, metric)
                && (beside.contains(&&*other.contestant)
                    || other.contestant == contestant && beside.contains(&&*other.parameter))
        };
        let (name, unit) = metric.rsplit_once(", ").unwrap_or((metric, ""));
        let mut work = format!("{}: {name}", row.subject());
        let (reached, unit, mut note) = if beside.is_empty() {
            let most = format!("{} {unit} at most", figure(ours.max));
            let note = Some(most).filter(|_| ours.count > 1);
            (ours.median, unit, note.unwrap_or_default())
        } else {
            let others = rows.iter().filter(is_beside);
            let (theirs, who) = others
                .filter_map(|other| Some((other.spread?.median, &other.contestant)))
                .min_by(|a, b| a.0.total_cmp(&b.0))?;
            let figures = [ours.median, theirs].map(figure);
            let mut note = format!("{} {unit} beside {} {unit}", figures[0], figures[1]);
            match beside {
                [one] => work += &format!(", beside {one}"),
                _ => {
                    work += ", beside the fastest peer";
                    note += &format!(" of {who}");
                }
            }
            (ours.median / theirs, "times", note)
        };
        if !note.is_empty() && !row.note.is_empty() {
            note += "; ";
        }
        note += &row.note;
        Some(vec![
            work,
            row.place.clone(),
            format!("{most} {unit}").trim_end().into(),
            format!("{reached:.2}"),
            if reached <= most { "yes" } else { "**no**" }.into(),
            note,
        ])
    }
}

/// A value with as many decimal digits as are of use.
fn figure(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Rows;

    #[test]
    fn a_goal_is_judged_beside_the_fastest_peer_in_the_same_place() {
        let mut rows = Vec::new();
        for (place, peer) in [("disk", 100.0), ("tmpfs", 400.0)] {
            let mut measured = Rows::new("million", place);
            for metric in [SAVE, LOAD] {
                measured.add("Larder", "all", metric, [200.0]);
                measured.add("redb", "all", metric, [peer + 1.0]);
                measured.add("fjall", "all", metric, [peer]);
                measured.add("SQLite", "all", metric, []);
            }
            rows.extend(measured.rows);
        }
        let judged = lines(&rows).expect("the rows of all goals are there");
        let work = "Larder (all): persist, beside the fastest peer";
        let disk = "200 ms beside 100 ms of fjall";
        assert_eq!(judged[0], [work, "disk", "1 times", "2.00", "**no**", disk]);
        let memory = "200 ms beside 400 ms of fjall";
        assert_eq!(judged[1], [work, "tmpfs", "1 times", "0.50", "yes", memory]);
    }

    #[test]
    fn a_case_without_the_row_of_its_goal_is_an_error() {
        let mut start = Rows::new("start", "disk");
        start.add("another name", "", TIME, [1.0]);
        assert!(lines(&start.rows).is_err());
        assert!(lines(&[]).expect("nothing was measured").is_empty());
    }
}
