//! A server that asks another one, and keeps what that answers in a cache.
//!
//! `UPSTREAM` in its environment is the URL that paths are appended to, and `TTL` is for how many seconds an answer is
//! kept that does not say so itself; 60 without it. Only GET is answered, and nothing of a request but its path and
//! query goes upstream, so that an answer is one for everybody. `x-cache` says where it comes from: `hit`, `miss`, or
//! `stale`, which has expired while another caller asks for a new one.
//!
//! `wasmtime serve` has an instance answer 16 callers at once and 128 in all, drops it when it has been idle for a
//! second, and starts another one meanwhile where it is busy; `--max-instance-concurrent-reuse-count`,
//! `--max-instance-reuse-count` and `--idle-instance-timeout` set that. Each instance begins with what is on disk, and
//! sees nothing of what the others store later: callers of one instance wait for one another, those of two may both
//! ask upstream. For one cache in all of them there is `larder-host`.
#![allow(missing_docs)] // Generated; the documentation is in the WIT.
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod answer;
mod upstream;

wit_bindgen::generate!({
    path: "../../wit",
    world: "cache-user",
    generate_all,
    merge_structurally_equal_types: true,
});

use std::sync::OnceLock;

use larder::cache::cache::{Cache, Error, Found, Options};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Method, Request, Response};

use answer::{Failure, Page};
use upstream::{Answer, Upstream};

struct Server;

wasip3::http::service::export!(Server);

/// For how long others wait for a caller that asks upstream, before one of them asks too.
const LEASE: u64 = 10_000_000_000;

/// How often those who wait look again.
const TURN: u64 = 5_000_000;

/// Every page lasts before its caller has it: the server may be killed at any time.
const OPTIONS: Options = Options {
    capacity: None,
    capacity_bytes: Some(64 << 20),
    default_ttl: None,
    flush_every: Some(1),
    flush_after: None,
};

/// Stays open for as long as the instance is there.
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
        // Nobody has to wait for what will not come.
        _ => _ = pages.delete(&url),
    }
    match answer? {
        Answer::Page(page, _) => page.response("miss"),
        Answer::Other(response) => Ok(response),
    }
}
