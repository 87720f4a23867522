//! `wasmtime serve` as a process that can be killed, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crate::{as_root, wasmtime};

/// A server that cannot answer within this has stopped.
pub const LONGEST: Duration = Duration::from_secs(120);

/// Killed when it is dropped.
pub struct Server {
    process: Child,
    address: String,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Server {
    /// Serves a component that has this folder and this environment, and waits until it listens.
    pub fn start(component: &Path, store: &Path, environment: &[(&str, &str)]) -> Server {
        let mut command = wasmtime();
        command
            .args(["serve", "--addr", "127.0.0.1:0", "-S", "cli", "--dir"])
            .arg(as_root(store))
            // The command line of tests has no pool of memory for instances.
            .args(["-O", "pooling-allocator=n"])
            // One instance answers all that it can, so that there is one memory.
            .args(["--max-instance-reuse-count", "1000000"])
            .args(["--idle-instance-timeout", "600s"]);
        for (name, value) in environment {
            command.args(["--env", &format!("{name}={value}")]);
        }
        let mut process = command
            .arg(component)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut server = Server {
            process,
            address: String::new(),
        };
        let mut said = String::new();
        while server.address.is_empty() {
            let length = stderr.read_line(&mut said).unwrap();
            assert_ne!(length, 0, "the server has ended: {said}");
            let served = said.split_once("Serving HTTP on http://");
            if let Some((address, _)) = served.and_then(|(_, rest)| rest.split_once('/')) {
                server.address = address.into();
            }
        }
        // Whatever else it says is for whoever reads the output of a test that failed.
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
        server
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path)
    }

    pub fn request(&self, method: &str, path: &str) -> Answer {
        self.send(method, path).answer()
    }

    /// Asks and does not wait for the answer.
    pub fn send(&self, method: &str, path: &str) -> Sent {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        // In HTTP 1.0 the body ends where the connection does.
        let address = &self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: {address}\r\n\r\n"
        )
        .unwrap();
        Sent(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already, or goes now.
        let _ = self.process.kill();
        let _ = self.process.wait();
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

    /// Where it says that it comes from.
    pub fn from(&self) -> &str {
        self.header("x-cache").unwrap_or("nowhere")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
