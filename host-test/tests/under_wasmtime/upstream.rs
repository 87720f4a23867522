//! The server behind the cache, which counts the requests for each path.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: &'static str,
    pub body: Vec<u8>,
    /// The `content-length`, if it is not the length of the body.
    pub length: Option<usize>,
}

impl Reply {
    pub fn new(headers: &'static str, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status: 200,
            headers,
            body: body.into(),
            length: None,
        }
    }
}

/// A server that stops when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepts: Option<JoinHandle<()>>,
}

/// Gives the answer for a path and the number of the request for it, from 1 on.
type Answers = dyn Fn(&str, usize) -> Reply + Send + Sync;

struct Shared {
    asked: Mutex<HashMap<String, usize>>,
    is_down: AtomicBool,
    answer: Box<Answers>,
}

impl Upstream {
    /// Starts a server with these answers. Each request has a thread of its own.
    pub fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            asked: Mutex::default(),
            is_down: AtomicBool::new(false),
            answer: Box::new(answer),
        });
        let accepting = shared.clone();
        let accepts = thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.is_down.load(Ordering::SeqCst) {
                    break;
                }
                let (stream, shared) = (stream.unwrap(), accepting.clone());
                thread::spawn(move || shared.serve(stream));
            }
        });
        Upstream {
            address,
            shared,
            accepts: Some(accepts),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of requests for this path.
    pub fn asked(&self, path: &str) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        asked.get(path).copied().unwrap_or(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.is_down.store(true, Ordering::SeqCst);
        // The thread checks `is_down` after each connection.
        let _ = TcpStream::connect(self.address);
        let _ = self.accepts.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        // A connection may come without a request.
        let Some(Ok(first)) = lines.next() else {
            return;
        };
        let path = first.split(' ').nth(1).unwrap();
        // Skips the rest of the head.
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let time = {
            let mut asked = self.asked.lock().unwrap();
            let time = asked.entry(path.to_owned()).or_default();
            *time += 1;
            *time
        };
        let reply = (self.answer)(path, time);
        let (status, headers) = (reply.status, reply.headers);
        let length = reply.length.unwrap_or(reply.body.len());
        let head = format!(
            "HTTP/1.1 {status} So\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
        );
        // The client may have gone.
        let _ = stream.write_all(&[head.into_bytes(), reply.body].concat());
    }
}
