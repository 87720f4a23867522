//! The server to ask, and which of its answers may be kept.

use std::env;

use wasip3::http::client;
use wasip3::http::types::{Fields, Request, Response, Scheme};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_future;

use crate::answer::{self, Failure, Page};

/// The largest page that is kept, in bytes. A larger answer is only passed on.
const LARGEST_PAGE: usize = 8 << 20;

const SECOND: u64 = 1_000_000_000;

/// The server to ask, and how many nanoseconds to keep an answer that does not say so itself.
pub struct Upstream {
    url: String,
    ttl: u64,
}

/// The answer of the server.
pub enum Answer {
    /// A page, and how many nanoseconds it may be kept.
    Page(Page, u64),
    /// An answer to pass on and not to keep.
    Other(Response),
}

impl Upstream {
    pub fn from_environment() -> Result<Upstream, Failure> {
        let url = env::var("UPSTREAM").map_err(|error| {
            let why = format!("UPSTREAM, the URL of the server to ask: {error}");
            Failure::new(500, why)
        })?;
        let ttl = match env::var("TTL") {
            Ok(seconds) => seconds.parse().map_err(|error| {
                let why = format!("TTL must be a number of seconds, but is {seconds:?}: {error}");
                Failure::new(500, why)
            })?,
            Err(_) => 60,
        };
        Ok(Upstream {
            url: url.trim_end_matches('/').into(),
            ttl: SECOND.saturating_mul(ttl),
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Asks for a path. Fails if no complete answer comes.
    pub async fn ask(&self, path: &str) -> Result<Answer, Failure> {
        let failed = |why: &dyn std::fmt::Debug| {
            let why = format!("GET {}: {why:?}", self.url(path));
            Failure::new(502, why)
        };
        let response = client::send(self.request(path)?).await;
        let response = response.map_err(|error| failed(&error))?;
        let status = response.get_status_code();
        let headers = response.get_headers().clone();
        let (_, read) = wit_future::new(|| Ok(()));
        let (mut body, trailers) = Response::consume_body(response, read);
        let ttl = match status {
            200 => lifetime(&headers, self.ttl),
            _ => None,
        };
        let Some(ttl) = ttl else {
            let passed = answer::pass(status, headers, body, trailers)?;
            return Ok(Answer::Other(passed));
        };

        let mut bytes = Vec::new();
        loop {
            if bytes.len() > LARGEST_PAGE {
                let body = answer::stream(bytes, Some(body));
                let passed = answer::pass(status, headers, body, trailers)?;
                return Ok(Answer::Other(passed));
            }
            bytes.reserve(64 << 10);
            let (result, all) = body.read(bytes).await;
            bytes = all;
            if let StreamResult::Dropped | StreamResult::Cancelled = result {
                break;
            }
        }
        // The trailers also tell whether the body is complete.
        trailers.await.map_err(|error| failed(&error))?;
        let content_type = headers.get("content-type").into_iter().next();
        let page = Page::new(content_type, &bytes);
        Ok(Answer::Page(page, ttl))
    }

    fn request(&self, path: &str) -> Result<Request, Failure> {
        let no_url = || {
            let why = format!("UPSTREAM is not the URL of a server: {:?}", self.url);
            Failure::new(500, why)
        };
        let (scheme, rest) = self.url.split_once("://").ok_or_else(no_url)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(no_url()),
        };
        let (authority, folder) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (request, _) = Request::new(Fields::new(), None, trailers, None);
        let set = request.set_scheme(Some(&scheme));
        let set = set.and_then(|()| request.set_authority(Some(authority)));
        let path = format!("{folder}{path}");
        let set = set.and_then(|()| request.set_path_with_query(Some(&path)));
        set.map_err(|()| no_url())?;
        Ok(request)
    }
}

/// How many nanoseconds an answer may be kept; none if it may not be kept, or needs its other
/// headers.
fn lifetime(headers: &Fields, otherwise: u64) -> Option<u64> {
    if headers.has("content-encoding") || headers.has("set-cookie") {
        return None;
    }
    let mut lifetime = otherwise;
    for value in headers.get("cache-control") {
        let value = String::from_utf8_lossy(&value).to_ascii_lowercase();
        for directive in value.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim() {
                "no-cache" | "no-store" | "private" => return None,
                "max-age" => {
                    let seconds = argument.trim().parse().unwrap_or(0);
                    lifetime = SECOND.saturating_mul(seconds);
                }
                _ => {}
            }
        }
    }
    (lifetime > 0).then_some(lifetime)
}
