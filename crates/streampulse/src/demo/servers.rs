//! The sample site: a small HTTP/1.1 server with cameras and pages, each with its own trouble. Loopback only.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use net::task::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::picture;

/// Longest request head that is read.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Longest wait for a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections served at once; more wait in the backlog of the listener.
const CONNECTIONS: usize = 64;
/// Time between frames.
const FRAME_EVERY: Duration = Duration::from_millis(100);
/// How long the flapping camera works, and how long its round is.
const FLAP_WORKS: u64 = 30;
const FLAP_ROUND: u64 = 50;
/// How long the slow page takes.
const SLOW: Duration = Duration::from_millis(600);

/// Where the samples are.
pub(crate) struct Samples {
    /// The site with cameras and pages.
    pub(crate) site: SocketAddr,
    /// A port on which nobody listens.
    pub(crate) refused: SocketAddr,
}

/// Starts the sample site; it ends with `tasks`.
pub(crate) async fn start(tasks: &Tasks) -> anyhow::Result<Samples> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let site = bind().await.context("the sample site found no free port")?;
    // A port that was just free and is free again: connecting to it is refused.
    let refused = bind().await.context("no second free port")?.local_addr()?;
    let at = site.local_addr()?;
    let owner = tasks.clone();
    tasks.spawn("demo site", accept(site, owner));
    Ok(Samples { site: at, refused })
}

async fn accept(listener: TcpListener, tasks: Tasks) {
    let began = Instant::now();
    let stop = tasks.cancelled();
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let stop = stop.clone();
        tasks.spawn("demo connection", async move {
            let served = tokio::select! {
                served = serve(stream, began, &stop) => served,
                () = stop.cancelled() => Ok(()),
            };
            if let Err(error) = served {
                tracing::trace!(%error, "a viewer of the demo went away");
            }
            drop(place);
        });
    }
}

async fn serve(mut stream: TcpStream, began: Instant, stop: &CancellationToken) -> std::io::Result<()> {
    let Ok(head) = timeout(HEAD_TIMEOUT, read_head(&mut stream)).await else { return Ok(()) };
    let head = head?;
    let path = head.split_ascii_whitespace().nth(1).unwrap_or("/");
    let path = path.split('?').next().unwrap_or(path);
    match path {
        "/status.html" => {
            page(&mut stream, "200 OK", "<!doctype html><title>Status</title><h1>All systems work</h1>").await
        }
        "/slow.html" => {
            sleep(SLOW).await;
            page(&mut stream, "200 OK", "<!doctype html><title>Archive</title><h1>Found nothing</h1>").await
        }
        "/cameras/front-gate.mjpg" => camera(&mut stream, stop, || true).await,
        "/cameras/loading-dock.mjpg" => camera(&mut stream, stop, || false).await,
        "/cameras/car-park.mjpg" => {
            camera(&mut stream, stop, || began.elapsed().as_secs() % FLAP_ROUND < FLAP_WORKS).await
        }
        "/cameras/server-room.mjpg" => {
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"server room\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await
        }
        _ => page(&mut stream, "404 Not Found", "<!doctype html><title>404</title><h1>No such page</h1>").await,
    }
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = stream.read(&mut part).await?;
        if n == 0 || head.len() + n > MAX_HEAD_BYTES {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&part[..n]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn page(stream: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await
}

/// Sends pictures while `works`; hangs, connected and silent, while not.
async fn camera(stream: &mut TcpStream, stop: &CancellationToken, works: impl Fn() -> bool) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let began = Instant::now();
    while !stop.is_cancelled() {
        if works() {
            let n = u32::try_from(began.elapsed().as_millis() / FRAME_EVERY.as_millis()).unwrap_or(0);
            let jpeg = picture::frame(n);
            let part = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
            stream.write_all(part.as_bytes()).await?;
            stream.write_all(&jpeg).await?;
            stream.write_all(b"\r\n").await?;
        }
        // A viewer that left is noticed here also while nothing is sent.
        let mut probe = [0; 64];
        if let Ok(Ok(0) | Err(_)) = timeout(FRAME_EVERY, stream.read(&mut probe)).await {
            return Ok(());
        }
    }
    Ok(())
}
