//! The conformance cases, for the disk backend: with both durabilities, and with saves and loads in
//! batches. They run on a real file system and on the simulated disk.

mod full {
    larder_host_test::conformance!(larder_host_test::Subject::disk());
}

mod atomic {
    larder_host_test::conformance!(
        larder_host_test::Subject::disk().env("LARDER_DURABILITY", "atomic")
    );
}

mod simulated {
    larder_host_test::conformance!(larder_host_test::Subject::disk_on(
        &larder_host_test::SimDisk::new(0)
    ));
}

mod in_batches {
    larder_host_test::conformance!(larder_host_test::Subject::disk().in_batches());
}
