# The commands of the docs: `just` lists them, and each line can be typed as it is.

_default:
    @just --list --unsorted

# All that has to pass before a change lands
ci:
    bash .ci/run

# Run the demo: the first command of the README
demo:
    cargo run --release -- demo

# Run every test: the second command of the README
test:
    cargo test

# Check formatting and lints, natively and for WebAssembly
lint:
    cargo fmt --all --check
    cargo clippy --workspace --exclude larder-guest --all-targets -- --deny warnings
    cargo clippy --target wasm32-wasip2 {{ components }} -- --deny warnings

# Run the deliberate faults that the storage code has not met since they last passed
mutants:
    cargo test --test mutants -- --ignored --nocapture

# Run the checks that take hours, and the checks that no single change needs
nightly:
    LARDER_MUTANTS=all cargo test -- --ignored --nocapture
    cargo check --manifest-path benches/Cargo.toml --all-targets
    cargo deny check

# Replay a random test with the seed that it printed: just replay 42 interleavings::
replay seed test:
    LARDER_SEED={{ seed }} cargo test {{ test }} -- --nocapture

# Print the figures that the structure of the repository is held to
numbers:
    cargo xtask numbers

# Check licences, sources and duplicate versions of the dependencies
deny:
    cargo deny check licenses bans sources

# Package every crate of crates/, and check the packages outside the workspace
package:
    cargo xtask package --dry

# Write all that a release publishes: components, WIT package, command, checksums
release out="target/release-files":
    cargo xtask release --out {{ out }}

# Measure Larder beside other stores
bench *arguments:
    cargo run --release --manifest-path benches/Cargo.toml -- {{ arguments }}

# Fuzz the decoder of the files, or the reader of pickles (needs cargo-fuzz and a nightly compiler)
fuzz target="decode":
    cargo +nightly fuzz run {{ target }}

components := "--package larder-disk --package larder-cache --package larder-memory --package larder-simple-updates \
    --package larder-tiered --package larder-keyvalue --package larder-broken --package larder-guest \
    --package example-visits --package example-keyvalue-visits --package example-http-cache"
