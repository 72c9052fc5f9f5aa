//! The binary `pabal`, with the systems of this repository. A binary of one's own is the same line with other systems.

use std::process::ExitCode;

/// Small and short-lived allocations are most of what the writer does beside SQLite (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pabal::main([rcs::system()])
}
