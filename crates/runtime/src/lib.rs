//! Runs services: a sans-IO core, its ports and its drivers.
