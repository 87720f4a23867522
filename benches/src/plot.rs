//! The times as bars, in SVG.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::contestant::Role;
use crate::results::{Results, Row, Store};
use crate::stats::Times;

const BAR: usize = 16;
const ROW: usize = 22;
const LEFT: usize = 200;
const WIDTH: usize = 420;
const PANEL: usize = LEFT + WIDTH + 130;
/// A bar that would be more than this many times as long as Larder's is cut off.
const LONGEST: f64 = 6.0;

/// Writes a plot for each set of entries on each place.
pub fn write(folder: &Path, results: &Results) -> Result<()> {
    for store in &results.stores {
        let name = format!("{}-{}.svg", store.short, store.place);
        fs::write(folder.join(name), plot(store))?;
    }
    Ok(())
}

fn plot(store: &Store) -> String {
    let height = 60 + store.rows.len() * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{height}\" \
         viewBox=\"0 0 {0} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"20\" font-size=\"14\">{1}, {2}: medians in ms</text>\n",
        2 * PANEL,
        store.data,
        store.place,
    );
    panel(&mut svg, 0, "persist", store, |row| row.persist.as_ref());
    panel(&mut svg, PANEL, "load", store, |row| row.load.as_ref());
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, x: usize, title: &str, store: &Store, pick: fn(&Row) -> Option<&Times>) {
    let _ = writeln!(svg, "<text x=\"{}\" y=\"42\">{title}</text>", x + LEFT);
    let median = |row: &Row| pick(row).map(|times| times.median);
    let mut rows: Vec<_> = store
        .rows
        .iter()
        .filter_map(|row| Some((row, median(row)?)))
        .collect();
    rows.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let slowest = rows.last().map_or(0.0, |&(_, time)| time);
    let ours = store.rows.first().and_then(median).unwrap_or(slowest);
    let longest = slowest.min(LONGEST * ours);
    for (i, (row, time)) in rows.into_iter().enumerate() {
        let y = 50 + i * ROW;
        let (colour, cut) = (colour(row.role), time > longest);
        let length = WIDTH as f64 * time.min(longest) / longest;
        let end = x as f64 + LEFT as f64 + length;
        let text = y + BAR - 4;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{text}\">{}{time:.1} ({:.2})</text>",
            x + LEFT - 6,
            row.name,
            x + LEFT,
            end + 4.0,
            if cut { "\u{bb} " } else { "" },
            time / ours,
        );
    }
}

fn colour(role: Role) -> &'static str {
    match role {
        Role::Larder => "#2b6cb0",
        Role::Peer => "#a0aec0",
        Role::Native => "#68a691",
        Role::Limit => "#d69e2e",
    }
}
