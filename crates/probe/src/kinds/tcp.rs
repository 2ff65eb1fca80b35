//! Kind `tcp`: a port that accepts, and, where asked for, greets or answers with the expected text. Owns nothing beyond one
//! connection.

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::dial::{self, Stream, io_fault};
use net::trust::{TLS_FIELDS, TlsOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kind::{BoxFuture, Kind, Probe, join_fields, options_node};

/// Longest text to send or to wait for, in bytes.
const MAX_TEXT_BYTES: usize = 4096;
/// Most bytes that are searched for the expected text: greetings are short.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of an unexpected answer that a sentence quotes.
const MAX_QUOTE_BYTES: usize = 60;

const OWN_FIELDS: [Field; 3] = [
    Field::new("tls", Type::Bool, "Whether to speak TLS.").default("false"),
    Field::new(
        "send",
        Type::Text { max: MAX_TEXT_BYTES },
        "Text to send after connecting, with the line ends that the service wants, as \"PING\\r\\n\".",
    ),
    Field::new(
        "expect_text",
        Type::Text { max: MAX_TEXT_BYTES },
        "Text that the service must send, in its greeting or as its answer, within the first 64 KiB.",
    ),
];
static FIELDS: [Field; 8] = join_fields(&[&OWN_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "tcp",
    schemes: &["tcp"],
    summary: "TCP: the port accepts connections, and greets or answers as expected",
    example: "\
name: Redis
url: tcp://192.0.2.20:6379
kind: tcp
send: \"PING\\r\\n\"
expect_text: PONG
",
    media: false,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Tcp::new(target)?)),
    guess: |address| u8::from(address.scheme() == "tcp"),
};

/// A target of this kind, ready to be looked at.
struct Tcp {
    address: Address,
    tls: Option<TlsOptions>,
    send: Option<String>,
    expect: Option<String>,
}

impl Tcp {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        if target.address.port().is_none() {
            problems
                .push(Problem::new(None, "url", "the URL names no port").with_remedy("as in tcp://192.0.2.20:6379"));
        }
        let tls = TlsOptions::read(&options, &mut problems);
        let probe = Self {
            address: target.address.clone(),
            tls: options.bool("tls").unwrap_or(false).then_some(tls),
            send: options.text("send").filter(|t| !t.is_empty()),
            expect: options.text("expect_text").filter(|t| !t.is_empty()),
        };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut stream = dial::connect(at, &self.address, self.tls.as_ref(), reading).await?;
        if let Some(text) = &self.send {
            let write = async {
                stream.write_all(text.as_bytes()).await.map_err(|e| io_fault(Phase::FirstByte, &e))?;
                stream.flush().await.map_err(|e| io_fault(Phase::FirstByte, &e))
            };
            at.run(Phase::FirstByte, write).await?;
        }
        if let Some(expected) = &self.expect {
            let mut answer = Vec::new();
            at.run(Phase::FirstByte, more(&mut stream, &mut answer, Phase::FirstByte, expected)).await?;
            let found = at.run(Phase::Transfer, find(&mut stream, &mut answer, expected)).await;
            reading.int(fact::BODY_BYTES, i64::try_from(answer.len()).unwrap_or(i64::MAX));
            found?;
        }
        // The peer learns that we are done; a failure to say so changes nothing about what was seen.
        let _ = at.run(Phase::Check, async { Ok(stream.shutdown().await) }).await;
        Ok(())
    }
}

/// Reads until `expected` has come.
async fn find(stream: &mut Stream, answer: &mut Vec<u8>, expected: &str) -> Result<(), Fault> {
    let wanted = expected.as_bytes();
    let mut searched = 0;
    loop {
        if answer[searched..].windows(wanted.len()).any(|w| w == wanted) {
            return Ok(());
        }
        searched = answer.len().saturating_sub(wanted.len());
        if answer.len() >= MAX_ANSWER_BYTES {
            let detail = format!("{expected:?} did not come within the first {} KiB", MAX_ANSWER_BYTES / 1024);
            return Err(Fault::new(FaultKind::TooLarge, Phase::Transfer, detail));
        }
        more(stream, answer, Phase::Transfer, expected).await?;
    }
}

/// Reads once; the end of the stream is a fault.
async fn more(stream: &mut Stream, answer: &mut Vec<u8>, phase: Phase, expected: &str) -> Result<(), Fault> {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).await.map_err(|e| io_fault(phase, &e))?;
    answer.extend_from_slice(&buffer[..count]);
    if count > 0 {
        return Ok(());
    }
    Err(Fault::protocol(
        phase,
        match answer.as_slice() {
            [] => format!("the peer closed the connection without a word, expected {expected:?}"),
            some => {
                let quoted = some[..some.len().min(MAX_QUOTE_BYTES)].escape_ascii();
                format!("the peer sent \"{quoted}\" and closed the connection, expected {expected:?}")
            }
        },
    ))
}

impl Probe for Tcp {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}
