//! The file formats, and the files of the repository. No component runs here.

mod codec;
mod fuzz;
mod promises;
mod test_files;
