//! A scripted MJPEG camera: good, stalling, or sending something else.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::peer::{Conn, Peer, Stats, drain, send};

/// The picture that it sends: a baseline JPEG of 64x48.
pub const PICTURE: &[u8] = include_bytes!("../testdata/64x48.jpg");

/// What the camera does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Camera {
    /// Sends pictures for ever, 50 per second.
    Good,
    /// Sends this many pictures and then nothing.
    StallsAfter(u32),
    /// Sends this many pictures and then the end of the stream.
    EndsAfter(u32),
    /// Sends parts that are no pictures, for ever.
    Words,
    /// Sends half a picture and then nothing.
    Half,
    /// Sends parts without a length.
    NoLength,
    /// Sends pictures without parts around them.
    Bare,
    /// Sends one picture as a page.
    Single,
}

/// Starts a camera.
pub async fn camera(kind: Camera) -> Peer {
    Peer::start(move |conn, stats| async move { serve(conn, &stats, kind).await }).await
}

async fn serve(conn: Conn, stats: &Stats, kind: Camera) {
    let (mut reader, mut writer) = tokio::io::split(conn);
    let mut request = [0; 2048];
    if reader.read(&mut request).await.unwrap_or(0) == 0 {
        return;
    }
    let filming = async {
        let content_type = match kind {
            Camera::Single => "image/jpeg",
            Camera::Bare => "video/x-motion-jpeg",
            _ => "multipart/x-mixed-replace; boundary=frame",
        };
        let head =
            format!("HTTP/1.1 200 OK\r\nServer: camera\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n");
        if !send(&mut writer, head.as_bytes()).await {
            return;
        }
        for number in 0_u32.. {
            let end = match kind {
                Camera::StallsAfter(count) if number == count => std::future::pending::<bool>().await,
                Camera::EndsAfter(count) => number == count,
                Camera::Single => number == 1,
                _ => false,
            };
            if end || !send(&mut writer, &piece(kind)).await {
                break;
            }
            if kind == Camera::Half {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = drain(&mut reader, stats) => {}
        () = filming => {}
    }
}

fn piece(kind: Camera) -> Vec<u8> {
    let part = |fields: &str, body: &[u8]| {
        let mut out = format!("--frame\r\n{fields}\r\n").into_bytes();
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
        out
    };
    let length = format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\n", PICTURE.len());
    match kind {
        Camera::Bare | Camera::Single => PICTURE.to_vec(),
        Camera::Words => part("Content-Type: text/plain\r\nContent-Length: 5\r\n", b"hello"),
        Camera::NoLength => part("Content-Type: image/jpeg\r\n", PICTURE),
        Camera::Half => {
            let mut whole = part(&length, PICTURE);
            whole.truncate(whole.len() / 2);
            whole
        }
        Camera::Good | Camera::StallsAfter(_) | Camera::EndsAfter(_) => part(&length, PICTURE),
    }
}
