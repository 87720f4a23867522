//! Builds the components that the crate carries.

mod guest;

fn main() {
    guest::build(
        &["larder-disk", "larder-cache"],
        &["src", "components/cache"],
    );
}
