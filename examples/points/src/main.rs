//! An own binary: the system that comes with the house, and ours.

use std::process::ExitCode;

fn main() -> ExitCode {
    pabal::main([rcs::system(), points::system()])
}
