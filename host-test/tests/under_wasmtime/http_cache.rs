//! `examples/http-cache` under `wasmtime serve`.

use std::iter;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;

use larder_host_test::components::HTTP_CACHE;
use tempfile::TempDir;

use crate::composed;
use crate::server::{LONGEST, Server};
use crate::upstream::{Reply, Upstream};

/// The component in a file, and a store.
struct Fixture {
    component: PathBuf,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let component = folder.path().join("http_cache.wasm");
        std::fs::write(&component, composed(HTTP_CACHE)).unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        Fixture { component, folder }
    }

    fn start(&self, environment: &[(&str, &str)]) -> Server {
        let store = self.folder.path().join("store");
        Server::start(&self.component, Some(&store), environment)
    }

    fn before(&self, upstream: &Upstream) -> Server {
        self.start(&[("UPSTREAM", &upstream.url())])
    }
}

fn page(path: &str, _: usize) -> Reply {
    let body = format!("<p>You asked for {path}.");
    Reply::new("content-type: text/html\r\n", body)
}

#[test]
fn pages_outlive_a_server_that_is_killed() {
    let fixture = Fixture::new();
    let upstream = Upstream::start(page);

    let server = fixture.before(&upstream);
    let first = server.get("/a?b=c");
    assert_eq!((first.status, first.from()), (200, "miss"));
    assert_eq!(first.header("content-type"), Some("text/html"));
    assert_eq!(first.text(), "<p>You asked for /a?b=c.");
    let said = server.kill();
    assert_eq!(said, "");

    let server = fixture.before(&upstream);
    for _ in 0..2 {
        let again = server.get("/a?b=c");
        assert_eq!((again.status, again.from()), (200, "hit"));
        assert_eq!(again.header("content-type"), Some("text/html"));
        assert_eq!(again.body, first.body);
    }
    assert_eq!(upstream.asked("/a?b=c"), 1);

    let other = server.get("/a?b=d");
    assert_eq!((other.status, other.from()), (200, "miss"));
    assert_eq!(other.text(), "<p>You asked for /a?b=d.");
    assert_eq!(server.get("/a?b=d").from(), "hit");
    assert_eq!(upstream.asked("/a?b=d"), 1);
}

#[test]
fn what_is_cached_is_there_while_the_upstream_is_down() {
    let fixture = Fixture::new();
    let upstream = Upstream::start(page);
    let server = fixture.before(&upstream);
    assert_eq!(server.get("/a").from(), "miss");
    let url = upstream.url();
    drop(upstream);

    assert_eq!(server.get("/a").from(), "hit");
    let failed = server.get("/b");
    assert_eq!(failed.status, 502);
    let text = failed.text();
    assert!(text.contains(&format!("{url}/b")), "{text}");
    assert!(text.contains("ConnectionRefused"), "{text}");
}

#[test]
fn an_answer_that_breaks_off_is_no_answer_and_not_kept() {
    let fixture = Fixture::new();
    let upstream = Upstream::start(|path, time| Reply {
        length: (time == 1).then_some(1000),
        ..page(path, time)
    });
    let server = fixture.before(&upstream);
    let failed = server.get("/a");
    assert_eq!(failed.status, 502, "{}", failed.text());
    // The next request does not wait for the failed request.
    assert_eq!(server.get("/a").from(), "miss");
    assert_eq!(server.get("/a").from(), "hit");
}

#[test]
fn what_may_not_be_kept_is_asked_for_again() {
    let fixture = Fixture::new();
    let upstream = Upstream::start(|path, time| match path {
        "/missing" => Reply {
            status: 404,
            ..page(path, time)
        },
        "/no-store" => Reply::new("cache-control: no-store\r\n", "."),
        "/private" => Reply::new("Cache-Control: max-age=9, Private\r\n", "."),
        "/past" => Reply::new("cache-control: public, max-age=0\r\n", "."),
        "/cookie" => Reply::new("set-cookie: a=b\r\n", "."),
        "/zipped" => Reply::new("content-encoding: gzip\r\n", "."),
        "/long" => Reply::new("content-type: text/plain\r\n", "long ".repeat(2_000_000)),
        _ => page(path, time),
    });
    let server = fixture.before(&upstream);
    let paths = [
        "/missing",
        "/no-store",
        "/private",
        "/past",
        "/cookie",
        "/zipped",
        "/long",
    ];
    for path in paths {
        for asked in 1..=2 {
            let answer = server.get(path);
            assert_eq!(answer.from(), "miss", "{path}");
            assert_eq!(upstream.asked(path), asked, "{path}");
            assert_eq!(answer.status, if path == "/missing" { 404 } else { 200 });
            if path == "/long" {
                assert_eq!(answer.header("content-type"), Some("text/plain"));
                assert!(answer.body == "long ".repeat(2_000_000).as_bytes());
            }
        }
    }

    let refused = server.request("POST", "/a");
    assert_eq!(refused.status, 405);
    assert_eq!(refused.header("allow"), Some("GET"));
    assert_eq!(upstream.asked("/a"), 0);
}

