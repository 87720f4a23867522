//! Single keys: look-ups, scans, and changes under conditions.

use std::thread;
use std::time::{Duration, Instant};

use larder_host::{Backend, Change, Condition, Entry, ErrorKind};
use tempfile::tempdir;

fn put(key: &str, value: &str) -> Change {
    Change::Put(Entry::new(key, value))
}

#[test]
fn a_key_is_read_with_its_deadline_and_without_the_others() {
    let folder = tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    assert_eq!(disk.get("sessions", "a").unwrap(), None);
    let minute = Duration::from_secs(60);
    let before = Instant::now();
    let entries = [Entry::new("a", "1").ttl(minute), Entry::new("b", "2")];
    disk.save("sessions", &entries).unwrap();
    let entry = disk.get("sessions", "a").unwrap().unwrap();
    assert_eq!(
        (entry.key.as_str(), entry.value.as_slice()),
        ("a", &b"1"[..])
    );
    let deadline = entry.expires_at.unwrap();
    assert!(before + minute <= deadline && deadline <= Instant::now() + minute);
    let found = disk.get_many("sessions", ["b", "c", "b"]).unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|found| found.map(|entry| (entry.key, entry.value, entry.expires_at)))
        .collect();
    let b = Some(("b".to_owned(), b"2".to_vec(), None));
    assert_eq!(found, [b.clone(), None, b]);
    let none: [&str; 0] = [];
    assert_eq!(disk.get_many("sessions", none).unwrap(), []);
}

#[test]
fn a_page_says_where_the_next_one_begins() {
    let folder = tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    let entries = (0..100).map(|n| Entry::new(format!("{n:02}"), ""));
    disk.save("sessions", entries).unwrap();
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = disk.scan("sessions", after.as_deref(), 30).unwrap();
        assert!(page.keys.len() <= 30);
        keys.extend(page.keys);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    keys.sort();
    let expected: Vec<String> = (0..100).map(|n| format!("{n:02}")).collect();
    assert_eq!(keys, expected);
    for refused in [
        disk.scan("sessions", None, 0),
        disk.scan("sessions", Some("no cursor"), 1),
    ] {
        let error = refused.unwrap_err();
        let is_argument = matches!(error.kind(), ErrorKind::InvalidArgument(_));
        assert!(is_argument, "{error}");
        assert_eq!(
            (error.operation(), error.cache()),
            ("scan", Some("sessions"))
        );
    }
}

#[test]
fn of_threads_that_count_under_conditions_each_counts() {
    const THREADS: usize = 4;
    const EACH: usize = 10;
    let folder = tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    let count = || {
        for _ in 0..EACH {
            loop {
                let found = disk.get("counters", "a").unwrap();
                let value = found.map(|entry| String::from_utf8(entry.value).unwrap());
                let next = value.as_deref().map_or(0, |n| n.parse::<usize>().unwrap()) + 1;
                let condition = match value {
                    Some(value) => Condition::is("a", value),
                    None => Condition::absent("a"),
                };
                let change = put("a", &next.to_string());
                if disk
                    .apply_if("counters", [condition], [change])
                    .unwrap()
                    .is_empty()
                {
                    break;
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(count);
        }
    });
    let value = disk.get("counters", "a").unwrap().unwrap().value;
    assert_eq!(value, (THREADS * EACH).to_string().as_bytes());
}

#[test]
fn asynchronous_callers_have_the_same_calls_for_single_keys() {
    let folder = tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap().into_async();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let absent = vec![Condition::absent("a")];
        let change = vec![put("a", "1")];
        let unmet = disk.apply_if("sessions", absent.clone(), change.clone());
        assert!(unmet.await.unwrap().is_empty());
        assert_eq!(
            disk.apply_if("sessions", absent, change).await.unwrap(),
            [0]
        );
        let found = disk.get("sessions", "a").await.unwrap().unwrap();
        assert_eq!(found.value, b"1");
        let found = disk.get_many("sessions", vec!["b", "a"]).await.unwrap();
        assert_eq!(found, [None, Some(found[1].clone().unwrap())]);
        let page = disk.scan("sessions", None, 10).await.unwrap();
        assert_eq!((page.keys, page.next), (vec!["a".to_owned()], None));
    });
}
