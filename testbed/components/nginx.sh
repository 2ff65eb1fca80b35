# nginx.sh: everything over HTTP(S), and RTMP(S) with its own HLS and DASH output. See conf/nginx.conf.in.
# shellcheck shell=bash

component nginx kind=core files="certs www" packages="nginx-light libnginx-mod-rtmp libnginx-mod-http-echo libnginx-mod-stream"
start_nginx() {
  printf 'viewer:%s\n' "$(openssl passwd -apr1 s3cret)" >"$S/conf/htpasswd"
  run nginx nginx -p "$S" -c "$(render nginx.conf)" -g "error_log $S/log/nginx.error.log;"
  wait_tcp 18080 11935 11936 18443
}

component rtmp-push kind=core after=nginx files=media
start_rtmp_push() {
  publish rtmp-cam h264_360p.mp4 live/cam
  publish rtmp-frozen frozen_after4s.mp4 live/frozen
  publish rtmp-keyed h264_360p.mp4 keyed/cam
  publish rtmp-noplay h264_360p.mp4 noplay/cam
}
publish() { # NAME CLIP PATH
  play "$2"
  run "$1" "${FEED[@]}" -c copy -f flv "rtmp://$A:11935/$3"
}
ready_rtmp_push() {
  wait_for 20 test -s "$S/www/hls/cam.m3u8"
  wait_for 20 test -s "$S/www/dash/cam.mpd"
}
stopped_rtmp_push() { rm -rf "$S"/www/hls/* "$S"/www/dash/*; }
