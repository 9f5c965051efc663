//! Looks for what a guest must not see: files, environment, network, the time of day, true chance.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use crate::{Mode, clock, plain, random};

pub(crate) const MODES: &[Mode] = &[
    ("look-around", |_| Ok(vec![plain(seen().join("\n"))])),
    ("ask-the-time", |_| {
        let began = Instant::now();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        Ok(vec![plain(format!("{now} {} {}", clock::now(), began.elapsed().as_nanos()))])
    }),
    ("draw-lots", |_| {
        let lots = [RandomState::new().hash_one(1_u8), random::next(), random::next()];
        Ok(vec![plain(format!("{lots:?} {:?}", random::bytes(4)))])
    }),
];

/// One line for each thing that was there, so that an empty text is the proof.
fn seen() -> Vec<String> {
    let found = [
        ("arguments", env::args().next()),
        ("environment", env::vars().next().map(|(name, _)| name)),
        ("root folder", fs::read_dir("/").ok().map(|_| "readable".to_owned())),
        ("working folder", fs::read_dir(".").ok().map(|_| "readable".to_owned())),
        ("file", fs::read_to_string("/etc/hostname").ok()),
        ("writing", fs::write("wasmill-was-here", "x").ok().map(|()| "done".to_owned())),
        ("standard input", read_input()),
        ("tcp", TcpStream::connect("127.0.0.1:4222").ok().map(|_| "connected".to_owned())),
        ("udp", UdpSocket::bind("127.0.0.1:0").ok().map(|_| "bound".to_owned())),
        ("names", "localhost:80".to_socket_addrs().ok().map(|mut found| format!("{:?}", found.next()))),
        ("threads", std::thread::Builder::new().spawn(|| ()).ok().map(|_| "started".to_owned())),
    ];
    found.into_iter().filter_map(|(what, seen)| seen.map(|seen| format!("{what}: {seen}"))).collect()
}

fn read_input() -> Option<String> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text).ok()?;
    (read > 0).then_some(text)
}