#[test]
fn without_a_folder_it_caches_for_as_long_as_it_runs_and_says_so() {
    let fixture = Fixture::new();
    let upstream = Upstream::start(page);
    let environment = [("UPSTREAM", &*upstream.url())];
    let server = Server::start(&fixture.component, None, &environment);
    assert_eq!(server.get("/a").from(), "miss");
    assert_eq!(server.get("/a").from(), "hit");
    let said = server.kill();
    assert!(
        said.contains("/a is cached, but will not outlive"),
        "{said}"
    );
    assert!(said.contains("was given no directory"), "{said}");
}

#[test]
fn settings_that_are_no_good_are_named() {
    let fixture = Fixture::new();
    let wrong: [(&[(&str, &str)], &str); 3] = [
        (&[], "UPSTREAM"),
        (&[("UPSTREAM", "example.org")], "example.org"),
        (
            &[("UPSTREAM", "http://127.0.0.1:1"), ("TTL", "soon")],
            "soon",
        ),
    ];
    for (environment, named) in wrong {
        let answer = fixture.start(environment).get("/a");
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains(named), "{}", answer.text());
    }
}

#[test]
fn many_callers_at_once_get_what_they_ask_for() {
    let fixture = Fixture::new();
    let upstream = Upstream::start(page);
    let server = fixture.before(&upstream);
    let asked: Vec<_> = (0..60).map(|n| format!("/{}", n % 6)).collect();
    let sent: Vec<_> = asked.iter().map(|path| server.send("GET", path)).collect();
    let mut misses = 0;
    for (path, sent) in asked.iter().zip(sent) {
        let answer = sent.answer();
        assert_eq!(answer.text(), format!("<p>You asked for {path}."));
        match answer.from() {
            "hit" => {}
            "miss" => misses += 1,
            from => panic!("{path} comes from {from}"),
        }
    }
    let times: usize = (0..6).map(|n| upstream.asked(&format!("/{n}"))).sum();
    assert_eq!(times, misses);
    for path in &asked[..6] {
        assert_eq!(server.get(path).status, 200);
    }
}

/// How often a test of two callers is tried, each time with a new server.
///
/// The server may start a second instance at any time, with a memory of its own. Then the callers
/// do not share an instance, and the test has to be repeated.
const ROUNDS: usize = 20;

/// Tells the test that a request has come, and waits until the test releases it.
fn hold(holding: &Mutex<Sender<Sender<()>>>) {
    let (release, released) = mpsc::channel();
    // After the end of the test, no request is held.
    if holding.lock().unwrap().send(release).is_ok() {
        let _ = released.recv();
    }
}

#[test]
fn callers_get_what_has_expired_while_one_asks_for_a_new_one() {
    let fixture = Fixture::new();
    let (holding, held) = mpsc::channel();
    let holding = Mutex::new(holding);
    let upstream = Upstream::start(move |_, time| {
        if time == 2 {
            hold(&holding);
        }
        Reply::new("cache-control: max-age=1\r\n", format!("answer {time}"))
    });
    for round in 0..ROUNDS {
        let server = fixture.before(&upstream);
        let path = format!("/{round}");
        assert_eq!(server.get(&path).from(), "miss");
        let other = thread::scope(|scope| {
            // Asks until the page has expired. The request after that is held.
            let asks = scope.spawn(|| {
                let mut answers = iter::repeat_with(|| server.get(&path));
                answers.find(|answer| answer.from() != "hit").unwrap()
            });
            let release = held.recv_timeout(LONGEST).unwrap();
            let other = server.get(&path);
            drop(release);
            let asked = asks.join().unwrap();
            assert_eq!((asked.from(), asked.text()), ("miss", "answer 2".into()));
            other
        });
        if other.from() == "stale" {
            assert_eq!((other.status, other.text()), (200, "answer 1".into()));
            return;
        }
        assert_eq!(other.from(), "miss");
    }
    panic!("in {ROUNDS} rounds, nobody got what had expired");
}

#[test]
fn callers_of_one_page_wait_for_the_one_that_asks() {
    let fixture = Fixture::new();
    let (holding, held) = mpsc::channel();
    let holding = Mutex::new(holding);
    let upstream = Upstream::start(move |path, time| {
        if path != "/later" && time == 1 {
            hold(&holding);
        }
        Reply::new("", format!("answer {time}"))
    });
    for round in 0..ROUNDS {
        let server = fixture.before(&upstream);
        let path = format!("/{round}");
        let first = server.send("GET", &path);
        let release = held.recv_timeout(LONGEST).unwrap();
        let other = server.send("GET", &path);
        // If `other` did not wait, it has asked upstream before this later request is answered.
        assert_eq!(server.get("/later").status, 200);
        drop(release);
        let (first, other) = (first.answer(), other.answer());
        assert_eq!((first.from(), first.text()), ("miss", "answer 1".into()));
        if upstream.asked(&path) == 1 {
            assert_eq!((other.from(), other.text()), ("hit", "answer 1".into()));
            return;
        }
        assert_eq!((other.from(), other.text()), ("miss", "answer 2".into()));
    }
    panic!("in {ROUNDS} rounds, the other one always asked too");
}
