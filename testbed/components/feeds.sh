# feeds.sh: MPEG-TS over UDP and RTP, and HLS and DASH written by ffmpeg itself. No server: ffmpeg plays a clip in real time.
# shellcheck shell=bash

# play CLIP: the start of every feed's command, into the array FEED. -re keeps to the clip's clock, -stream_loop -1 never ends.
play() { FEED=("${FFMPEG[@]}" -re -stream_loop -1 -i "$S/media/$1"); }

TS_PACKETS="pkt_size=1316&localaddr=$A" # seven TS packets of 188 bytes fit one Ethernet frame; sent from the loopback interface

component udpts kind=core files=media
start_udpts() {
  play h264_360p.mp4
  run udpts "${FEED[@]}" -c copy -f mpegts "udp://$A:18501?$TS_PACKETS"
  run rtpts "${FEED[@]}" -c copy -f rtp_mpegts "rtp://$A:18504?$TS_PACKETS"
}

component ffhls kind=core files="media www"
start_ffhls() {
  play h264_360p.mp4
  run ffhls "${FEED[@]}" -c copy -f hls -hls_time 2 -hls_list_size 5 -hls_flags delete_segments+program_date_time+independent_segments \
    -hls_segment_filename "$S/www/live/ff/s%06d.ts" "$S/www/live/ff/index.m3u8"
}
ready_ffhls() { wait_for 20 test -s "$S/www/live/ff/index.m3u8"; }
stopped_ffhls() { rm -f "$S"/www/live/ff/*; }

component ffdash kind=core files="media www"
start_ffdash() {
  play h264_360p.mp4
  run ffdash "${FEED[@]}" -c copy -f dash -seg_duration 2 -window_size 5 -extra_window_size 2 \
    -utc_timing_url "http://$A:18080/ok.txt" "$S/www/live/ffdash/manifest.mpd"
}
ready_ffdash() { wait_for 20 test -s "$S/www/live/ffdash/manifest.mpd"; }
stopped_ffdash() { rm -f "$S"/www/live/ffdash/*; }
