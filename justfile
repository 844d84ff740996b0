# The project's commands; `just` lists them.

_default:
    @just --list

# Run the default plan on the bundled model
run *ARGS:
    cargo run --release -- {{ARGS}}

# All tests
test *ARGS:
    cargo test --release {{ARGS}}

# What CI runs
ci:
    .ci/run

# Formatting, lints and documentation
check:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps

# Make the bundled model's datasets again
datasets:
    cargo run --release --example demo_model -- data

# Compare with llama.cpp on the same files (LLAMA_CPP=folder of its sources and programs)
against-llama-cpp:
    benches/llama_cpp.sh
