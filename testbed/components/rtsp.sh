# rtsp.sh: GStreamer's RTSP server with four listeners: open, Digest, Basic, TLS. The mounts stand in rtsp_mounts.py.
# shellcheck shell=bash

component rtsp kind=core files="certs media" packages="gstreamer1.0-rtsp gir1.2-gst-rtsp-server-1.0 gir1.2-gstreamer-1.0
  gir1.2-gst-plugins-base-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly glib-networking"
start_rtsp() {
  run rtsp /usr/bin/python3 "$HERE/rtsp_mounts.py" --address "$A" --open 18554 --digest 18555 --basic 18556 --tls 18322 \
    --cert "$S/ca/server.pem" --key "$S/ca/server.key" --clip "$S/media/h264_720p_5min.mp4"
  wait_tcp 18554 18555 18556 18322
}
