//! `wasmtime serve` as a process that can be killed, and requests to it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{as_root, wasmtime};

/// The longest time for an answer. A server that needs more has stopped.
pub const LONGEST: Duration = Duration::from_secs(120);

/// A process that is killed when it is dropped.
pub struct Server {
    process: Process,
    address: String,
    rest: JoinHandle<String>,
}

struct Process(Child);

/// An answer of a server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Server {
    /// Serves a component with this folder and environment, and waits until the server listens.
    pub fn start(component: &Path, store: Option<&Path>, environment: &[(&str, &str)]) -> Server {
        let mut command = wasmtime();
        command
            .args(["serve", "--addr", "127.0.0.1:0", "-S", "cli"])
            // The command line of the tests is built without the pooling allocator.
            .args(["-O", "pooling-allocator=n"])
            // One instance answers as many requests as possible, so that they share its memory.
            .args(["--max-instance-reuse-count", "1000000"])
            .args(["--idle-instance-timeout", "600s"]);
        if let Some(store) = store {
            command.args(["--dir", &as_root(store)]);
        }
        for (name, value) in environment {
            command.args(["--env", &format!("{name}={value}")]);
        }
        command.arg(component).stderr(Stdio::piped());
        let process = Process(command.spawn().unwrap());
        Server::listening(process)
    }

    fn listening(mut process: Process) -> Server {
        let mut stderr = BufReader::new(process.0.stderr.take().unwrap());
        let mut said = String::new();
        loop {
            let length = stderr.read_line(&mut said).unwrap();
            assert_ne!(length, 0, "the server has ended: {said}");
            let served = said.split_once("Serving HTTP on http://");
            let Some((address, _)) = served.and_then(|(_, rest)| rest.split_once('/')) else {
                continue;
            };
            return Server {
                process,
                address: address.into(),
                // The server would block if its output was not read.
                rest: thread::spawn(move || io::read_to_string(stderr).unwrap()),
            };
        }
    }

    /// Kills the server. Gives its output since it listened.
    pub fn kill(self) -> String {
        drop(self.process);
        self.rest.join().unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path)
    }

    pub fn request(&self, method: &str, path: &str) -> Answer {
        self.send(method, path).answer()
    }

    /// Sends a request, and does not wait for the answer.
    pub fn send(&self, method: &str, path: &str) -> Sent {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        // In HTTP 1.0, the end of the connection ends the body.
        let address = &self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: {address}\r\n\r\n"
        )
        .unwrap();
        Sent(stream)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The kill fails only if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A request that was sent.
pub struct Sent(TcpStream);

impl Sent {
    pub fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines().map(str::to_owned);
        let status = lines.next().unwrap();
        Answer {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: lines.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.iter().filter_map(|line| line.split_once(':'));
        let mut named = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    /// Where the answer comes from, by its header `x-cache`.
    pub fn from(&self) -> &str {
        self.header("x-cache").unwrap_or("nowhere")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
