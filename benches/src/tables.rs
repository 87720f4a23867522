//! The results as tables in Markdown, for people and for `docs/performance.md`.

use std::fmt::Write as _;

use crate::goals::Goal;
use crate::results::{Results, Row, Store};
use crate::stats::Times;

/// A table and the name of its place in the document.
pub struct Table {
    pub name: String,
    pub text: String,
}

/// All tables that there is anything for.
pub fn tables(results: &Results) -> Vec<Table> {
    let mut tables = vec![named("machine", machine(results))];
    // The newest knows who takes part.
    if let Some(store) = results.stores.last() {
        tables.push(named("settings", settings(store)));
    }
    for store in &results.stores {
        let name = format!("{}-{}", store.short, store.place);
        tables.push(named(&name, times(store)));
    }
    if !results.applies.is_empty() || results.changes.is_some() {
        tables.push(named("changes", changes(results)));
    }
    if !results.streams.is_empty() {
        tables.push(named("stream", streams(results)));
    }
    if let Some(start) = &results.start {
        let rows = [
            (
                "`larder-host`: open a folder, load 100 entries",
                &start.library,
            ),
            (
                "wasmtime alone: an instance, load the same",
                &start.component,
            ),
            (
                "`larder-host`, its code from a code cache",
                &start.kept_code,
            ),
        ];
        let rows = rows.map(|(what, times)| spread(what.into(), times, 3));
        tables.push(named("start", table(&SPREAD, &rows)));
    }
    if !results.layers.is_empty() {
        tables.push(named("layer", layers(results)));
    }
    tables.push(named("goals", goals(&results.goals)));
    tables
}

fn named(name: &str, text: String) -> Table {
    Table {
        name: name.into(),
        text,
    }
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "{} cores of {}, {} GiB of memory, Linux {}",
        machine.cores, machine.processor, machine.memory_gib, machine.kernel,
    );
    for place in &results.places {
        let _ = write!(text, "; {}: {}", place.name, place.storage);
    }
    text + ".\n"
}

fn settings(store: &Store) -> String {
    let rows = store.rows.iter();
    let rows: Vec<_> = rows
        .map(|row| vec![row.name.clone(), row.settings.clone()])
        .collect();
    table(&["contestant", "settings"], &rows)
}

/// Everyone's medians, beside ours.
fn times(store: &Store) -> String {
    let ours = store.rows.first();
    let rows: Vec<_> = store
        .rows
        .iter()
        .map(|row| {
            let mut cells = vec![row.name.clone()];
            for pick in [
                |row: &Row| row.persist.clone(),
                |row: &Row| row.load.clone(),
            ] {
                cells.extend(beside(pick(row), ours.and_then(pick)));
            }
            cells
        })
        .collect();
    let head = [
        "",
        "persist, ms",
        "min to max",
        "to Larder",
        "load, ms",
        "min to max",
        "to Larder",
    ];
    let mut text = table(&head, &rows);
    for row in &store.rows {
        if let Some(why) = &row.failed {
            let _ = write!(text, "\n{} failed: {}.\n", row.name, why.replace('\n', " "));
        }
    }
    text
}

fn beside(times: Option<Times>, ours: Option<Times>) -> [String; 3] {
    let Some(times) = times else {
        return Default::default();
    };
    let ratio = ours.map(|ours| format!("{:.2}", times.median / ours.median));
    [
        format!("{:.1}", times.median),
        format!("{:.1} to {:.1}", times.min, times.max),
        ratio.unwrap_or_default(),
    ]
}

const SPREAD: [&str; 5] = ["", "calls", "p50, ms", "p99, ms", "max, ms"];

fn spread(what: String, times: &Times, digits: usize) -> Vec<String> {
    let millis = |time: f64| format!("{time:.digits$}");
    vec![
        what,
        times.count.to_string(),
        millis(times.median),
        millis(times.p99),
        millis(times.max),
    ]
}

fn changes(results: &Results) -> String {
    let mut rows = Vec::new();
    for apply in &results.applies {
        let what = format!("apply to {} entries, {}", apply.cache, apply.place);
        rows.push(spread(what, &apply.apply, 3));
        let what = format!(
            "fsync of a new file of 4 KiB, and of its folder, {}",
            apply.place
        );
        rows.push(spread(what, &apply.new_file, 3));
        let what = format!("two fsyncs of a file of 4 KiB in place, {}", apply.place);
        rows.push(spread(what, &apply.in_place, 3));
    }
    if let Some(changes) = &results.changes {
        let what = format!("very many of them, {}", changes.place);
        rows.push(spread(what, &changes.times, 3));
    }
    table(&SPREAD, &rows)
}

fn streams(results: &Results) -> String {
    let rows = results.streams.iter().map(|stream| {
        let each = stream.times.median * 1e6 / stream.entries as f64;
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0 / 1024.0);
        vec![
            format!(
                "{} {}, {}, {}",
                stream.what, stream.entries, stream.through, stream.place
            ),
            format!("{:.0}", stream.times.median),
            format!("{each:.0}"),
            stream.guest_bytes.map(mib).unwrap_or_default(),
            mib(stream.host_bytes),
        ]
    });
    let head = [
        "",
        "ms",
        "ns an entry",
        "guest, MiB",
        "host above idle, MiB",
    ];
    table(&head, &rows.collect::<Vec<_>>())
}

fn layers(results: &Results) -> String {
    let mut rows = Vec::new();
    for layer in &results.layers {
        for (what, times) in [
            ("a million gets that hit", &layer.get),
            (
                "a million gets that hit, by the host through `larder-host`",
                &layer.library_get,
            ),
            ("a million sets that stay in memory", &layer.set),
            ("a flush of 1,000 changes", &layer.flush),
            (
                "fsync of a new file of 4 KiB, and of its folder",
                &layer.fsyncs,
            ),
        ] {
            rows.push(spread(format!("{what}, {}", layer.place), times, 3));
        }
    }
    table(&SPREAD, &rows)
}

fn goals(goals: &[Goal]) -> String {
    let rows = goals.iter().map(|goal| {
        vec![
            goal.work.clone(),
            goal.place.clone().unwrap_or_default(),
            format!("{} {}", goal.most, goal.unit),
            format!("{:.2}", goal.reached),
            if goal.is_met() { "yes" } else { "**no**" }.into(),
            goal.note.clone(),
        ]
    });
    let head = ["work", "on", "at most", "reached", "met", ""];
    table(&head, &rows.collect::<Vec<_>>())
}

/// A table whose columns are aligned in the source as well, up to a width that people can read.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    const WIDEST: usize = 60;
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells
            .map(|cell| cell.chars().count())
            .filter(|&width| width <= WIDEST);
        widths.max().unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
    };
    line(&mut head.iter().copied());
    line(&mut head.iter().map(|_| "---"));
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}
