//! Faults of the connection between the engine and its server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::proxy::{Evidence, Hole, Lane, LaneEvidence, Proxy, Way};

use crate::stage::{Fired, MADE, Stage};

/// How long an engine may take to put a version into service.
const IN_SERVICE: Duration = Duration::from_secs(10);

/// An engine at work behind a proxy. It is up: an engine whose first connection fails gives up.
fn at_work_behind_proxy(stage: &mut Stage<'_>, server: &NatsServer) -> Result<Proxy> {
    let proxy = behind_proxy(stage, server)?;
    stage.engine(0)?.wait_until_in_service(1, IN_SERVICE)?;
    Ok(proxy)
}

fn behind_proxy(stage: &mut Stage<'_>, server: &NatsServer) -> Result<Proxy> {
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
    let proxy = stage.around.runtime.block_on(Proxy::start(upstream))?;
    let engine = stage.add_engine(proxy.url())?;
    stage.engine(engine)?.start(None)?;
    Ok(proxy)
}

/// Hands the proxy over to the run, which needs it to its end, and says whether there is evidence of the fault.
fn healed(stage: &mut Stage<'_>, proxy: Proxy, shows: impl Fn(Evidence) -> bool) -> Fired {
    proxy.heal();
    shown(stage, proxy, shows)
}

fn shown(stage: &mut Stage<'_>, proxy: Proxy, shows: impl Fn(Evidence) -> bool) -> Fired {
    let evidence = proxy.evidence();
    stage.note(format!("{evidence:?}"));
    stage.proxies.push(proxy);
    if shows(evidence) {
        Ok(())
    } else {
        Err(format!("the proxy has no evidence of the fault: {evidence:?}"))
    }
}

/// One to four times, all connections are reset and new ones refused for a while.
pub fn cut(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let proxy = at_work_behind_proxy(stage, server)?;
    stage.pause(0, 400);
    for _ in 0..stage.rng.u32(1..=4) {
        cut_once(stage, &proxy);
        stage.pause(20, 200);
    }
    Ok(healed(stage, proxy, |evidence| evidence.cut > 0))
}

fn cut_once(stage: &mut Stage<'_>, proxy: &Proxy) {
    proxy.refuse(stage.rng.bool());
    proxy.cut();
    stage.pause(0, 200);
    proxy.refuse(false);
}

/// Cuts between swaps.
pub fn cut_during_swaps(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let proxy = at_work_behind_proxy(stage, server)?;
    stage.least_versions = 2;
    stage.wait_for_outputs(MADE)?;
    for _ in 0..5 {
        stage.swap()?;
        stage.pause(10, 150);
        if stage.rng.bool() {
            cut_once(stage, &proxy);
        }
    }
    cut_once(stage, &proxy);
    stage.engine(0)?.wait_until_in_service(2, IN_SERVICE)?;
    stage.wait_for_outputs(MADE)?;
    Ok(healed(stage, proxy, |evidence| evidence.cut > 0))
}

pub fn hole_to_server(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    hole(stage, server, Way::ToServer, |evidence| evidence.to_server)
}

pub fn hole_to_client(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    hole(stage, server, Way::ToClient, |evidence| evidence.to_client)
}

/// One way is a black hole for a while. Either its bytes are gone, and the connection with them, or they all come late.
fn hole(
    stage: &mut Stage<'_>,
    server: &NatsServer,
    way: Way,
    lane: fn(Evidence) -> LaneEvidence,
) -> Result<Fired> {
    let proxy = at_work_behind_proxy(stage, server)?;
    stage.pause(0, 500);
    let swallow = stage.rng.bool();
    proxy.set(way, Lane { hole: if swallow { Hole::Swallow } else { Hole::Hold }, ..Lane::default() });
    stage.pause(300, 1_500);
    if swallow {
        proxy.cut();
    }
    Ok(healed(stage, proxy, |evidence| lane(evidence).swallowed + lane(evidence).held > 0))
}

/// Everything takes its time for a while.
pub fn slow(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let proxy = at_work_behind_proxy(stage, server)?;
    stage.pause(0, 500);
    for way in [Way::ToServer, Way::ToClient] {
        let delay = Duration::from_millis(stage.rng.u64(5..=60));
        let bytes_per_s = Some(stage.rng.u32(50_000..=400_000));
        proxy.set(way, Lane { delay, bytes_per_s, ..Lane::default() });
    }
    stage.pause(500, 1_200);
    Ok(healed(stage, proxy, |evidence| {
        [evidence.to_server, evidence.to_client].iter().all(|lane| lane.delayed > 0 && lane.throttled > 0)
    }))
}

/// Everything comes in the smallest pieces, from the first byte to the last.
pub fn bytewise(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    const TYPICAL_WRITE: u64 = 8;
    let proxy = behind_proxy(stage, server)?;
    for way in [Way::ToServer, Way::ToClient] {
        proxy.set(way, Lane { chunk: Some(stage.rng.usize(1..=3)), ..Lane::default() });
    }
    stage.pause(700, 1_200);
    Ok(shown(stage, proxy, |evidence| {
        [evidence.to_server, evidence.to_client].iter().all(|lane| lane.bytes < lane.writes * TYPICAL_WRITE)
    }))
}
