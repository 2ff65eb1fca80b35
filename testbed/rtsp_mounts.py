#!/usr/bin/python3
"""The RTSP side of the testbed: names pipelines and hands them to GStreamer's own RTSP server, which does the rest.

Four listeners: open (all mounts), Digest, Basic and TLS (one mount each). User viewer, password s3cret.

Every mount is its own pipeline per client. One pipeline shared by all clients would be cheaper, but with
gst-rtsp-server 1.22 a shared medium with picture and sound answers 503 for good once one client sets up only the
picture while another joins.
"""

import argparse
import signal
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

REALM, USER, PASSWORD = "testbed", "viewer", "s3cret"
BACKLOG = 256  # load tests connect hundreds of clients at once
SESSION_SWEEP_S = 5  # how often sessions of vanished clients are dropped


# ---------------------------------------------------------------- pipelines


def picture(pattern, options, width=320, height=240, fps=10):
    size = f"format=I420,width={width},height={height},framerate={fps}/1"
    return f"videotestsrc is-live=true pattern={pattern} {options} ! video/x-raw,{size}"


def h264(pattern="ball", options="", fps=10):
    return (
        f"{picture(pattern, options, fps=fps)} "
        f"! x264enc tune=zerolatency speed-preset=ultrafast bitrate=200 key-int-max={fps} threads=1 "
        "! video/x-h264,profile=constrained-baseline ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1"
    )


def h265(fps=10):
    return (
        f"{picture('ball', '', fps=fps)} "
        f"! x265enc tune=zerolatency speed-preset=ultrafast bitrate=200 key-int-max={fps} "
        "option-string=pools=none:frame-threads=1:log-level=error "
        "! h265parse ! rtph265pay name=pay0 pt=96 config-interval=1"
    )


def mjpeg():
    return f"{picture('ball', '')} ! jpegenc ! rtpjpegpay name=pay0 pt=26"


def aac(wave="sine"):
    return (
        f"audiotestsrc is-live=true wave={wave} ! audio/x-raw,rate=48000,channels=1 "
        "! voaacenc bitrate=64000 ! aacparse ! rtpmp4gpay name=pay1 pt=97"
    )


def pcmu():
    return "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay0 pt=0"


def clip(path):
    """A file sent as it is. Without an encoder it is cheap enough for load tests; it ends with the file."""
    return (
        f"filesrc location={path} ! qtdemux name=d "
        "d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 "
        "d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97"
    )


# ---------------------------------------------------------------- mounts


def mount(*parts, protocols=None, configure=None):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( " + " ".join(parts) + " )")
    factory.set_shared(False)
    if protocols is not None:
        factory.set_protocols(protocols)
    if configure is not None:
        factory.connect("media-configure", configure)
    return factory


def silent_after(seconds):
    """Drops every packet once the medium is this old; the session itself stays open and answers."""

    def configure(_factory, media):
        element, born = media.get_element(), time.monotonic()

        def gate(_pad, _info):
            late = time.monotonic() - born > seconds
            return Gst.PadProbeReturn.DROP if late else Gst.PadProbeReturn.OK

        packets = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
        for name in ("pay0", "pay1"):
            payloader = element.get_by_name(name)
            if payloader is not None:
                payloader.get_static_pad("src").add_probe(packets, gate)

    return configure


def open_mounts(clip_path):
    transport = GstRtsp.RTSPLowerTrans
    return {
        "/h264": mount(h264(), aac()),
        "/h265": mount(h265()),
        "/720p": mount(clip(clip_path)),  # 25 frames per second, five minutes
        "/mjpeg": mount(mjpeg()),
        "/audio": mount(pcmu()),
        "/frozen": mount(h264("smpte75"), aac()),  # packets flow, the picture never changes
        "/black": mount(h264("black"), aac()),
        "/silent": mount(h264(), aac("silence")),
        "/stall": mount(h264(), configure=silent_after(5.0)),
        "/stall0": mount(h264(), configure=silent_after(0.8)),  # plays, but hardly a packet comes
        "/eos": mount(h264(options="num-buffers=40")),  # ends after four seconds
        "/udponly": mount(h264(), protocols=transport.UDP),  # answers 461 to TCP
        "/tcponly": mount(h264(), protocols=transport.TCP),  # answers 461 to UDP
        "/broken": mount("filesrc location=/nonexistent.ts ! tsdemux ! h264parse ! rtph264pay name=pay0"),  # 503
    }


# ---------------------------------------------------------------- who may watch


def one_mount():
    return {"/h264": mount(h264(), aac())}


def role_token():
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    return token


def digest():
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.set_realm(REALM)
    auth.add_digest(USER, PASSWORD, role_token())
    return auth


def basic():
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
    auth.set_realm(REALM)
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(USER, PASSWORD), role_token())
    return auth


def tls(cert, key):
    auth = GstRtspServer.RTSPAuth()
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(cert, key))
    auth.set_default_token(role_token())
    return auth


def listen(address, port, mounts, auth=None):
    server = GstRtspServer.RTSPServer()
    server.set_address(address)
    server.set_service(str(port))
    server.set_backlog(BACKLOG)
    points = server.get_mount_points()
    for path, factory in mounts.items():
        if auth is not None:
            rights = "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
            factory.add_role_from_structure(Gst.Structure.new_from_string(rights))
        points.add_factory(path, factory)
    if auth is not None:
        server.set_auth(auth)
    if server.attach(None) == 0:
        sys.exit(f"rtsp: cannot listen on {address}:{port}")
    return server


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    for listener in ("open", "digest", "basic", "tls"):
        parser.add_argument(f"--{listener}", type=int, required=True, metavar="PORT")
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--clip", required=True, help="MP4 with H.264 and AAC for /720p")
    return parser.parse_args()


def main():
    args = arguments()
    Gst.init(None)
    loop = GLib.MainLoop()
    servers = [
        listen(args.address, args.open, open_mounts(args.clip)),
        listen(args.address, args.digest, one_mount(), digest()),
        listen(args.address, args.basic, one_mount(), basic()),
        listen(args.address, args.tls, one_mount(), tls(args.cert, args.key)),
    ]

    def sweep():
        for server in servers:
            server.get_session_pool().cleanup()
        return True

    GLib.timeout_add_seconds(SESSION_SWEEP_S, sweep)
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    print("rtsp ready", Gst.version_string(), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
