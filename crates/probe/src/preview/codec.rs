//! Decoding, contained: two pictures at once in the whole process, on threads that may block, sizes capped before a decoder
//! sees them, panics caught. Owns the decoders' state between pictures; opens nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use tokio::sync::Semaphore;
use wire::video::nals;
use wire::{h264, h265};

use super::Picture;
use super::picture::{Yuv, jpeg};
use crate::kinds::rtsp::view::Codec;
use crate::run::panic_words;

/// Pictures decoded at once in the whole process: a preview must not starve the looks.
const DECODING_AT_ONCE: usize = 2;
/// Largest picture that is decoded, in luma samples as coded: 4096 by 2304, the largest of common cameras. A decoder takes
/// some 30 bytes for each.
const MAX_PIXELS: u64 = 4096 * 2304;
/// Largest picture of which every frame is decoded and not only key frames, in luma samples as coded.
const MAX_FOLLOWED_PIXELS: u64 = 1280 * 736;

static DECODING: Semaphore = Semaphore::const_new(DECODING_AT_ONCE);

enum Decoder {
    H264(Box<rust_h264::decoder::Decoder>),
    H265(Box<rust_h265::Decoder>),
}

/// Decodes the pictures of one stream.
pub(super) struct Worker {
    codec: Codec,
    /// Absent before the first key frame, and after a mishap until the next one.
    decoder: Option<Decoder>,
    /// Place in display order of the last picture handed out since the last key frame.
    shown: i32,
}

impl Worker {
    pub(super) fn new(codec: Codec) -> Self {
        Self { codec, decoder: None, shown: i32::MIN }
    }

    /// Decodes one key frame that stands for itself.
    pub(super) async fn single(&mut self, annex_b: Vec<u8>) -> Result<Option<Picture>, Fault> {
        check_size(self.codec, &annex_b)?;
        let mut decoder = Decoder::new(self.codec);
        let job = move || {
            let decoded = decoder.decode(&annex_b);
            // Some part may be unreadable and the picture whole all the same.
            match decoder.last() {
                Some((_, yuv)) => jpeg(yuv).map(Some),
                None => decoded?.map(|(_, yuv)| jpeg(yuv)).transpose(),
            }
        };
        blocking(job).await?.map_err(undecodable)
    }

    /// Decodes the next frame of a stream; the picture handed out may be the one before it. Large pictures are decoded only
    /// where they stand for themselves. Damage yields no picture instead of a fault.
    pub(super) async fn follow(
        &mut self,
        annex_b: Vec<u8>,
        key_frame: bool,
        due: bool,
    ) -> Result<Option<Picture>, Fault> {
        if key_frame {
            self.shown = i32::MIN;
            if check_size(self.codec, &annex_b)? > MAX_FOLLOWED_PIXELS {
                self.decoder = None;
                return if due { self.single(annex_b).await } else { Ok(None) };
            }
            self.decoder.get_or_insert_with(|| Decoder::new(self.codec));
        }
        // Parameter sets may change the size between key frames, too.
        let size = if key_frame { Ok(0) } else { check_size(self.codec, &annex_b) };
        let Some(mut decoder) = self.decoder.take().filter(|_| size.is_ok()) else { return Ok(None) };
        let shown = self.shown;
        let job = move || {
            let frame = decoder.decode(&annex_b);
            let picture = match frame {
                // Decoding order is not display order: what would go back in time is left out.
                Ok(Some((order, yuv))) if due && (order > shown || key_frame) => Some((order, jpeg(yuv)?)),
                _ => None,
            };
            Ok::<_, String>((decoder, picture))
        };
        let Ok(Ok((decoder, picture))) = blocking(job).await else { return Ok(None) };
        self.decoder = Some(decoder);
        Ok(picture.map(|(order, picture)| {
            self.shown = if key_frame { i32::MIN } else { order };
            picture
        }))
    }
}

impl Decoder {
    fn new(codec: Codec) -> Self {
        match codec {
            Codec::H265 => {
                let limits = rust_h265::DecodeLimits { max_picture_pixels: MAX_PIXELS, ..Default::default() };
                Self::H265(Box::new(rust_h265::Decoder::with_limits(limits)))
            }
            Codec::H264 | Codec::Jpeg => Self::H264(Box::default()),
        }
    }

    /// Feeds an access unit. What comes out is a picture that ended before it, with its place in display order.
    fn decode(&mut self, annex_b: &[u8]) -> Result<Option<(i32, Yuv)>, String> {
        let (mut out, mut error) = (None, None);
        match self {
            Self::H264(decoder) => {
                for nal in rust_h264::nal::parse_annex_b(annex_b) {
                    match decoder.decode_nal(&nal) {
                        Ok(frame) => out = frame.or(out),
                        Err(e) => error = Some(e.to_string()),
                    }
                }
                match (out, error) {
                    (Some(frame), _) => Yuv::from_h264(frame).map(Some),
                    (None, Some(e)) => Err(e),
                    (None, None) => Ok(None),
                }
            }
            Self::H265(decoder) => {
                let mut out = None;
                for nal in rust_h265::parse_annex_b(annex_b) {
                    match decoder.decode_nal(&nal) {
                        Ok(frame) => out = frame.or(out),
                        Err(e) => error = Some(e.to_string()),
                    }
                }
                match (out, error) {
                    (Some(frame), _) => Yuv::from_h265(frame).map(Some),
                    (None, Some(e)) => Err(e),
                    (None, None) => Ok(None),
                }
            }
        }
    }

    /// The picture under way.
    fn last(&mut self) -> Option<(i32, Yuv)> {
        match self {
            Self::H264(decoder) => decoder.flush().and_then(|frame| Yuv::from_h264(frame).ok()),
            Self::H265(decoder) => decoder.flush().and_then(|frame| Yuv::from_h265(frame).ok()),
        }
    }
}

/// Runs `job` where it may block, with one of the permits; a panic becomes a fault. The permit is held until the job ends,
/// also when nobody waits for it any more.
async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let internal = |detail: String| Fault::new(FaultKind::Internal, Phase::Check, detail);
    let permit = DECODING.acquire().await.map_err(|e| internal(e.to_string()))?;
    let contained = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        catch_unwind(AssertUnwindSafe(job)).map_err(|panic| panic_words(&*panic))
    });
    match contained.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(words)) => Err(undecodable(words)),
        Err(e) => Err(internal(e.to_string())),
    }
}

fn undecodable(words: String) -> Fault {
    Fault::protocol(Phase::Check, format!("the picture cannot be decoded: {words}"))
}

/// The size of the largest picture that the parameter sets of an access unit announce, in luma samples as coded; 0 when
/// there are none.
fn check_size(codec: Codec, annex_b: &[u8]) -> Result<u64, Fault> {
    let mut largest = 0;
    for nal in nals(annex_b) {
        let size = match codec {
            Codec::H264 if nal.first().is_some_and(|b| b & 0x1f == 7) => h264::coded_size(nal),
            // The decoder has limits of its own; this one decides what is followed.
            Codec::H265 if nal.first().is_some_and(|b| b >> 1 & 0x3f == 33) => {
                h265::params_from_sps(nal).map(|p| (p.width, p.height))
            }
            _ => continue,
        };
        let (width, height) = size.map_err(|e| undecodable(e.to_string()))?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            let detail = format!("the picture is {width} by {height}, larger than what is decoded for a preview");
            return Err(Fault::new(FaultKind::TooLarge, Phase::Check, detail));
        }
        largest = largest.max(pixels);
    }
    Ok(largest)
}
