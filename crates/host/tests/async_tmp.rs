#[path = "host/asynchronous.rs"]
mod asynchronous;
