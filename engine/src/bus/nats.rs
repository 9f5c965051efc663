//! NATS bus.
