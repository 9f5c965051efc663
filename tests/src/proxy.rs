//! A TCP proxy that misbehaves when told to, between a client and its server.
//!
//! What it does to the bytes of either way is one [`Lane`], changed while connections stand; cutting them is a command of
//! its own. It counts all that it does: a fault that left no trace proves nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

mod count;
mod pump;
#[cfg(test)]
mod tests;

use count::Counts;
pub use count::{Evidence, LaneEvidence};

/// Which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// Whether bytes arrive at all. The connection stays in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hole {
    /// They do.
    #[default]
    Open,
    /// They are gone for good, so what comes after them makes no sense to who reads it: end such a fault with a cut.
    Swallow,
    /// They wait until the lane opens again.
    Hold,
}

/// What happens to the bytes of one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lane {
    /// Whether they arrive.
    pub hole: Hole,
    /// How much later than they came.
    pub delay: Duration,
    /// How many of them in a second, at most.
    pub bytes_per_s: Option<u32>,
    /// How many of them in one write.
    pub chunk: Option<usize>,
    /// A bit of each so many-th is flipped.
    pub flip_every: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    to_server: Lane,
    to_client: Lane,
    refuse: bool,
    cuts: u64,
}

impl Faults {
    fn lane(&self, way: Way) -> Lane {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }

    fn lane_mut(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }
}

/// A running proxy. When it is dropped its connections are gone.
pub struct Proxy {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of its own for clients of the server at `upstream`. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("bind the proxy")?;
        let address = listener.local_addr().context("ask for the proxy's port")?;
        let (faults, changes) = watch::channel(Faults::default());
        let counts = Arc::new(Counts::default());
        let accepting = tokio::spawn(accept(listener, upstream, changes, Arc::clone(&counts)));
        Ok(Self { address, faults, counts, accepting })
    }

    /// Where clients of a NATS server connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens to the bytes of one way from now on.
    pub fn set(&self, way: Way, lane: Lane) {
        self.faults.send_modify(|faults| *faults.lane_mut(way) = lane);
    }

    /// Resets every connection, so that neither side reads what is under way.
    pub fn cut(&self) {
        self.faults.send_modify(|faults| faults.cuts += 1);
    }

    /// Whether new connections are reset at once.
    pub fn refuse(&self, refuse: bool) {
        self.faults.send_modify(|faults| faults.refuse = refuse);
    }

    /// Takes all faults away. What was swallowed stays away, and what was cut stays cut.
    pub fn heal(&self) {
        self.faults.send_modify(|faults| *faults = Faults { cuts: faults.cuts, ..Faults::default() });
    }

    /// What it has done so far.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.counts.evidence()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    faults: watch::Receiver<Faults>,
    counts: Arc<Counts>,
) {
    let mut connections = JoinSet::new();
    loop {
        // A client that is gone again before it is accepted is no reason to stop.
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        if faults.borrow().refuse {
            counts.refused.add(1);
            reset(&client);
            continue;
        }
        connections.spawn(relay(client, upstream, faults.clone(), Arc::clone(&counts)));
    }
}

/// One connection until either side ends it, or a cut does.
async fn relay(
    mut client: TcpStream,
    upstream: SocketAddr,
    faults: watch::Receiver<Faults>,
    counts: Arc<Counts>,
) {
    // A server that is down looks to the client like one that hangs up.
    let Ok(mut server) = TcpStream::connect(upstream).await else { return reset(&client) };
    counts.connections.add(1);
    for side in [&client, &server] {
        // Without this, small pieces would leave together and no fault in pieces could be made.
        let _best_effort = side.set_nodelay(true);
    }
    let cut = cut(faults.clone());
    let was_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump::run(from_client, to_server, Way::ToServer, &faults, &counts.to_server);
        let down = pump::run(from_server, to_client, Way::ToClient, &faults, &counts.to_client);
        tokio::select! {
            () = cut => true,
            // An error of one way ends both, as a broken connection does.
            _ended = async { tokio::try_join!(up, down) } => false,
        }
    };
    if was_cut {
        counts.cut.add(1);
        reset(&client);
        reset(&server);
    }
}

/// Resolves when connections are cut the next time.
async fn cut(mut faults: watch::Receiver<Faults>) {
    let before = faults.borrow().cuts;
    if faults.wait_for(|faults| faults.cuts != before).await.is_err() {
        // The proxy is being dropped, and with it this task.
        std::future::pending::<()>().await;
    }
}

/// Makes closing a socket a reset, which throws away what was not sent or read.
fn reset(socket: &TcpStream) {
    // A socket that is closed already needs no reset.
    let _best_effort = socket.set_zero_linger();
}
