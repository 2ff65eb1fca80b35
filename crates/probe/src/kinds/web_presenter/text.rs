//! The encoder's text protocol (TCP port 9977): a dump of everything upon connection, then answers to requests. Owns the order
//! of the conversation; reading blocks is `wire::blocks`.
//!
//! Only reads: a request names a block and changes nothing.

use bytes::BytesMut;
use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use net::attempt::Attempt;
use net::dial::{self, Stream, io_fault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::blocks::{ACK, Block, BlockError, Decoder, NACK};

use super::told::{Details, Secrets, Told};

/// Most bytes that are read for one answer: the dump with the XML of many platforms takes some hundred KiB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;
/// Versions of the protocol that we understand: compatible changes leave the first number alone.
const MAJOR_VERSION: &str = "1";
/// The request for the state of the stream: the block's header and an empty line.
const ASK_STATE: &[u8] = b"STREAM STATE:\n\n";

/// A conversation under way.
pub(super) struct Talk {
    stream: Stream,
    decoder: Decoder,
    inbox: BytesMut,
    pub(super) details: Details,
    pub(super) secrets: Secrets,
    /// Name of the format of the pictures, as the settings have it.
    format: Option<String>,
}

impl Talk {
    /// Connects and waits for the beginning of the dump.
    ///
    /// # Errors
    /// Those of connecting; protocol when something else answers on this port.
    pub(super) async fn open(
        at: &mut Attempt<'_>,
        host: &str,
        port: u16,
        reading: &mut Reading,
    ) -> Result<Self, Fault> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let address = Address::parse(&format!("tcp://{host}:{port}"))
            .map_err(|words| Fault::new(FaultKind::Internal, Phase::Connect, words))?;
        let stream = dial::connect(at, &address, None, reading).await?;
        let mut talk = Self {
            stream,
            decoder: Decoder::new(),
            inbox: BytesMut::new(),
            details: Details::default(),
            secrets: Secrets::default(),
            format: None,
        };
        let first = at.run(Phase::Handshake, talk.next(Phase::Handshake, &mut 0)).await?;
        if first.header() != "PROTOCOL PREAMBLE" {
            let words = "the peer does not begin with the preamble of the encoder's text protocol";
            return Err(Fault::protocol(Phase::Handshake, words));
        }
        let version = first.get("Version").unwrap_or_default();
        if version.split('.').next() != Some(MAJOR_VERSION) {
            let words =
                format!("the device speaks version {:?} of its protocol, expected 1.x", crate::api::tidy(version));
            return Err(Fault::protocol(Phase::Handshake, words));
        }
        Ok(talk)
    }

    /// Asks for the state of the stream. The dump comes before the first answer and is taken in.
    ///
    /// # Errors
    /// Protocol when the device refuses or ends the conversation; timed_out.
    pub(super) async fn state(&mut self, at: &mut Attempt<'_>) -> Result<Told, Fault> {
        at.run(Phase::Describe, self.exchange()).await
    }

    async fn exchange(&mut self) -> Result<Told, Fault> {
        const PHASE: Phase = Phase::Describe;
        let wrote = async {
            self.stream.write_all(ASK_STATE).await?;
            self.stream.flush().await
        };
        wrote.await.map_err(|e| io_fault(PHASE, &e))?;
        let (mut received, mut granted) = (0, false);
        loop {
            let block = self.next(PHASE, &mut received).await?;
            match block.header() {
                ACK => granted = true,
                NACK => return Err(Fault::protocol(PHASE, "the device refuses to tell its state (NACK)")),
                // Before the ACK it is part of the dump, or a change that was told by itself: without bit rate and duration.
                "STREAM STATE" if granted => {
                    if let Some(mut told) = Told::of_block(&block) {
                        told.format.clone_from(&self.format);
                        return Ok(told);
                    }
                }
                _ => self.take(&block),
            }
        }
    }

    fn take(&mut self, block: &Block) {
        self.secrets.of_block(block);
        if let Some(format) = self.details.block(block) {
            self.format = Some(format);
        }
    }

    /// The next block. Read it inside `Attempt::run`.
    async fn next(&mut self, phase: Phase, received: &mut usize) -> Result<Block, Fault> {
        loop {
            match self.decoder.decode() {
                Ok(Some(block)) => return Ok(block),
                Ok(None) => {}
                Err(error) => {
                    let large = matches!(error, BlockError::TooLarge { .. });
                    let kind = if large { FaultKind::TooLarge } else { FaultKind::Protocol };
                    return Err(Fault::new(kind, phase, error.to_string()));
                }
            }
            if *received > MAX_ANSWER_BYTES {
                let words = format!("{} KiB came without an answer", MAX_ANSWER_BYTES / 1024);
                return Err(Fault::new(FaultKind::TooLarge, phase, words));
            }
            self.inbox.clear();
            self.inbox.reserve(READ_BYTES);
            let count = self.stream.read_buf(&mut self.inbox).await.map_err(|e| io_fault(phase, &e))?;
            if count == 0 {
                return Err(Fault::protocol(phase, "the peer closed the connection"));
            }
            *received += count;
            self.decoder.push(&self.inbox);
        }
    }
}
