//! The disk backend keeps every promise that a backend makes, with either durability.

mod full {
    larder_host_test::conformance!(larder_host_test::Subject::disk());
}

mod atomic {
    larder_host_test::conformance!(
        larder_host_test::Subject::disk().env("LARDER_DURABILITY", "atomic")
    );
}
