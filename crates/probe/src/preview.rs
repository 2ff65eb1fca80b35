//! Pictures of a target for the page: one ([`snapshot`]) or several seconds of them ([`frames`]). Owns the order of things
//! and the deadline; decoding is bounded and contained in the folder. Keeps no picture and judges no stream.
//!
//! Pictures are at most 960 pixels wide where they are decoded here; JPEG of the peer passes through as it is.

mod codec;
mod picture;

use std::time::Duration;

use bytes::Bytes;
use model::conf::Problem;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use model::target::Target;
use model::time::Clock;
use net::attempt::Attempt;
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio::time::Instant;

use self::codec::Worker;
use crate::kind::{AUTH_FIELDS, option_secrets, within};
use crate::kinds::http;
use crate::kinds::mjpeg::{Mjpeg, Pictures};
use crate::kinds::rtsp::Rtsp;
use crate::kinds::rtsp::view::{Codec, View};
use crate::run::redact;

/// Longest run of [`frames`], whatever is asked for: a page asks again.
pub const MAX_FRAMES_TIME: Duration = Duration::from_secs(30);
/// Shortest time between two pictures of [`frames`]: a dozen a second look alive and cost half of 25. Not a round tenth of a
/// second: of a camera with ten frames a second, each one that came a little early would be left out, which is half of them.
const MIN_PAUSE: Duration = Duration::from_millis(80);

