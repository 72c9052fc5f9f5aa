//! The binary `pabal`: everything that comes with the house. An own binary is the same line with more systems in it.

use std::process::ExitCode;

/// Small and short-lived allocations are most of what the writer does beside SQLite (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pabal::main([rcs::system()])
}
