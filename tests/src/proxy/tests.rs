//! Each fault against a server that echoes.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Long enough that what would have come has come.
const QUIET: Duration = Duration::from_millis(150);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    address
}

async fn scene() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut client, b"hello").await, b"hello");
    (proxy, client)
}

async fn ask(client: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    client.write_all(bytes).await.unwrap();
    let mut answer = vec![0; bytes.len()];
    client.read_exact(&mut answer).await.unwrap();
    answer
}

async fn is_quiet(client: &mut TcpStream) -> bool {
    tokio::time::timeout(QUIET, client.read_u8()).await.is_err()
}

#[tokio::test]
async fn a_cut_resets_what_stands_and_refuses_what_comes() {
    let (proxy, mut client) = scene().await;
    proxy.refuse(true);
    proxy.cut();
    assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(refused.read_u8().await.is_err());
    proxy.heal();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut client, b"again").await, b"again");
    let evidence = proxy.evidence();
    assert_eq!((evidence.connections, evidence.cut, evidence.refused), (2, 1, 1));
}

#[tokio::test]
async fn what_is_swallowed_never_arrives_and_the_connection_stands() {
    let (proxy, mut client) = scene().await;
    proxy.set(Way::ToServer, Lane { hole: Hole::Swallow, ..Lane::default() });
    client.write_all(b"gone").await.unwrap();
    assert!(is_quiet(&mut client).await);
    proxy.heal();
    assert_eq!(ask(&mut client, b"there").await, b"there");
    assert_eq!((proxy.evidence().to_server.swallowed, proxy.evidence().to_client.swallowed), (4, 0));
}

#[tokio::test]
async fn what_is_held_arrives_late() {
    let (proxy, mut client) = scene().await;
    proxy.set(Way::ToClient, Lane { hole: Hole::Hold, ..Lane::default() });
    client.write_all(b"later").await.unwrap();
    assert!(is_quiet(&mut client).await);
    proxy.heal();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!((&answer, proxy.evidence().to_client.held), (b"later", 5));
}

#[tokio::test]
async fn a_delay_is_a_delay_and_not_a_throttle() {
    let (proxy, mut client) = scene().await;
    proxy.set(Way::ToServer, Lane { delay: QUIET, ..Lane::default() });
    let began = std::time::Instant::now();
    for _ in 0..40 {
        client.write_all(&[1; 250]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    client.read_exact(&mut [0; 10_000]).await.unwrap();
    assert!(began.elapsed() >= QUIET);
    assert!(began.elapsed() < QUIET * 20, "each piece waited for the one before it");
    assert_eq!(proxy.evidence().to_server.delayed, 10_000);
}

#[tokio::test]
async fn a_throttle_holds_the_rate() {
    let (proxy, mut client) = scene().await;
    proxy.set(Way::ToClient, Lane { bytes_per_s: Some(10_000), ..Lane::default() });
    let began = std::time::Instant::now();
    assert_eq!(ask(&mut client, &[7; 3_000]).await, [7; 3_000]);
    // The last piece arrives before the pause that follows it.
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert_eq!(proxy.evidence().to_client.throttled, 3_000);
}

#[tokio::test]
async fn bytes_come_one_by_one() {
    let (proxy, mut client) = scene().await;
    let before = proxy.evidence().to_server;
    proxy.set(Way::ToServer, Lane { chunk: Some(1), ..Lane::default() });
    assert_eq!(ask(&mut client, &[9; 500]).await, [9; 500]);
    let after = proxy.evidence().to_server;
    assert_eq!((after.writes - before.writes, after.bytes - before.bytes), (500, 500));
}

#[tokio::test]
async fn bytes_are_flipped_at_their_places() {
    let (proxy, mut client) = scene().await;
    proxy.set(Way::ToServer, Lane { flip_every: Some(4), ..Lane::default() });
    // Five bytes went before.
    assert_eq!(ask(&mut client, &[0; 8]).await, [0, 0, 1, 0, 0, 0, 1, 0]);
    assert_eq!(proxy.evidence().to_server.flipped, 2);
}

#[tokio::test]
async fn the_end_of_one_side_reaches_the_other() {
    let (_proxy, mut client) = scene().await;
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
}
