//! Asynchronous callers read and write entry by entry, as blocking callers do.

use std::collections::BTreeMap;
use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use larder_host::{AsyncBackend, AsyncEntries, Backend, Entry, ErrorKind, LiveEntry};
use tempfile::TempDir;
use tokio::runtime;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs a test with the disk backend on an empty folder, in a runtime with a single thread.
fn with_disk(test: impl AsyncFnOnce(&AsyncBackend, &Path)) {
    let folder = TempDir::new().unwrap();
    let disk = Backend::disk(folder.path()).unwrap().into_async();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test(&disk, folder.path()));
}

/// Enough entries for many batches, some with a ttl.
fn many() -> Vec<Entry> {
    let entry = |n: usize| Entry::new(format!("key {n}"), vec![n as u8; 100]);
    let mut entries: Vec<_> = (0..10_000).map(entry).collect();
    for entry in entries.iter_mut().step_by(3) {
        entry.ttl = Some(HOUR);
    }
    entries.push(Entry::new("large", vec![7; 1 << 20]));
    entries
}

async fn write(disk: &AsyncBackend, cache: &str, entries: Vec<Entry>) {
    let mut writer = disk.write(cache);
    for entry in entries {
        writer.put(entry).await.unwrap();
    }
    writer.commit().await.unwrap();
}

async fn rest(entries: &mut AsyncEntries) -> Vec<LiveEntry> {
    let mut rest = Vec::new();
    while let Some(entry) = entries.next().await {
        rest.push(entry.unwrap());
    }
    rest
}

/// The values by their keys, and whether they expire.
fn kept(entries: Vec<LiveEntry>) -> BTreeMap<String, (Vec<u8>, bool)> {
    let count = entries.len();
    let kept = entries.into_iter();
    let kept = kept.map(|entry| (entry.key, (entry.value, entry.expires_at.is_some())));
    let kept: BTreeMap<_, _> = kept.collect();
    assert_eq!(kept.len(), count, "a key comes once");
    kept
}

fn saved(entries: Vec<Entry>) -> BTreeMap<String, (Vec<u8>, bool)> {
    let saved = entries.into_iter();
    let saved = saved.map(|entry| (entry.key, (entry.value, entry.ttl.is_some())));
    saved.collect()
}

#[test]
fn a_read_gives_what_a_load_gives_in_many_batches() {
    with_disk(async |disk, _| {
        disk.save("cache", many()).await.unwrap();
        let loaded = kept(disk.load("cache").await.unwrap().entries);
        let mut entries = disk.read("cache").await.unwrap();
        assert_eq!(entries.total(), many().len() as u64);
        assert!(kept(rest(&mut entries).await) == loaded);
        assert!(loaded == saved(many()));
        // After the last entry there is none, however often it is asked for.
        assert!(entries.next().await.is_none());
        assert_eq!(entries.lost(), 0);
    });
}

#[test]
fn a_write_of_many_batches_stores_what_a_save_stores() {
    with_disk(async |disk, _| {
        disk.save("cache", [Entry::new("before", "")])
            .await
            .unwrap();
        write(disk, "cache", many()).await;
        assert!(kept(disk.load("cache").await.unwrap().entries) == saved(many()));
        write(disk, "cache", Vec::new()).await;
        assert_eq!(disk.load("cache").await.unwrap().entries, []);
    });
}

#[test]
fn a_read_is_a_stream() {
    with_disk(async |disk, _| {
        disk.save("cache", many()).await.unwrap();
        let mut entries = disk.read("cache").await.unwrap();
        let mut count = 0;
        while let Some(entry) = poll_fn(|cx| Pin::new(&mut entries).poll_next(cx)).await {
            entry.unwrap();
            count += 1;
        }
        assert_eq!(count, many().len());
    });
}

#[test]
fn a_writer_that_is_dropped_has_done_nothing() {
    with_disk(async |disk, folder| {
        disk.save("cache", [Entry::new("before", "")])
            .await
            .unwrap();
        for count in [0, 1, many().len()] {
            let mut writer = disk.write("cache");
            for entry in many().into_iter().take(count) {
                writer.put(entry).await.unwrap();
            }
            drop(writer);
        }
        let left = disk.load("cache").await.unwrap().entries;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].key, "before");
        assert_eq!(disk.list().await.unwrap(), ["cache"]);
        no_temporaries(folder).await;
    });
}

