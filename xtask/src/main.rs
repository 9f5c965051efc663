//! Builds, tests, demonstrates and measures Wasmill.
fn main(){}
