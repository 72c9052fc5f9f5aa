//! In-memory implementations of the ports, for tests, stories and the simulation.