/// Waits until the dropped writers have removed their drafts and temporaries, in the background.
async fn no_temporaries(folder: &Path) {
    let temporaries = || {
        let files = fs::read_dir(folder).unwrap().flat_map(|cache| {
            let cache = cache.unwrap().path();
            cache.is_dir().then(|| fs::read_dir(cache).unwrap())
        });
        let names = files.flatten().map(|file| file.unwrap().path());
        names
            .filter(|name| {
                name.extension()
                    .is_some_and(|is| is == "part" || is == "tmp")
            })
            .count()
    };
    for _ in 0..1000 {
        if temporaries() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("temporaries are left: {}", temporaries());
}

#[test]
fn entries_that_are_dropped_early_leave_the_backend_working() {
    with_disk(async |disk, _| {
        disk.save("cache", many()).await.unwrap();
        let mut entries = disk.read("cache").await.unwrap();
        entries.next().await.unwrap().unwrap();
        drop(entries);
        assert_eq!(
            disk.load("cache").await.unwrap().entries.len(),
            many().len()
        );
    });
}

#[test]
fn a_dropped_future_loses_no_entry() {
    with_disk(async |disk, _| {
        disk.save("cache", many()).await.unwrap();
        let mut entries = disk.read("cache").await.unwrap();
        let mut given = Vec::new();
        let mut dropped = 0;
        loop {
            // A future that is pending is in the middle of a call for a batch.
            let polled = pin!(entries.next()).poll(&mut Context::from_waker(Waker::noop()));
            let next = match polled {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    dropped += 1;
                    entries.next().await
                }
            };
            match next {
                Some(entry) => given.push(entry.unwrap()),
                None => break,
            }
        }
        assert!(dropped > 1, "{dropped} futures were dropped during a call");
        assert!(kept(given) == saved(many()));
    });
}

#[test]
fn errors_of_the_backend_come_through() {
    with_disk(async |disk, folder| {
        let error = disk.read("a/b").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidName(_)), "{error}");
        assert_eq!((error.operation(), error.cache()), ("read", Some("a/b")));

        let mut writer = disk.write("a/b");
        writer.put(Entry::new("key", "value")).await.unwrap();
        let error = writer.commit().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidName(_)), "{error}");
        assert_eq!((error.operation(), error.cache()), ("write", Some("a/b")));

        // A put gives the error of its batch. All calls after it give the same error.
        let mut writer = disk.write("a/b");
        let mut failed = None;
        for entry in many() {
            if let Err(error) = writer.put(entry).await {
                failed = Some(error);
                break;
            }
        }
        let kind = failed.expect("a batch is refused").kind().clone();
        assert!(matches!(kind, ErrorKind::InvalidName(_)), "{kind}");
        let again = writer.put(Entry::new("key", "value")).await.unwrap_err();
        assert_eq!(*again.kind(), kind);
        assert_eq!(*writer.commit().await.unwrap_err().kind(), kind);

        disk.save("cache", many()).await.unwrap();
        let file = only_file(&folder.join("cache"));
        fs::write(file, [0; 100]).unwrap();
        let error = disk.read("cache").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error}");
    });
}

fn only_file(folder: &Path) -> std::path::PathBuf {
    let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().unwrap().unwrap().path()
}

#[test]
fn changes_may_come_in_any_list() {
    with_disk(async |disk, _| {
        let put = |key: &str| larder_host::Change::Put(Entry::new(key, "value"));
        disk.apply("cache", [put("array")]).await.unwrap();
        disk.apply("cache", vec![put("list")]).await.unwrap();
        let shared: std::sync::Arc<[_]> = [put("shared")].into();
        disk.apply("cache", shared).await.unwrap();
        assert_eq!(disk.load("cache").await.unwrap().entries.len(), 3);
    });
}
