//! Deterministic simulation of whole systems under faults.
