//! What the kills of a test hit.

use std::fmt;

/// What the kills hit.
#[derive(Default)]
pub struct Tally {
    /// Before the first step was begun, as far as can be seen.
    before: usize,
    /// Between or in the midst of steps.
    within: usize,
    /// After the end.
    after: usize,
    /// A step that had not returned was made all the same.
    made: usize,
    /// A temporary was left behind.
    pub temporaries: usize,
}

impl Tally {
    /// Counts a kill of a process that had ended, or had begun to change something; and whether a change that it
    /// had not reported was made.
    pub fn count(&mut self, ended: bool, begun: bool, made: bool) {
        self.made += usize::from(made);
        *match (ended, begun) {
            (true, _) => &mut self.after,
            (false, true) => &mut self.within,
            (false, false) => &mut self.before,
        } += 1;
    }
}

impl Tally {
    /// How many kills hit between or in the midst of steps.
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
            write!(f, "; NONE WAS SEEN TO HIT A WRITE")?;
        }
        Ok(())
    }
}
