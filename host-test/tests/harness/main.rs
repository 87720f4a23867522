//! The harness itself: what it simulates, and how it judges.

mod history;
mod races;
mod sim;