/// A picture for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// JPEG.
    Jpeg {
        /// The whole file.
        bytes: Bytes,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

/// One picture of `target` within `limit`: the next key frame of an RTSP stream, the next frame of an MJPEG one, or the
/// picture that an http URL answers with (its request headers are sent, its method and body are not).
///
/// # Errors
/// The faults of a look; no media when no picture came in time; tool missing for codecs and kinds without pictures here;
/// protocol or too large for a picture that cannot or must not be decoded.
pub async fn snapshot(target: &Target, clock: &dyn Clock, limit: Duration) -> Result<Picture, Fault> {
    let mut at = Attempt::new(clock, limit);
    let taken = match source(target) {
        Ok(Source::Rtsp(rtsp)) => rtsp_snapshot(&rtsp, &mut at).await,
        Ok(Source::Mjpeg(mjpeg)) => mjpeg_snapshot(&mjpeg, &mut at).await,
        Err(fault) => Err(fault),
    };
    taken.map_err(|fault| washed(fault, target))
}

/// Pictures of `target` for `limit` (at most [`MAX_FRAMES_TIME`]), at most a dozen a second, until `tx` is closed. Pictures that
/// `tx` has no room for are left out. Pictures of up to 1280 by 720 pixels are decoded one and all; of larger ones only the
/// key frames, because decoding all would cost more than a preview is worth.
///
/// # Errors
/// As [`snapshot`]; the end of `limit` is no error once a picture was sent.
pub async fn frames(target: &Target, clock: &dyn Clock, limit: Duration, tx: Sender<Picture>) -> Result<(), Fault> {
    let mut at = Attempt::new(clock, limit.min(MAX_FRAMES_TIME));
    let mut outlet = Outlet { tx, sent: 0, asked: Instant::now(), next: Instant::now() };
    let ended = match source(target) {
        Ok(Source::Rtsp(rtsp)) => rtsp_frames(&rtsp, &mut at, &mut outlet).await,
        Ok(Source::Mjpeg(mjpeg)) => mjpeg_frames(&mjpeg, &mut at, &mut outlet).await,
        Err(fault) => Err(fault),
    };
    match ended {
        Err(fault) if outlet.sent > 0 && matches!(fault.kind, FaultKind::TimedOut | FaultKind::NoMedia) => Ok(()),
        other => other.map_err(|fault| washed(fault, target)),
    }
}

/// Where pictures come from.
enum Source {
    Rtsp(Rtsp),
    Mjpeg(Mjpeg),
}

fn source(target: &Target) -> Result<Source, Fault> {
    let wrong = |problems: Vec<Problem>| {
        let words: Vec<_> = problems.iter().map(Problem::to_string).collect();
        Fault::new(FaultKind::Internal, Phase::Connect, words.join("; "))
    };
    match target.kind {
        "rtsp" => Rtsp::new(target).map(Source::Rtsp).map_err(wrong),
        "mjpeg" => Mjpeg::new(target).map(Source::Mjpeg).map_err(wrong),
        "http" => {
            // The same place asked for a picture. Besides what both kinds know, its headers apply: they may be what opens it.
            let headers = http::headers_of(target).map_err(wrong)?;
            let mut target = target.clone();
            let shared = |key: &String| AUTH_FIELDS.iter().chain(&net::trust::TLS_FIELDS).any(|f| f.key == key);
            target.options.0.retain(|key, _| shared(key));
            Mjpeg::new(&target).map(|mjpeg| Source::Mjpeg(mjpeg.with_headers(headers))).map_err(wrong)
        }
        other => {
            let detail = format!("targets of kind {other} have no picture");
            Err(Fault::new(FaultKind::ToolMissing, Phase::Connect, detail))
        }
    }
}

fn washed(mut fault: Fault, target: &Target) -> Fault {
    fault.detail = redact(&fault.detail, target, &option_secrets(target));
    fault
}

/// A deadline that passes while a picture is waited for means that none came.
fn none_came(fault: Fault, what: &str, limit: Duration) -> Fault {
    match fault.kind {
        FaultKind::TimedOut if fault.phase == Phase::Media => {
            Fault::new(FaultKind::NoMedia, Phase::Media, format!("no {what} came {}", within(limit)))
        }
        _ => fault,
    }
}

async fn rtsp_snapshot(rtsp: &Rtsp, at: &mut Attempt<'_>) -> Result<Picture, Fault> {
    let mut view = View::open(rtsp, at).await?;
    let taken = key_picture(&mut view, at).await;
    view.close().await;
    taken
}

async fn key_picture(view: &mut View, at: &mut Attempt<'_>) -> Result<Picture, Fault> {
    let codec = view.codec();
    let next = at.run(Phase::Media, async {
        loop {
            let coded = view.next().await?;
            if coded.key_frame {
                return Ok(coded);
            }
        }
    });
    let coded = next.await.map_err(|fault| none_came(fault, "key frame", at.limit()))?;
    match codec {
        Codec::Jpeg => picture::whole_jpeg(coded.bytes.into()),
        Codec::H264 | Codec::H265 => {
            let mut worker = Worker::new(codec);
            let decoded = at.run(Phase::Check, worker.single(coded.bytes)).await?;
            decoded.ok_or_else(|| Fault::protocol(Phase::Check, "the key frame holds no picture"))
        }
    }
}

async fn rtsp_frames(rtsp: &Rtsp, at: &mut Attempt<'_>, outlet: &mut Outlet) -> Result<(), Fault> {
    let mut view = View::open(rtsp, at).await?;
    let ended = pump(&mut view, at, outlet).await;
    view.close().await;
    ended
}

async fn pump(view: &mut View, at: &mut Attempt<'_>, outlet: &mut Outlet) -> Result<(), Fault> {
    let codec = view.codec();
    let mut worker = Worker::new(codec);
    loop {
        let next = at.run(Phase::Media, async {
            tokio::select! {
                coded = view.next() => coded.map(Some),
                () = outlet.tx.closed() => Ok(None),
            }
        });
        let Some(coded) = next.await.map_err(|fault| none_came(fault, "key frame", at.limit()))? else {
            return Ok(());
        };
        let picture = match codec {
            Codec::Jpeg => outlet.due().then(|| picture::whole_jpeg(coded.bytes.into())).transpose()?,
            Codec::H264 | Codec::H265 => {
                let due = outlet.due();
                at.run(Phase::Check, worker.follow(coded.bytes, coded.key_frame, due)).await?
            }
        };
        if !outlet.send(picture) {
            return Ok(());
        }
    }
}

async fn mjpeg_snapshot(mjpeg: &Mjpeg, at: &mut Attempt<'_>) -> Result<Picture, Fault> {
    let mut pictures = mjpeg.open(at, &mut Reading::default()).await?;
    let next = at.run(Phase::Media, pictures.next()).await;
    match next.map_err(|fault| none_came(fault, "picture", at.limit()))? {
        Some(picture) => Ok(passed(picture)),
        None => Err(Fault::new(FaultKind::NoMedia, Phase::Media, "the stream ended before a picture came")),
    }
}

async fn mjpeg_frames(mjpeg: &Mjpeg, at: &mut Attempt<'_>, outlet: &mut Outlet) -> Result<(), Fault> {
    let mut pictures: Pictures = mjpeg.open(at, &mut Reading::default()).await?;
    loop {
        let next = at.run(Phase::Media, async {
            tokio::select! {
                picture = pictures.next() => picture,
                () = outlet.tx.closed() => Ok(None),
            }
        });
        let Some(picture) = next.await.map_err(|fault| none_came(fault, "picture", at.limit()))? else {
            return Ok(());
        };
        let picture = outlet.due().then(|| passed(picture));
        if !outlet.send(picture) {
            return Ok(());
        }
    }
}

fn passed(picture: crate::kinds::mjpeg::Picture) -> Picture {
    Picture::Jpeg { bytes: picture.bytes, width: picture.info.width, height: picture.info.height }
}

/// Where pictures of [`frames`] go.
struct Outlet {
    tx: Sender<Picture>,
    sent: u64,
    /// When the last question was whether a picture is due: the pause counts from there, not from the end of decoding.
    asked: Instant,
    next: Instant,
}

impl Outlet {
    /// Whether the next picture is wanted.
    fn due(&mut self) -> bool {
        self.asked = Instant::now();
        self.asked >= self.next
    }

    /// Sends a picture, where there is one; false when nobody listens any more.
    fn send(&mut self, picture: Option<Picture>) -> bool {
        let Some(picture) = picture else { return !self.tx.is_closed() };
        self.next = self.asked + MIN_PAUSE;
        match self.tx.try_send(picture) {
            Ok(()) => {
                self.sent += 1;
                true
            }
            Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of ten pictures are sent that come every `pause` and take `decoding` to decode.
    async fn sent(pause: Duration, decoding: Duration) -> u64 {
        let (tx, _rx) = tokio::sync::mpsc::channel(16);
        let mut outlet = Outlet { tx, sent: 0, asked: Instant::now(), next: Instant::now() };
        for _ in 0..10 {
            let due = outlet.due();
            tokio::time::advance(decoding).await;
            let picture = due.then(|| Picture::Jpeg { bytes: Bytes::new(), width: 1, height: 1 });
            assert!(outlet.send(picture));
            tokio::time::advance(pause.saturating_sub(decoding)).await;
        }
        outlet.sent
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_decoding_does_not_halve_the_rate() {
        let ms = Duration::from_millis;
        assert_eq!(sent(ms(100), ms(0)).await, 10);
        assert_eq!(sent(ms(100), ms(40)).await, 10);
        assert_eq!(sent(ms(95), ms(10)).await, 10, "early by five milliseconds each");
        assert_eq!(sent(ms(40), ms(5)).await, 5, "of 25 a second every other one");
    }
}
