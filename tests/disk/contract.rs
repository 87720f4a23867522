//! The disk backend keeps every promise that a backend makes, with either durability, by lists and in batches, on a
//! real file system and on the simulated disk that the attacks are made on.

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
