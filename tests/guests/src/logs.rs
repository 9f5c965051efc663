//! Floods of text.

use std::io::Write;

use crate::bindings::wasmill::plugin::log::Level;
use crate::{Mode, log, plain, random};

const MIB: usize = 1_024 * 1_024;

pub(crate) const MODES: &[Mode] = &[
    ("log-flood", |_| {
        loop {
            log::log(Level::Info, "again and again", &[]);
        }
    }),
    ("log-empty-flood", |_| {
        loop {
            log::log(Level::Info, "", &[]);
        }
    }),
    ("log-at-length", |_| {
        log::log(Level::Info, &"x".repeat(MIB), &[]);
        Ok(Vec::new())
    }),
    ("log-beyond-copying", |_| {
        log::log(Level::Info, &"x".repeat(10 * MIB), &[]);
        Ok(Vec::new())
    }),
    ("log-fields", |_| {
        log::log(Level::Info, "", &vec![(String::new(), String::new()); 1_000_000]);
        Ok(Vec::new())
    }),
    // A terminal or a log file must not be written to by a guest's control characters.
    ("log-control", |_| {
        log::log(
            Level::Info,
            "one\n2026-01-01 ERROR forged\u{1b}[2J\u{7}",
            &[("a\nb".to_owned(), "c\rd".to_owned())],
        );
        Ok(vec![plain("logged")])
    }),
    ("stdout-flood", |_| {
        loop {
            // Without a line's end: whoever waits for one keeps it all.
            let _ = std::io::stdout().write_all(&[b'x'; 1_000]);
            let _ = std::io::stdout().flush();
        }
    }),
    ("print", |_| {
        println!("to stdout");
        eprintln!("to stderr");
        Ok(vec![plain("printed")])
    }),
    ("random-at-length", |_| Ok(vec![plain(random::bytes(u32::MAX))])),
    ("random-flood", |_| {
        let mut sum = 0_u8;
        loop {
            sum = random::bytes(65_536).iter().fold(sum, |sum, byte| sum ^ byte);
        }
    }),
];
