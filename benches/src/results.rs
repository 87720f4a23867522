//! Measured values as plain rows, and the file `results.json` that keeps them.

use std::io::ErrorKind;
use std::path::Path;
use std::{error, fs};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::process::Machine;
use crate::stats::Spread;

/// The values of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name on the command line.
    pub case: String,
    /// The name of a [`Place`](crate::place::Place), or nothing if storage does not matter.
    pub place: String,
    /// A store, or the work that was measured.
    pub contestant: String,
    /// The data or their number, or nothing.
    pub parameter: String,
    /// Its name and its unit: `load, ms`. A plain number has no unit.
    pub metric: String,
    /// None if every attempt failed.
    pub spread: Option<Spread>,
    /// A remark, or nothing.
    pub note: String,
}

impl Row {
    /// The contestant with its parameter.
    pub fn subject(&self) -> String {
        match self.parameter.as_str() {
            "" => self.contestant.clone(),
            parameter => format!("{} ({parameter})", self.contestant),
        }
    }
}

/// The rows of one case in one place.
pub struct Rows {
    case: &'static str,
    place: &'static str,
    pub rows: Vec<Row>,
}

impl Rows {
    pub fn new(case: &'static str, place: &'static str) -> Self {
        let rows = Vec::new();
        Self { case, place, rows }
    }

    /// Adds a row, and returns it for a note.
    pub fn add(
        &mut self,
        contestant: &str,
        parameter: &str,
        metric: &str,
        values: impl IntoIterator<Item = f64>,
    ) -> &mut Row {
        self.rows.push_mut(Row {
            case: self.case.into(),
            place: self.place.into(),
            contestant: contestant.into(),
            parameter: parameter.into(),
            metric: metric.into(),
            spread: Spread::of(values),
            note: String::new(),
        })
    }
}

/// The rows of this run and of earlier runs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    pub machine: Machine,
    pub rows: Vec<Row>,
}

impl Results {
    /// Reads what earlier runs left in this file, if it exists. It is an error if another machine
    /// made it: one table cannot show two machines.
    pub fn read(machine: Machine, file: &Path) -> Result<Self> {
        let read: Result<Self> = match fs::read(file) {
            Ok(json) => serde_json::from_slice(&json).map_err(Into::into),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let rows = Vec::new();
                return Ok(Self { machine, rows });
            }
            Err(error) => Err(error.into()),
        };
        let why: Box<dyn error::Error> = match read {
            Ok(earlier) if earlier.machine == machine => return Ok(earlier),
            Ok(_) => "measured on another machine or other storage".into(),
            Err(error) => error,
        };
        let file = file.display();
        Err(format!("{file}: {why}; remove the file to measure everything again").into())
    }

    /// Replaces this file in one step, so that it is complete at any time.
    pub fn write(&self, file: &Path) -> Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_string_pretty(self)?)?;
        Ok(fs::rename(new, file)?)
    }

    /// Replaces the rows of this case in this place.
    pub fn put(&mut self, new: Rows) {
        let replaced = (new.case, new.place);
        self.rows
            .retain(|old| (&*old.case, &*old.place) != replaced);
        self.rows.extend(new.rows);
        // Tables show one place after the other. The order of the measurements does not matter.
        self.rows.sort_by(|a, b| a.place.cmp(&b.place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(case: &'static str, place: &'static str, value: f64) -> Rows {
        let mut rows = Rows::new(case, place);
        rows.add("one", "", "load, ms", [value]).note = "why".into();
        rows
    }

    #[test]
    fn a_run_replaces_its_cases_and_refuses_another_machine() {
        let name = format!("larder-bench-{}.json", std::process::id());
        let file = std::env::temp_dir().join(name);
        let mut first = Results::read(Machine::default(), &file).expect("no file is no error");
        first.put(rows("small", "tmpfs", 1.0));
        first.put(rows("small", "disk", 2.0));
        first.put(rows("large", "disk", 3.0));
        first.write(&file).expect("the folder exists");

        let mut second = Results::read(Machine::default(), &file).expect("it was written above");
        assert_eq!(second.rows, first.rows);
        second.put(rows("small", "disk", 4.0));
        let spreads = second.rows.iter().filter_map(|row| row.spread);
        let medians: Vec<_> = spreads.map(|spread| spread.median).collect();
        assert_eq!(medians, [3.0, 4.0, 1.0]);

        let mut elsewhere = Machine::default();
        elsewhere.cores += 1;
        let error = Results::read(elsewhere, &file).map(|_| ());
        let error = error.expect_err("another machine").to_string();
        assert!(error.contains(&*file.to_string_lossy()), "{error}");
        fs::write(&file, "{").expect("the file exists");
        assert!(Results::read(Machine::default(), &file).is_err());
        fs::remove_file(&file).expect("the file exists");
    }
}
