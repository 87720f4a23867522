//! The disk backend keeps every promise that a backend makes.

use larder_host_test::Subject;

larder_host_test::conformance!(Subject::disk());
