# mjpeg.sh: multipart JPEG as cameras send it.
# shellcheck shell=bash

component motion kind=core after=rtsp packages=motion
start_motion() { # two cameras, both fed by our RTSP server; the second asks for Digest
  mkdir -p "$S/motion"
  render motion-cam1.conf >/dev/null
  render motion-cam2.conf >/dev/null
  run motion motion -n -c "$(render motion.conf)"
  wait_tcp 18081 18082
}

component mjpeg-ff kind=core files=media
start_mjpeg_ff() { # ffmpeg serves one client and ends, so it starts again after each
  play mjpeg.avi
  # shellcheck disable=SC2016
  run mjpeg-ff bash -c 'while :; do "$@"; sleep 0.2; done' mjpeg-ff "${FEED[@]}" -c copy -f mpjpeg \
    -content_type "multipart/x-mixed-replace;boundary=ffmpeg" -listen 1 "http://$A:18083/stream.mjpg"
}
