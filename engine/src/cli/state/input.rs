//! An export that is read twice: once to see whether it is sound, once to store it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};

use super::line::{Head, Line};
use crate::record::Record;

/// The longest line in bytes: the largest record, told in the least compact way.
const MAX_LINE_BYTES: u64 = 64 * 1_024 * 1_024;

/// A file, or what came through stdin.
pub(super) struct Input {
    file: File,
    name: String,
}

impl Input {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { file: spooled().context("keep what stdin brings")?, name: "stdin".to_owned() });
        }
        let name = path.display().to_string();
        Ok(Self { file: File::open(path).with_context(|| format!("open {name}"))?, name })
    }

    /// Its lines, from the first.
    pub(super) fn lines(&self) -> anyhow::Result<Lines<'_>> {
        let mut file = &self.file;
        let begun = file.rewind();
        begun.with_context(|| {
            format!("read {}\n  hint: it is read twice; give it as stdin if it cannot be", self.name)
        })?;
        Ok(Lines { reader: BufReader::new(file), name: &self.name, number: 0, line: Vec::new() })
    }
}

/// A file without a name, gone with the last who holds it open: what comes in may be anybody's secret.
fn spooled() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("wasmill-import-{:016x}", fastrand::u64(..)));
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(file)
}

pub(super) struct Lines<'a> {
    reader: BufReader<&'a File>,
    name: &'a str,
    number: u64,
    line: Vec<u8>,
}

impl Lines<'_> {
    /// What the first line says.
    pub(super) fn head(&mut self) -> anyhow::Result<Head> {
        ensure!(self.advance()?, "{} is empty", self.name);
        Head::read(&self.line).with_context(|| self.at())
    }

    /// The next record, and after how many seconds the server drops it.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(Record, Option<u64>)>> {
        while self.advance()? {
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Line::read(&self.line).with_context(|| self.at())?));
            }
        }
        Ok(None)
    }

    /// Where it is.
    pub(super) fn at(&self) -> String {
        format!("{}:{}", self.name, self.number)
    }

    fn advance(&mut self) -> anyhow::Result<bool> {
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut self.reader).take(MAX_LINE_BYTES);
        let bytes =
            bounded.read_until(b'\n', &mut self.line).with_context(|| format!("read {}", self.name))?;
        if bytes as u64 == MAX_LINE_BYTES {
            return Err(anyhow!("{}: the line has more than {MAX_LINE_BYTES} bytes", self.at()));
        }
        Ok(bytes > 0)
    }
}
