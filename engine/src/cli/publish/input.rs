//! Opens what is to be published: a file or stdin, plain or gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;

const BUFFER_BYTES: usize = 256 * 1_024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What the rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Syntax {
    /// A heading, then one row a line, by RFC 4180.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// An opened input.
pub(super) struct Input {
    /// What ids are made of: the file's name without its folder.
    pub(super) name: String,
    /// Its text.
    pub(super) reader: Box<dyn BufRead + Send>,
    /// What it is written in.
    pub(super) syntax: Syntax,
    /// Bytes on disk, if known; compressed ones if it is compressed.
    pub(super) size: Option<u64>,
    /// How many of them have been read.
    pub(super) read: Arc<AtomicU64>,
    /// Whether rows come as somebody writes them, so that they must not wait for each other.
    pub(super) live: bool,
}

/// Opens a file, or stdin for `-`. Compression is told by content, the syntax by the name and else by content.
pub(super) fn open(path: &Path, forced: Option<Syntax>) -> anyhow::Result<Input> {
    let read = Arc::new(AtomicU64::new(0));
    let live = path.as_os_str() == "-";
    let (source, name, size): (Box<dyn Read + Send>, String, Option<u64>) = if live {
        (Box::new(io::stdin()), "stdin".to_owned(), None)
    } else {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let about = file.metadata().with_context(|| format!("read {}", path.display()))?;
        if about.is_dir() {
            bail!("{} is a folder\n  hint: publish its files one by one", path.display());
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        (Box::new(file), name, about.is_file().then_some(about.len()))
    };
    let counted = Counted { source, read: Arc::clone(&read) };
    let mut reader = plain(counted).with_context(|| format!("read {name}"))?;
    let syntax = match forced.or_else(|| by_name(&name)) {
        Some(syntax) => syntax,
        None => by_content(reader.fill_buf().with_context(|| format!("read {name}"))?),
    };
    Ok(Input { name, reader, syntax, size, read, live })
}

fn plain(source: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, source);
    if raw.fill_buf()?.starts_with(&GZIP_MAGIC) {
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))))
    } else {
        Ok(Box::new(raw))
    }
}

fn by_name(name: &str) -> Option<Syntax> {
    let lower = name.to_ascii_lowercase();
    let stem = lower.strip_suffix(".gz").unwrap_or(&lower);
    match stem.rsplit_once('.')?.1 {
        "csv" => Some(Syntax::Csv),
        "ndjson" | "jsonl" | "json" => Some(Syntax::Ndjson),
        _ => None,
    }
}

fn by_content(start: &[u8]) -> Syntax {
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'{') { Syntax::Ndjson } else { Syntax::Csv }
}

struct Counted<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_syntax_is_told_by_name_then_by_content() {
        for (name, wanted) in [
            ("a.csv", Some(Syntax::Csv)),
            ("a.CSV.gz", Some(Syntax::Csv)),
            ("a.ndjson", Some(Syntax::Ndjson)),
            ("a.b.jsonl.gz", Some(Syntax::Ndjson)),
            ("a.txt", None),
            ("stdin", None),
        ] {
            assert_eq!(by_name(name), wanted, "{name}");
        }
        assert_eq!(by_content(b"\n {\"a\":1}"), Syntax::Ndjson);
        assert_eq!(by_content(b"a,b\n1,2"), Syntax::Csv);
        assert_eq!(by_content(b""), Syntax::Csv);
    }

    #[test]
    fn gzip_is_told_by_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.csv");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"a\n1\n").unwrap();
        let mut bytes = gz.finish().unwrap();
        // A file of several members, as parallel compressors write it.
        bytes.extend(bytes.clone());
        std::fs::write(&path, &bytes).unwrap();
        let mut input = open(&path, None).unwrap();
        let mut text = String::new();
        input.reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\n1\na\n1\n");
        assert_eq!(input.read.load(Ordering::Relaxed), bytes.len() as u64);
        assert!(open(dir.path(), None).is_err_and(|err| err.to_string().contains("folder")));
    }
}
