//! Counts how far writers were when they were killed.

use std::fmt;

/// How many kills came when.
#[derive(Default)]
pub struct Tally {
    /// Before the test saw a first step begin.
    before: usize,
    /// During or between steps.
    within: usize,
    /// After the end.
    after: usize,
    /// How many steps took effect although they had not returned.
    made: usize,
    /// How many temporaries were left behind.
    pub temporaries: usize,
}

impl Tally {
    /// Counts a kill: whether the process had ended, or had begun to change something, and whether
    /// it made a change that it had not reported.
    pub fn count(&mut self, ended: bool, begun: bool, made: bool) {
        self.made += usize::from(made);
        *match (ended, begun) {
            (true, _) => &mut self.after,
            (false, true) => &mut self.within,
            (false, false) => &mut self.before,
        } += 1;
    }

    /// How many kills came during or between steps.
    pub fn within(&self) -> usize {
        self.within
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, within, after) = (self.before, self.within, self.after);
        write!(
            f,
            "{} kills: {before} before the first change, {within} among changes, {after} after the end; \
             {} changes made but not reported, {} temporaries left and reaped",
            before + within + after,
            self.made,
            self.temporaries
        )?;
        if self.made + self.temporaries == 0 {
            write!(f, "; NO KILL WAS SEEN TO HIT A WRITE")?;
        }
        Ok(())
    }
}
