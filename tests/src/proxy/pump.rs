//! The bytes of one connection, one way.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::count::LaneCounts;
use super::{Faults, Hole, Lane, Way};

/// The most bytes read at once.
const PIECE: usize = 16 * 1_024;
/// How many pieces may be on their way while they are delayed.
const UNDER_WAY: usize = 256;
/// A throttled lane writes this often in a second.
const WRITES_PER_S: u32 = 50;

type Piece = (Instant, Vec<u8>);

/// Carries bytes until the sender ends, and then tells the receiver so.
pub(super) async fn run(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    faults: &watch::Receiver<Faults>,
    counts: &LaneCounts,
) -> io::Result<()> {
    let (queue, mut queued) = mpsc::channel::<Piece>(UNDER_WAY);
    let write = async {
        let mut passed = 0;
        while let Some((due, mut bytes)) = queued.recv().await {
            tokio::time::sleep_until(due).await;
            let lane = faults.borrow().lane(way);
            flip(&mut bytes, &mut passed, lane, counts);
            send(&mut to, &bytes, lane, counts).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(receive(from, queue, way, faults.clone(), counts), write)?;
    Ok(())
}

async fn receive(
    mut from: ReadHalf<'_>,
    queue: mpsc::Sender<Piece>,
    way: Way,
    mut faults: watch::Receiver<Faults>,
    counts: &LaneCounts,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        let bytes = bytes.to_vec();
        if faults.borrow().lane(way).hole == Hole::Hold {
            counts.held.add(count);
            // If the proxy is gone, so is this task.
            let _opened = faults.wait_for(|faults| faults.lane(way).hole != Hole::Hold).await;
        }
        let lane = faults.borrow().lane(way);
        if lane.hole == Hole::Swallow {
            counts.swallowed.add(count);
            continue;
        }
        if !lane.delay.is_zero() {
            counts.delayed.add(count);
        }
        if queue.send((Instant::now() + lane.delay, bytes)).await.is_err() {
            return Ok(());
        }
    }
}

/// Flips the lowest bit of each so many-th byte; `passed` counts the bytes of the connection.
fn flip(bytes: &mut [u8], passed: &mut u64, lane: Lane, counts: &LaneCounts) {
    for byte in bytes {
        *passed += 1;
        if lane.flip_every.is_some_and(|every| passed.is_multiple_of(every)) {
            *byte ^= 1;
            counts.flipped.add(1);
        }
    }
}

async fn send(to: &mut WriteHalf<'_>, bytes: &[u8], lane: Lane, counts: &LaneCounts) -> io::Result<()> {
    let share = lane.bytes_per_s.map(|rate| (rate / WRITES_PER_S).max(1) as usize);
    let most = lane.chunk.unwrap_or(usize::MAX).min(share.unwrap_or(usize::MAX)).max(1);
    for piece in bytes.chunks(most) {
        to.write_all(piece).await?;
        counts.bytes.add(piece.len());
        counts.writes.add(1);
        if let Some(rate) = lane.bytes_per_s {
            counts.throttled.add(piece.len());
            tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / f64::from(rate))).await;
        } else if lane.chunk.is_some() {
            // So that the reader gets a chance to see the piece alone.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
