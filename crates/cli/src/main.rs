//! The binary `pabal`: everything that comes with the house. An own binary is the same line with more systems in it.

use std::process::ExitCode;

fn main() -> ExitCode {
    pabal::main([rcs::system()])
}
