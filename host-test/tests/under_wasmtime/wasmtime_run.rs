//! `wasmtime run` with the disk backend alone, and with the smallest application.

use std::path::{Path, PathBuf};
use std::process::Output;

use larder_host::Backend;
use larder_host_test::components::{GUEST, VISITS};
use tempfile::TempDir;

use crate::{as_root, composed, wasmtime};

/// A component in a file, and an empty store.
struct Fixture {
    folder: TempDir,
    component: PathBuf,
    store: PathBuf,
}

impl Fixture {
    fn new(component: &[u8]) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        std::fs::create_dir(&store).unwrap();
        let file = folder.path().join("component.wasm");
        std::fs::write(&file, component).unwrap();
        Fixture {
            folder,
            component: file,
            store,
        }
    }

    fn run(&self, options: &[&str]) -> Output {
        let mut command = wasmtime();
        command.arg("run").args(options).arg(&self.component);
        command.current_dir(self.folder.path()).output().unwrap()
    }

    /// The output of the component on this store.
    fn run_on(&self, store: &Path, options: &[&str]) -> String {
        let output = self.run(&[&["--dir", &as_root(store)], options].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    }
}

/// The README has the first two of these calls.
#[test]
fn the_disk_backend_is_called_by_the_command_line() {
    let disk = Fixture::new(larder_components::DISK);
    let invoke = |call| {
        let options = ["--env", "LARDER_DURABILITY=atomic", "--invoke", call];
        disk.run_on(&disk.store, &options)
    };
    let save = r#"save("sessions", [{key: "a", value: [104, 105], ttl: none}])"#;
    assert_eq!(invoke(save), "ok");
    let loaded = r#"ok({entries: [{key: "a", value: [104, 105]}], lost: 0})"#;
    assert_eq!(invoke(r#"load("sessions")"#), loaded);
    assert_eq!(invoke("list-caches()"), r#"ok(["sessions"])"#);
    let apply = r#"apply("sessions", [put({key: "b", value: [], ttl: none}), remove("a")])"#;
    assert_eq!(invoke(apply), "ok");
    let loaded = r#"ok({entries: [{key: "b", value: []}], lost: 0})"#;
    assert_eq!(invoke(r#"load("sessions")"#), loaded);
    assert_eq!(invoke(r#"clear("sessions")"#), "ok");
    assert_eq!(invoke(r#"load("sessions")"#), "ok({entries: [], lost: 0})");
}

/// wasmtime traps a component that passes 128 MiB to the host in one call, unless it is told
/// otherwise.
#[test]
fn an_application_stores_a_value_that_is_larger_than_wasmtime_takes_at_once() {
    const SIZE: usize = 128 << 20;
    let guest = Fixture::new(&composed(GUEST));
    let keep = format!(r#"keep("sessions", {SIZE})"#);
    assert_eq!(guest.run_on(&guest.store, &["--invoke", &keep]), "ok");
    let stored = Backend::disk(&guest.store)
        .unwrap()
        .load("sessions")
        .unwrap();
    let sizes: Vec<_> = stored
        .entries
        .iter()
        .map(|entry| entry.value.len())
        .collect();
    assert_eq!((sizes, stored.lost), (vec![SIZE], 0));
}

#[test]
fn an_application_counts_on_from_one_run_to_the_next() {
    let visits = Fixture::new(&composed(VISITS));
    for count in 1..=3 {
        let said = visits.run_on(&visits.store, &[]);
        assert_eq!(said, format!("This is visit number {count}."));
    }
}

#[test]
fn an_application_without_a_folder_runs_and_says_what_it_lacks() {
    let visits = Fixture::new(&composed(VISITS));
    for _ in 0..2 {
        let output = visits.run(&[]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "This is visit number 1.\n");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("was given no directory"), "{errors}");
        assert_eq!(output.status.code(), Some(1));
    }
}
