//! The tables in `docs/performance.md`, which stand between markers.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::tables::Table;

/// Puts the tables in the places of their names. A table that has no place there is an error; a place
/// for which there is no table stays as it is.
pub fn write(file: &Path, tables: &[Table]) -> Result<()> {
    let mut text = fs::read_to_string(file)?;
    for table in tables {
        text = replace(&text, table)?;
    }
    Ok(fs::write(file, text)?)
}

fn replace(text: &str, table: &Table) -> Result<String> {
    let (begin, end) = (
        format!("<!-- bench:{} -->", table.name),
        format!("<!-- /bench:{} -->", table.name),
    );
    let parts = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| format!("there is no place for {}", table.name))?;
    Ok(format!("{before}{begin}\n{}{end}{after}", table.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_its_name_and_no_other() {
        let table = Table {
            name: "one".into(),
            text: "new\n".into(),
        };
        let text = "a\n<!-- bench:one -->\nold\n<!-- /bench:one -->\nb\n<!-- bench:two -->\nkept\n<!-- /bench:two -->\n";
        let replaced = replace(text, &table).expect("there is a place");
        assert_eq!(replaced, text.replace("old", "new"));
        assert!(replace("nothing", &table).is_err());
    }
}
