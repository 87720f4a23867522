//! Rows as tables in Markdown: one writer for all, and the columns of each table as data.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::results::Row;
use crate::stats::Spread;

/// A text and the name of its markers in `docs/performance.md`.
pub struct Table {
    pub name: String,
    pub text: String,
}

/// Head, metric, and the shown part of its values. The second argument is the first line's values.
struct Column(
    &'static str,
    &'static str,
    fn(Spread, Option<Spread>) -> String,
);

const STORES: &[Column] = &[
    Column("persist, ms", "persist, ms", median::<1>),
    Column("min to max", "persist, ms", range::<1>),
    Column("to Larder", "persist, ms", ratio),
    Column("load, ms", "load, ms", median::<1>),
    Column("min to max", "load, ms", range::<1>),
    Column("to Larder", "load, ms", ratio),
];
const CALLS: &[Column] = &[
    Column("calls", "time, ms", count),
    Column("p50, ms", "time, ms", median::<3>),
    Column("p99, ms", "time, ms", p99::<3>),
    Column("max, ms", "time, ms", max::<3>),
];
const STREAMS: &[Column] = &[
    Column("ms", "time, ms", median::<0>),
    Column("ns an entry", "time of each entry, ns", median::<0>),
    Column("guest, MiB", "memory of the guest, MiB", max::<1>),
    Column(
        "host above idle, MiB",
        "memory of the host above idle, MiB",
        max::<1>,
    ),
];

/// The cases, their columns, and whether they have a table for each place.
const CASES: [(&str, &[Column], bool); 10] = [
    ("small", STORES, true),
    ("medium", STORES, true),
    ("mixture", STORES, true),
    ("million", STORES, true),
    ("large", STORES, true),
    ("apply", CALLS, false),
    ("changes", CALLS, false),
    ("stream", STREAMS, false),
    ("layer", CALLS, false),
    ("start", CALLS, false),
];

fn count(own: Spread, _: Option<Spread>) -> String {
    own.count.to_string()
}

fn median<const DIGITS: usize>(own: Spread, _: Option<Spread>) -> String {
    format!("{:.DIGITS$}", own.median)
}

fn p99<const DIGITS: usize>(own: Spread, _: Option<Spread>) -> String {
    format!("{:.DIGITS$}", own.p99)
}

fn max<const DIGITS: usize>(own: Spread, _: Option<Spread>) -> String {
    format!("{:.DIGITS$}", own.max)
}

fn range<const DIGITS: usize>(own: Spread, _: Option<Spread>) -> String {
    format!("{:.DIGITS$} to {:.DIGITS$}", own.min, own.max)
}

fn ratio(own: Spread, first: Option<Spread>) -> String {
    first.map_or(String::new(), |first| {
        format!("{:.2}", own.median / first.median)
    })
}

/// The tables of all cases that have rows.
pub fn tables(rows: &[Row]) -> Vec<Table> {
    let mut tables = Vec::new();
    for (case, columns, by_place) in CASES {
        let is_shown = |row: &&Row| row.case == case && columns.iter().any(|c| c.1 == row.metric);
        let rows: Vec<_> = rows.iter().filter(is_shown).collect();
        for rows in rows.chunk_by(|a, b| !by_place || a.place == b.place) {
            let (name, label): (_, fn(&Row) -> String) = match by_place {
                true => (format!("{case}-{}", rows[0].place), contestant),
                false => (case.into(), contestant_and_place),
            };
            let text = pivot(columns, rows, label);
            tables.push(Table { name, text });
        }
    }
    tables
}

fn contestant(row: &Row) -> String {
    row.contestant.clone()
}

fn contestant_and_place(row: &Row) -> String {
    format!("{}, {}", row.subject(), row.place)
}

/// Makes a line of all rows with the same label.
fn pivot(columns: &[Column], rows: &[&Row], label: fn(&Row) -> String) -> String {
    let mut labels: Vec<_> = rows.iter().map(|row| label(row)).collect();
    labels.dedup();
    let spread = |of: &String, metric: &str| {
        let row = rows
            .iter()
            .find(|row| label(row) == *of && row.metric == metric)?;
        row.spread
    };
    let line = |of: &String| {
        let cells = columns.iter().map(|Column(_, metric, show)| {
            let own = spread(of, metric)?;
            Some(show(own, spread(&labels[0], metric)))
        });
        let cells = cells.map(Option::unwrap_or_default);
        [of.clone()].into_iter().chain(cells).collect()
    };
    let heads = columns.iter().map(|column| column.0);
    let head: Vec<_> = [""].into_iter().chain(heads).collect();
    let mut text = markdown(&head, &labels.iter().map(line).collect::<Vec<_>>());
    for row in rows.iter().filter(|row| !row.note.is_empty()) {
        let _ = writeln!(text, "\n{}: {}.", label(row), row.note.replace('\n', " "));
    }
    text
}

/// A table whose columns are aligned in the source as well, except for very wide cells.
pub fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        let widest = widths.filter(|&width| width <= 60).max();
        widest.unwrap_or(0).max(head[column].chars().count())
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

/// Writes the tables between their markers in a document. A table without markers is an error.
pub fn write(document: &Path, tables: &[Table]) -> Result<()> {
    let mut text = fs::read_to_string(document)?;
    for table in tables {
        text = replace(&text, table)?;
    }
    Ok(fs::write(document, text)?)
}

fn replace(text: &str, Table { name, text: new }: &Table) -> Result<String> {
    let begin = format!("<!-- bench:{name} -->");
    let end = format!("<!-- /bench:{name} -->");
    let missing = || format!("there are no markers for {name}");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{new}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Rows;

    #[test]
    fn a_table_has_a_line_for_each_contestant_and_replaces_only_its_own_text() {
        let mut rows = Rows::new("small", "disk");
        rows.add("one", "", "persist, ms", [2.0, 4.0, 3.0]);
        rows.add("one", "", "load, ms", [1.0]);
        rows.add("two", "", "persist, ms", [6.0]).note = "failed".into();
        rows.add("two", "", "load, ms", []);
        let tables = tables(&rows.rows);
        let expected = "\
            |     | persist, ms | min to max | to Larder | load, ms | min to max | to Larder |\n\
            | --- | ---         | ---        | ---       | ---      | ---        | ---       |\n\
            | one | 3.0         | 2.0 to 4.0 | 1.00      | 1.0      | 1.0 to 1.0 | 1.00      |\n\
            | two | 6.0         | 6.0 to 6.0 | 2.00      |          |            |           |\n\
            \ntwo: failed.\n";
        let text = "a\n<!-- bench:small-disk -->\nold\n<!-- /bench:small-disk -->\nb\n\
                    <!-- bench:two -->\nkept\n<!-- /bench:two -->\n";
        let replaced = replace(text, &tables[0]).expect("there are markers");
        assert_eq!(replaced, text.replace("old\n", expected));
        assert!(replace("nothing", &tables[0]).is_err());
    }
}
