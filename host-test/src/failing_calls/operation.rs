//! The operations whose calls are made to fail.

use crate::scenarios::writes;
use crate::world::CACHE;
use crate::{Error, Instance, Write, sorted};

/// An operation on a cache.
pub(super) enum Operation {
    Write(Write),
    Load,
    LoadInBatches,
    List,
    Stat,
    Verify,
}

/// All of them.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations: Vec<Operation> = writes().into_iter().map(Operation::Write).collect();
    operations.extend([
        Operation::Load,
        Operation::LoadInBatches,
        Operation::List,
        Operation::Stat,
        Operation::Verify,
    ]);
    operations
}

impl Operation {
    /// Runs the operation and gives its answer as text. Equal answers give equal texts.
    pub(super) fn run(&self, instance: &mut Instance) -> Result<String, Error> {
        Ok(match self {
            Operation::Write(write) => {
                let written = instance.write(CACHE, write);
                written.expect("nobody kills it")?;
                String::new()
            }
            Operation::Load => {
                let contents = instance.load(CACHE)?;
                format!("{} {:?}", contents.lost, sorted(contents.entries))
            }
            Operation::LoadInBatches => {
                let contents = instance.load_in_batches(CACHE)?;
                format!("{} {:?}", contents.lost, sorted(contents.entries))
            }
            Operation::List => format!("{:?}", instance.list_caches()?),
            Operation::Stat => format!("{:?}", instance.stat(CACHE)?),
            Operation::Verify => format!("{:?}", instance.verify(CACHE)?),
        })
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Operation::List)
    }

    pub(super) fn is_clear(&self) -> bool {
        matches!(self, Operation::Write(Write::Clear))
    }
}
