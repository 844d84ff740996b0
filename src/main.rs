//! The command: everything is in the library's `cli` room.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantgate::cli::main()
}
