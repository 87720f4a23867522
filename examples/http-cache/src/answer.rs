//! Answers: pages that are kept, answers that are only passed on, and failures.

use std::fmt::Display;

use wasip3::http::types::{ErrorCode, Fields, Response, Trailers};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn_local};
use wasip3::{wit_future, wit_stream};

/// The part of an answer that is kept: content type, line feed (which no header contains), body.
pub struct Page(Vec<u8>);

/// Why there is no answer.
pub struct Failure {
    status: u16,
    why: String,
}

impl From<Vec<u8>> for Page {
    fn from(bytes: Vec<u8>) -> Page {
        Page(bytes)
    }
}

impl Page {
    pub fn new(content_type: Option<Vec<u8>>, body: &[u8]) -> Page {
        let mut bytes = content_type.unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        Page(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn response(&self, from: &str) -> Result<Response, Failure> {
        let mut parts = self.0.splitn(2, |byte| *byte == b'\n');
        let content_type = parts.next().unwrap_or_default();
        let body = parts.next().unwrap_or_default();
        let mut headers = vec![("x-cache", from.as_bytes())];
        if !content_type.is_empty() {
            headers.push(("content-type", content_type));
        }
        whole(200, &headers, body).map_err(|error| Failure::new(500, error))
    }
}

impl Failure {
    pub fn new(status: u16, why: impl Display) -> Failure {
        let why = why.to_string();
        Failure { status, why }
    }

    pub fn response(&self) -> Result<Response, ErrorCode> {
        let mut headers = vec![("content-type", "text/plain; charset=utf-8".as_bytes())];
        if self.status == 405 {
            headers.push(("allow", b"GET"));
        }
        let text = format!("{}\n", self.why);
        whole(self.status, &headers, text.as_bytes())
    }
}

/// Passes on an answer of the other server that is not kept.
pub fn pass(
    status: u16,
    headers: Fields,
    body: StreamReader<u8>,
    trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
) -> Result<Response, Failure> {
    let unfit = |error: &dyn Display| Failure::new(502, error);
    let set = headers.set("x-cache", &[b"miss".to_vec()]);
    set.map_err(|error| unfit(&error))?;
    let (response, _) = Response::new(headers, Some(body), trailers);
    let set = response.set_status_code(status);
    set.map_err(|()| unfit(&format!("a status of {status}")))?;
    Ok(response)
}

/// A stream of these bytes, followed by the rest.
pub fn stream(first: Vec<u8>, rest: Option<StreamReader<u8>>) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        let mut unread = writer.write_all(first).await;
        let Some(mut rest) = rest else { return };
        // A reader that leaves bytes unread has gone.
        while unread.is_empty() {
            let (result, bytes) = rest.read(Vec::with_capacity(64 << 10)).await;
            unread = writer.write_all(bytes).await;
            if !matches!(result, StreamResult::Complete(_)) {
                return;
            }
        }
    });
    reader
}

fn whole(status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> Result<Response, ErrorCode> {
    let length = body.len().to_string();
    let length = ("content-length", length.as_bytes());
    let headers = headers.iter().chain([&length]);
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), value.to_vec()))
        .collect();
    let unfit = |error: &dyn Display| ErrorCode::InternalError(Some(error.to_string()));
    let headers = Fields::from_list(&headers).map_err(|error| unfit(&error))?;
    let (_, trailers) = wit_future::new(|| Ok(None));
    let body = stream(body.to_vec(), None);
    let (response, _) = Response::new(headers, Some(body), trailers);
    let set = response.set_status_code(status);
    set.map_err(|()| unfit(&format!("a status of {status}")))?;
    Ok(response)
}
