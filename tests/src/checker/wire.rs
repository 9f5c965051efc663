//! The NATS protocol as the checker speaks it: one blocking socket, and nothing of the client that the engine uses.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How long connecting, and the rest of a frame whose beginning is there, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest frame that is read, in bytes: twice what a server lets pass by default.
const MAX_FRAME: usize = 2 * 1_024 * 1_024;
/// What the connection tells the server of itself.
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
                       \"protocol\":1,\"name\":\"checker\",\"lang\":\"rust\",\"version\":\"0\"}\r\n";

/// A message as it came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its subject.
    pub subject: String,
    /// Where an answer is awaited, or for a stream's message where it stands; empty if nowhere.
    pub reply: String,
    /// The status of a message that is only that, as in 503 for nobody there.
    pub status: Option<u16>,
    /// Its headers in their order.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// One connection.
pub struct Wire {
    socket: BufReader<TcpStream>,
}

impl Wire {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// If there is no server, or it refuses.
    pub fn connect(url: &str) -> Result<Self> {
        let address = url.strip_prefix("nats://").unwrap_or(url);
        let socket = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut wire = Self { socket: BufReader::with_capacity(256 * 1_024, socket) };
        let greeting = wire.line()?;
        ensure!(greeting.starts_with("INFO "), "the server greets with {greeting:?}");
        wire.send(format!("{CONNECT}PING\r\n").as_bytes())?;
        loop {
            match wire.line()?.as_str() {
                "PONG" => return Ok(wire),
                refusal if refusal.starts_with("-ERR") => bail!("the server refuses: {refusal}"),
                _ => {}
            }
        }
    }

    /// Subscribes.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn subscribe(&mut self, subject: &str) -> Result<()> {
        self.send(format!("SUB {subject} 1\r\n").as_bytes())
    }

    /// Sends bytes of the protocol, as [`publication`] makes them.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.get_mut().write_all(bytes).context("write to the server")
    }

    /// The next message; none if no one comes until then.
    ///
    /// # Errors
    /// If the connection is gone or the server complains.
    pub fn next(&mut self, deadline: Instant) -> Result<Option<Frame>> {
        loop {
            if !self.has_more(deadline)? {
                return Ok(None);
            }
            let line = self.line()?;
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("MSG") => return self.message(&line, false).map(Some),
                Some("HMSG") => return self.message(&line, true).map(Some),
                Some("PING") => self.send(b"PONG\r\n")?,
                Some("-ERR") => bail!("the server says {line}"),
                _ => {}
            }
        }
    }

    /// Whether there is something to read before the deadline. Nothing is taken, so a frame is never left half read.
    fn has_more(&mut self, deadline: Instant) -> Result<bool> {
        if !self.socket.buffer().is_empty() {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.get_ref().set_read_timeout(Some(left))?;
        let found = match self.socket.fill_buf() {
            Ok([]) => bail!("the server has hung up"),
            Ok(_) => true,
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(err) => return Err(err).context("read from the server"),
        };
        self.socket.get_ref().set_read_timeout(Some(PATIENCE))?;
        Ok(found)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.socket.read_line(&mut line).context("read from the server")?;
        ensure!(line.ends_with('\n'), "the server has hung up");
        Ok(line.trim_end().to_owned())
    }

    /// `MSG subject sid [reply] bytes` or `HMSG subject sid [reply] header-bytes bytes`, then the bytes.
    fn message(&mut self, line: &str, with_headers: bool) -> Result<Frame> {
        let mut words: Vec<&str> = line.split_ascii_whitespace().skip(1).collect();
        let mut size = || words.pop().and_then(|word| word.parse::<usize>().ok());
        let all = size();
        let head = if with_headers { size() } else { Some(0) };
        let (Some(all), Some(head)) = (all, head) else { bail!("a message without a size: {line}") };
        ensure!(head <= all && all <= MAX_FRAME, "a message of impossible size: {line}");
        let mut bytes = vec![0; all + 2];
        self.socket.read_exact(&mut bytes).context("read a message")?;
        ensure!(bytes.ends_with(b"\r\n"), "a message does not end where it should: {line}");
        bytes.truncate(all);
        let payload = bytes.split_off(head);
        let mut words = words.into_iter();
        let subject = words.next().context("a message without a subject")?.to_owned();
        let reply = words.nth(1).unwrap_or_default().to_owned();
        let (status, headers) = headers(&String::from_utf8_lossy(&bytes));
        Ok(Frame { subject, reply, status, headers, payload })
    }
}

/// The status and the lines of a header block.
fn headers(block: &str) -> (Option<u16>, Vec<(String, String)>) {
    let mut lines = block.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("NATS/1.0").and_then(|rest| rest.trim().get(..3)?.parse().ok());
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    (status, lines.filter_map(pair).collect())
}

/// The protocol's bytes for a message; without headers it is a PUB, with headers an HPUB.
#[must_use]
pub fn publication(subject: &str, reply: &str, headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut bytes = if headers.is_empty() {
        format!("PUB {subject} {reply} {}\r\n", payload.len()).into_bytes()
    } else {
        let mut block = String::from("NATS/1.0\r\n");
        for (name, value) in headers {
            block.extend([name, ": ", value, "\r\n"]);
        }
        block.push_str("\r\n");
        let all = block.len() + payload.len();
        format!("HPUB {subject} {reply} {} {all}\r\n{block}", block.len()).into_bytes()
    };
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_block_is_a_status_and_lines() {
        assert_eq!(headers("NATS/1.0 503 No Responders\r\n\r\n"), (Some(503), Vec::new()));
        let pairs = vec![("a".to_owned(), "b: c".to_owned()), ("d".to_owned(), String::new())];
        assert_eq!(headers("NATS/1.0\r\na: b: c\r\nd:\r\n\r\n"), (None, pairs));
    }

    #[test]
    fn sizes_count_the_header_block() {
        assert_eq!(publication("s", "r", &[], b"ab"), b"PUB s r 2\r\nab\r\n");
        let with = publication("s", "", &[("k", "v")], b"ab");
        assert_eq!(String::from_utf8(with).unwrap(), "HPUB s  18 20\r\nNATS/1.0\r\nk: v\r\n\r\nab\r\n");
    }
}
