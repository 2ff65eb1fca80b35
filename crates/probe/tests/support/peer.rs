//! A scripted RTSP server: answers each request as the test says and remembers all of them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use wire::rtsp::{Decoder, Message, Method, Request, Response, encode_interleaved};

/// Longest wait for something the client must do.
const PATIENCE: Duration = Duration::from_secs(10);

/// H.264 of 1920x1080 and AAC.
pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=test\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QAKKzZQHgCJ+XARAAAAwAEAAADAPA8YMZY,aOvjyyLA\r\na=control:video\r\n\
    m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/1\r\n\
    a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1188;sizelength=13;indexlength=3;indexdeltalength=3\r\na=control:audio\r\n";

#[derive(Default)]
struct Log {
    messages: Mutex<Vec<Message>>,
    changed: Condvar,
}

/// The server. Every connection runs the same script.
pub(crate) struct Peer {
    port: u16,
    log: Arc<Log>,
}

/// One connection, seen from the script.
pub(crate) struct Client {
    stream: TcpStream,
    /// Requests answered on this connection before this one.
    pub(crate) before: usize,
}

impl Client {
    /// Answers a request.
    pub(crate) fn reply(&mut self, request: &Request, status: u16, fields: &[(&str, &str)], body: &str) {
        let mut reply = Response::new(status, reason(status));
        reply.headers.push("CSeq", request.cseq.to_string());
        reply.headers.push("Server", "Scripted/1");
        for (name, value) in fields {
            reply.headers.push(name, *value);
        }
        reply.body = body.to_owned().into();
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        self.write(&out);
    }

    /// Sends a request of the server.
    pub(crate) fn request(&mut self, method: Method) {
        self.write(&Request::new(method, "rtsp://127.0.0.1/", 7).to_bytes());
    }

    /// Sends an RTP packet in the connection.
    pub(crate) fn rtp(&mut self, channel: u8, payload_type: u8, sequence: u16, payload: &[u8]) {
        let mut out = BytesMut::new();
        encode_interleaved(channel, &rtp(payload_type, sequence, payload), &mut out);
        self.write(&out);
    }

    /// Sends bytes as they are. A client that is gone is not the server's concern.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Ends the connection.
    pub(crate) fn close(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// What a good server does: description, both tracks, packets of both.
    pub(crate) fn good(&mut self, request: &Request) {
        match &request.method {
            Method::Describe => self.reply(request, 200, &[("Content-Type", "application/sdp")], SDP),
            Method::Setup => {
                let transport = request.headers.get("Transport").expect("a transport is asked for").to_owned();
                self.reply(request, 200, &[("Session", "abc;timeout=60"), ("Transport", &transport)], "");
            }
            Method::Play => {
                self.reply(request, 200, &[("Session", "abc")], "");
                self.rtp(0, 96, 1, &[0x65, 1]);
                self.rtp(2, 97, 1, &[0, 16, 0, 8, 1]);
            }
            _ => self.reply(request, 200, &[], ""),
        }
    }
}

/// An RTP packet.
pub(crate) fn rtp(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0x80 | payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    packet.extend(payload);
    packet
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        401 => "Unauthorized",
        461 => "Unsupported Transport",
        503 => "Service Unavailable",
        _ => "Said So",
    }
}

impl Peer {
    /// Starts a server on a free port of the loopback. It ends with the test's process.
    pub(crate) fn start(script: impl Fn(&mut Client, &Request) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (log, script) = (Arc::new(Log::default()), Arc::new(script));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, script) = (Arc::clone(&shared), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &log, &*script));
            }
        });
        Self { port, log }
    }

    /// A URL of this server; `userinfo` is empty or ends in `@`.
    pub(crate) fn url(&self, userinfo: &str) -> String {
        format!("rtsp://{userinfo}127.0.0.1:{}/cam", self.port)
    }

    /// Methods of all requests so far.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.requests().iter().map(|r| r.method.to_string()).collect()
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let messages = self.log.messages.lock().expect("no thread of the server panics");
        messages.iter().filter_map(|m| if let Message::Request(r) = m { Some(r.clone()) } else { None }).collect()
    }

    /// Replies of the client to the server's requests.
    pub(crate) fn replies(&self) -> Vec<Response> {
        let messages = self.log.messages.lock().expect("no thread of the server panics");
        messages.iter().filter_map(|m| if let Message::Response(r) = m { Some(r.clone()) } else { None }).collect()
    }

    /// Waits until a request of this method has come; blocks the thread.
    pub(crate) fn wait_for(&self, method: &Method) -> Request {
        let messages = self.log.messages.lock().expect("no thread of the server panics");
        let missing = |m: &mut Vec<Message>| find(m, method).is_none();
        let (messages, _) = self.log.changed.wait_timeout_while(messages, PATIENCE, missing).expect("no panic");
        find(&messages, method).unwrap_or_else(|| panic!("no {method} came"))
    }
}

fn find(messages: &[Message], method: &Method) -> Option<Request> {
    messages.iter().find_map(|m| match m {
        Message::Request(r) if r.method == *method => Some(r.clone()),
        _ => None,
    })
}

fn serve(stream: TcpStream, log: &Log, script: &(dyn Fn(&mut Client, &Request) + Send + Sync)) {
    let mut client = Client { stream: stream.try_clone().expect("a second handle"), before: 0 };
    let (mut reader, mut decoder, mut inbox) = (stream, Decoder::new(), BytesMut::new());
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        inbox.extend_from_slice(&buffer[..n]);
        while let Ok(Some(message)) = decoder.decode(&mut inbox) {
            log.messages.lock().expect("no thread of the server panics").push(message.clone());
            log.changed.notify_all();
            if let Message::Request(request) = message {
                script(&mut client, &request);
                client.before += 1;
            }
        }
    }
}
