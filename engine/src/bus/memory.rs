//! In-memory bus.
