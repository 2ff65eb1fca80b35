//! Coded pictures of an RTSP stream, for the preview. Owns the way from packets to access units; decodes nothing and
//! judges nothing.

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use net::attempt::Attempt;
use wire::sdp::Format;
use wire::video::AccessUnit;
use wire::{h264, h265, jpeg};

use super::connection::Connection;
use super::media::Tally;
use super::session::{Playing, Selection};
use super::{Rtsp, set_up};

/// What the bytes of a coded picture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    H264,
    H265,
    Jpeg,
}

/// One coded picture: Annex B, or a whole JPEG.
pub(crate) struct Coded {
    pub(crate) bytes: Vec<u8>,
    /// A decoder may begin here; its parameter sets stand before it.
    pub(crate) key_frame: bool,
}

enum Packets {
    H264(h264::Depacketizer),
    H265(h265::Depacketizer),
    Jpeg(jpeg::Depacketizer),
}

/// A stream being played for its picture. End it with [`View::close`]; dropped, it still says goodbye without waiting.
pub(crate) struct View {
    connection: Connection,
    playing: Playing,
    tally: Tally,
    packets: Packets,
    /// Parameter sets of the description, in Annex B.
    parameters: Vec<u8>,
}

impl View {
    /// Plays the first video track.
    pub(crate) async fn open(rtsp: &Rtsp, at: &mut Attempt<'_>) -> Result<Self, Fault> {
        let mut reading = Reading::default();
        let (mut connection, description) = rtsp.arrive(at, &mut reading).await?;
        let mut selected = description.select(Selection::Video)?;
        selected.truncate(1);
        let media = &description.session.medias[selected[0]];
        let codec = description.tracks[selected[0]].codec.as_str();
        let (packets, parameters) = packets(codec, &media.formats[0])?;
        let tally = Tally::new(&description.session.medias, &selected);
        let started = async {
            let mut playing = set_up(at, &mut connection, &description, &selected, rtsp.ways, &mut reading).await?;
            playing.play(at, &mut connection).await?;
            Ok(playing)
        };
        match started.await {
            Ok(playing) => Ok(Self { connection, playing, tally, packets, parameters }),
            Err(fault) => {
                connection.leave().await;
                Err(fault)
            }
        }
    }

    /// What the pictures are.
    pub(crate) fn codec(&self) -> Codec {
        match self.packets {
            Packets::H264(_) => Codec::H264,
            Packets::H265(_) => Codec::H265,
            Packets::Jpeg(_) => Codec::Jpeg,
        }
    }

    /// The next undamaged coded picture. To be run inside phase media: it waits without a deadline of its own. Safe to
    /// drop and call again.
    pub(crate) async fn next(&mut self) -> Result<Coded, Fault> {
        loop {
            if let Some(coded) = self.pop() {
                return Ok(coded);
            }
            let arrival = self.playing.packet(Phase::Media, &mut self.connection).await?;
            if let Some((header, payload)) = self.tally.arrived(&arrival) {
                // What cannot be read is missing from its picture, which is then marked as damaged.
                let _ = match &mut self.packets {
                    Packets::H264(packets) => packets.push(&header, payload),
                    Packets::H265(packets) => packets.push(&header, payload),
                    Packets::Jpeg(packets) => packets.push(&header, payload),
                };
            }
        }
    }

    fn pop(&mut self) -> Option<Coded> {
        let units: &mut dyn FnMut() -> Option<AccessUnit> = match &mut self.packets {
            Packets::H264(packets) => &mut || packets.pop(),
            Packets::H265(packets) => &mut || packets.pop(),
            Packets::Jpeg(packets) => {
                return packets.pop().map(|frame| Coded { bytes: frame.data, key_frame: true });
            }
        };
        let unit = std::iter::from_fn(units).find(|unit| !unit.damaged)?;
        let bytes = if unit.key_frame && !unit.has_parameters {
            [self.parameters.as_slice(), &unit.annex_b].concat()
        } else {
            unit.annex_b
        };
        Some(Coded { bytes, key_frame: unit.key_frame })
    }

    /// Ends the session.
    pub(crate) async fn close(mut self) {
        self.connection.leave().await;
    }
}

/// How packets of a codec become pictures, and the parameter sets that the description gives.
fn packets(codec: &str, format: &Format) -> Result<(Packets, Vec<u8>), Fault> {
    match codec {
        "h264" => {
            let sets = format.param("sprop-parameter-sets").map(h264::sprop).unwrap_or_default();
            Ok((Packets::H264(h264::Depacketizer::new()), annex_b(&sets)))
        }
        "hevc" => Ok((Packets::H265(h265::Depacketizer::new()), annex_b(&h265::sprop(format)))),
        "mjpeg" => Ok((Packets::Jpeg(jpeg::Depacketizer::new()), Vec::new())),
        other => {
            let detail = format!("pictures in {other} cannot be shown, only h264, hevc and mjpeg");
            Err(Fault::new(FaultKind::ToolMissing, Phase::Describe, detail))
        }
    }
}

fn annex_b(nals: &[Vec<u8>]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 0, 1], nal.as_slice()].concat()).collect()
}
