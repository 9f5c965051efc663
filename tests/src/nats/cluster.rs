//! Several servers on loopback that keep streams together.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result};

use super::{NatsServer, Options};

/// A cluster of servers, gone when dropped.
pub struct Cluster {
    servers: Vec<NatsServer>,
}

impl Cluster {
    /// Starts as many servers, each with routes to all others. They take clients before they have chosen a leader: until
    /// then JetStream answers that it is unavailable.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn start(size: usize) -> Result<Self> {
        let ports = free_ports(size)?;
        let routes: Vec<_> = ports.iter().map(|port| format!("nats-route://127.0.0.1:{port}")).collect();
        let server = |(number, port): (usize, &u16)| {
            let config = format!(
                "server_name: s{number}\ncluster {{ name: tests, listen: \"127.0.0.1:{port}\", routes: [{}] }}\n",
                routes.join(", ")
            );
            NatsServer::start_with(Options { config })
        };
        let servers = ports.iter().enumerate().map(server).collect::<Result<_>>()?;
        Ok(Self { servers })
    }

    /// Where clients connect, one address for each server.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::url).collect()
    }

    /// One of the servers.
    pub fn server(&mut self, number: usize) -> Option<&mut NatsServer> {
        self.servers.get_mut(number)
    }
}

/// Ports that are free now. Routes must be known before the servers start, so the system cannot choose them later.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<std::io::Result<Vec<_>>>()
        .context("find free ports")?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
