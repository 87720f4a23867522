//! A server that asks another server (upstream), and keeps its answers in a cache.
//!
//! - `UPSTREAM` in the environment is the URL to which paths are appended.
//! - `TTL` in the environment is how many seconds an answer is kept that does not say so itself; 60
//!   if it is not set.
//! - Only GET is answered. Only path and query of a request go upstream, so that one answer is
//!   right for every caller.
//! - The header `x-cache` says where an answer comes from: `hit`, `miss`, or `stale`. A stale
//!   answer has expired, and another caller asks for a new one.
//!
//! `wasmtime serve` lets an instance answer 16 callers at once and 128 in all. It ends an instance
//! that was idle for a second, and starts another instance while the first is busy. The flags
//! `--max-instance-concurrent-reuse-count`, `--max-instance-reuse-count` and
//! `--idle-instance-timeout` set these numbers. Each instance begins with the pages on disk, and
//! does not see the pages that other instances store later. So callers of one instance wait for
//! each other, and callers of two instances may both ask upstream. `larder-host` gives one cache to
//! all instances.

mod answer;
mod upstream;

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "cache-user",
        generate_all,
    });
}

use std::sync::OnceLock;

use bindings::larder::cache::cache::{Cache, Error, Found, Options};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Method, Request, Response};

use answer::{Failure, Page};
use upstream::{Answer, Upstream};

struct Server;

wasip3::http::service::export!(Server);

/// How long other callers wait for the caller that asks upstream, before one of them asks too.
const LEASE: u64 = 10_000_000_000;

/// How long a waiting caller sleeps before it looks again.
const TURN: u64 = 5_000_000;

/// Every page is flushed before its caller gets it: the server may be killed at any time.
const OPTIONS: Options = Options {
    capacity: None,
    capacity_bytes: Some(64 << 20),
    default_ttl: None,
    flush_every: Some(1),
    flush_after: None,
};

/// Stays open as long as the instance lives.
static PAGES: OnceLock<Result<Cache, Error>> = OnceLock::new();

impl Guest for Server {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match answer(&request).await {
            Ok(response) => Ok(response),
            Err(failure) => failure.response(),
        }
    }
}

async fn answer(request: &Request) -> Result<Response, Failure> {
    if !matches!(request.get_method(), Method::Get) {
        return Err(Failure::new(405, "only GET is answered here"));
    }
    let upstream = Upstream::from_environment()?;
    let path = request.get_path_with_query().unwrap_or_default();
    let url = upstream.url(&path);
    let pages = PAGES.get_or_init(|| Cache::open("pages", OPTIONS));
    let pages = pages.as_ref().map_err(|error| Failure::new(500, error))?;
    loop {
        match pages.get_or_claim(&url, LEASE) {
            Found::Hit(page) => return Page::from(page).response("hit"),
            Found::Stale(page) => return Page::from(page).response("stale"),
            Found::Wait(left) => wait_for(left.min(TURN)).await,
            Found::Claimed => break,
        }
    }
    let answer = upstream.ask(&path).await;
    match &answer {
        Ok(Answer::Page(page, ttl)) => {
            pages.set(&url, page.bytes(), Some(*ttl));
            if let Some(error) = pages.metrics().backend_error {
                eprintln!("{url} is cached, but will not outlive this instance: {error:?}");
            }
        }
        // No page will come, so nobody has to wait for it.
        _ => _ = pages.delete(&url),
    }
    match answer? {
        Answer::Page(page, _) => page.response("miss"),
        Answer::Other(response) => Ok(response),
    }
}
