//! The corpus of hostile guests: what each does, under which limits, and how it must end.
//!
//! Most are modes of one Rust component (`tests/guests`). What Rust cannot express is text: a core module that is set
//! into a frame, or a whole component (`tests/guests/wat`). A few are bytes made here.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::parts;

mod corpus;
mod programs;

pub use corpus::HOSTILE;
pub use programs::Program;

/// A mode that the Rust component does not have.
pub const NO_MODE: &str = "there is no such mode";

/// The mode of the Rust component that does what each event asks for.
pub const CHAOS_MODE: &str = "chaos";

/// Where a guest comes from.
#[derive(Debug, Clone, Copy)]
pub enum Guest {
    /// A mode of the Rust component.
    Mode(&'static str),
    /// A core module in text, to be set into the frame that makes it a plugin.
    Core(&'static str),
    /// A file in text, as it is.
    Whole(&'static str),
    /// Bytes made by a function.
    Made(fn() -> Result<Vec<u8>>),
}

/// How a guest must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is never put into service; the refusal holds this text.
    Refused(&'static str),
    /// The event fails under this name.
    Fails(&'static str),
    /// It does no harm: the event is handled. If there is a text, it is the data of the only output.
    Harmless(Option<&'static str>),
}

/// One hostile guest.
#[derive(Debug, Clone, Copy)]
pub struct Hostile {
    /// What it does.
    pub name: &'static str,
    /// Where it comes from.
    pub guest: Guest,
    /// Lines of its `[config]` table.
    pub config: &'static str,
    /// Lines of its `[limits]` table; the rest are the defaults.
    pub limits: &'static str,
    /// How it must end.
    pub end: End,
}

impl Hostile {
    const fn new(name: &'static str, guest: Guest, end: End) -> Self {
        Self { name, guest, config: "", limits: "", end }
    }

    const fn config(mut self, lines: &'static str) -> Self {
        self.config = lines;
        self
    }

    const fn limits(mut self, lines: &'static str) -> Self {
        self.limits = lines;
        self
    }

    /// Its manifest: it may emit to `out` and below, and nowhere else.
    #[must_use]
    pub fn manifest(&self) -> String {
        let mut text =
            String::from("[[subscribe]]\nsubjects = [\"in.>\"]\n\n[emit]\nsubjects = [\"out\", \"out.>\"]\n");
        if !self.limits.is_empty() {
            let _ = write!(text, "\n[limits]\n{}\n", self.limits);
        }
        text.push_str("\n[config]\n");
        if let Guest::Mode(mode) = self.guest {
            let _ = writeln!(text, "mode = {mode:?}");
        }
        text.push_str(self.config);
        text
    }

    /// Its component.
    ///
    /// # Errors
    /// If the Rust component was not built, or a text is none.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match self.guest {
            Guest::Mode(_) => rust_component(),
            Guest::Core(name) => assemble(name, &framed(&text(name)?)?),
            Guest::Whole(name) => whole(name),
            Guest::Made(make) => make(),
        }
    }
}

/// The Rust component, whose mode the manifest chooses.
///
/// # Errors
/// If it was not built.
pub fn rust_component() -> Result<Vec<u8>> {
    let path = parts::test_guests()?;
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What the Rust component calls itself in the outputs of [`CHAOS_MODE`], in its version of this number.
#[must_use]
pub fn chaos_version_name(number: u16) -> String {
    format!("chaos version {number:04} of the test guests")
}

/// The Rust component in another version: it does the same, has another digest, and stamps its outputs with its name.
///
/// # Errors
/// If the component was not built, or does not hold its name.
pub fn chaos_version(number: u16) -> Result<Vec<u8>> {
    renamed(&rust_component()?, &chaos_version_name(0), &chaos_version_name(number))
}

/// A component with every occurrence of one text replaced by another of the same length.
///
/// # Errors
/// If the text does not occur, or the lengths differ.
pub fn renamed(component: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len(), "{from:?} and {to:?} are not of the same length");
    let mut bytes = component.to_vec();
    let places: Vec<usize> = component
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    ensure!(!places.is_empty(), "the component does not hold {from:?}");
    for at in places {
        if let Some(place) = bytes.get_mut(at..at + to.len()) {
            place.copy_from_slice(to.as_bytes());
        }
    }
    Ok(bytes)
}

/// A component that answers every event with nothing: what is left is the cost of the call.
///
/// # Errors
/// If its text is none.
pub fn no_op() -> Result<Vec<u8>> {
    Hostile::new("no-op", Guest::Core("well-behaved"), End::Harmless(None)).bytes()
}

/// A guest in text, as it is.
///
/// # Errors
/// If there is none of this name, or its text is none.
pub fn whole(name: &str) -> Result<Vec<u8>> {
    assemble(name, &text(name)?)
}

/// The folder of the guests in text.
#[must_use]
pub fn text_folder() -> PathBuf {
    parts::root().join("tests/guests/wat")
}

fn text(name: &str) -> Result<String> {
    let path = text_folder().join(format!("{name}.wat"));
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn framed(core: &str) -> Result<String> {
    let frame = text("frame")?;
    let (before, after) = frame.split_once(";; GUEST\n").context("frame.wat has no line GUEST")?;
    Ok(format!("{before}{core}{after}"))
}

fn assemble(name: &str, text: &str) -> Result<Vec<u8>> {
    wat::parse_str(text).with_context(|| format!("{name}.wat"))
}

/// A component of very many core instances, each with a memory of its own.
fn nest_of_instances() -> Result<Vec<u8>> {
    let mut text = String::from("(component\n(core module $m (memory (export \"memory\") 1))\n");
    for _ in 0..1_000 {
        text.push_str("(core instance (instantiate $m))\n");
    }
    text.push_str("(instance $handler)\n(export \"wasmill:plugin/handler@0.1.0\" (instance $handler)))");
    assemble("nest of instances", &text)
}

/// The well-behaved guest with three MiB of nothing at its end, in a section that every reader skips.
fn bloated() -> Result<Vec<u8>> {
    const CUSTOM_SECTION: u8 = 0;
    // An empty name and 3 MiB - 1 bytes: the length in LEB128 is 3 * 2^20.
    let mut bytes = well_behaved()?;
    bytes.extend([CUSTOM_SECTION, 0x80, 0x80, 0xc0, 0x01]);
    bytes.resize(bytes.len() + 3 * 1_024 * 1_024, 0);
    Ok(bytes)
}

/// The first half of a good file.
fn cut_off() -> Result<Vec<u8>> {
    let mut bytes = rust_component()?;
    bytes.truncate(bytes.len() / 2);
    Ok(bytes)
}

fn nothing() -> Result<Vec<u8>> {
    Ok(Vec::new())
}

fn prose() -> Result<Vec<u8>> {
    Ok(b"this is no WebAssembly, whatever the file's name says".to_vec())
}

fn well_behaved() -> Result<Vec<u8>> {
    assemble("well-behaved", &framed(&text("well-behaved")?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_webassembly() {
        for hostile in
            HOSTILE.iter().filter(|hostile| matches!(hostile.guest, Guest::Core(_) | Guest::Whole(_)))
        {
            let bytes = hostile.bytes().unwrap_or_else(|err| panic!("{}: {err:#}", hostile.name));
            assert_eq!(&bytes[..4], b"\0asm", "{}", hostile.name);
        }
        assert!(nest_of_instances().unwrap().len() > 1_000);
        assert!(bloated().unwrap().len() > 3 * 1_024 * 1_024);
    }

    #[test]
    fn every_manifest_is_sound() {
        for hostile in HOSTILE {
            let manifest = wasmill::manifest::Manifest::parse(&hostile.manifest());
            assert!(manifest.is_ok(), "{}: {}", hostile.name, manifest.unwrap_err());
        }
    }
}
