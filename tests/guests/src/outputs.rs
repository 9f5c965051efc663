//! Answers that are too many, too large, or lies.

use crate::{Mode, Output, config, plain, setting};

const MIB: usize = 1_024 * 1_024;

pub(crate) const MODES: &[Mode] = &[
    ("echo", |event| Ok(vec![plain(event.data.clone())])),
    ("nothing", |_| Ok(Vec::new())),
    ("emit", |_| Ok(vec![chosen()])),
    ("many-outputs", |_| Ok((0..count()).map(|_| plain(vec![b'x'; size()])).collect())),
    ("empty-outputs", |_| Ok((0..count()).map(|_| empty()).collect())),
    ("shared-buffer", |_| Ok(all_of_one_buffer(count()))),
    ("many-headers", |_| {
        let headers = (0..count()).map(|n| (format!("x-{n}"), "v".to_owned())).collect();
        Ok(vec![Output { headers, ..plain("") }])
    }),
    ("long-header", |_| {
        let headers = vec![("x".to_owned(), "v".repeat(size()))];
        Ok(vec![Output { headers, ..plain("") }])
    }),
    ("long-subject", |_| Ok(vec![Output { subject: "s".repeat(size()), ..plain("") }])),
    ("false-utf8", |_| Ok(vec![Output { subject: not_utf8(), ..plain("") }])),
];

fn count() -> usize {
    setting("count").parse().unwrap_or(1)
}

fn size() -> usize {
    setting("size").parse().unwrap_or_default()
}

/// One output with the subject, type and header that the manifest chooses.
fn chosen() -> Output {
    let header = config::get("header").map(|name| (name, setting("value")));
    Output { type_: config::get("type"), headers: header.into_iter().collect(), ..plain("") }
}

/// Costs the guest a few bytes and the engine an allocated record.
fn empty() -> Output {
    Output { subject: String::new(), type_: None, headers: Vec::new(), data: Vec::new() }
}

/// As many outputs as wanted, all with the same MiB of data: a few bytes each here, a MiB each for who copies them.
#[expect(unsafe_code, reason = "only an unsound guest can hand over the same memory twice")]
fn all_of_one_buffer(count: usize) -> Vec<Output> {
    let buffer = vec![b'x'; MIB].leak();
    (0..count)
        .map(|_| Output {
            // SAFETY: none. The vectors overlap; whoever frees them harms this instance only.
            data: unsafe { Vec::from_raw_parts(buffer.as_mut_ptr(), MIB, MIB) },
            ..empty()
        })
        .collect()
}

#[expect(unsafe_code, reason = "only an unsound guest can make such a string")]
fn not_utf8() -> String {
    // SAFETY: none. The border is where it must be noticed.
    unsafe { String::from_utf8_unchecked(vec![b'o', 0xff, 0xfe]) }
}
