# media.sh: the clips that everything plays ($S/media) and the folder that nginx serves ($S/www). Made once, a minute of work.
# shellcheck shell=bash

MEDIA_DONE=.done5 # new name, new clips: change it when a recipe changes
WWW_DONE=.done5

FFMPEG=(ffmpeg -nostdin -hide_banner -loglevel error)
ff() { "${FFMPEG[@]}" -y "$@"; }

# H.264 with a key frame every second, no B frames and no extra ones at scene cuts: every length below follows from that.
X264=(-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 0 -g 25 -keyint_min 25 -sc_threshold 0)
AAC=(-c:a aac -b:a 64k -ac 2)

TONE=(-f lavfi -i sine=frequency=440:sample_rate=48000)

# clip NAME SOURCE OPTION...: twenty seconds of picture and tone.
clip() {
  local name=$1 source=$2
  shift 2
  ff -f lavfi -i "$source" "${TONE[@]}" -t 20 "${X264[@]}" "$@" "${AAC[@]}" "$name"
}

write_media() {
  clip h264_720p.mp4 testsrc2=size=1280x720:rate=25 -profile:v main -b:v 1500k &&
    ff -stream_loop 14 -i h264_720p.mp4 -c copy h264_720p_5min.mp4 &&
    clip h264_360p.mp4 testsrc2=size=640x360:rate=25 -b:v 500k &&
    ff -f lavfi -i testsrc2=size=640x360:rate=25 -t 10 -c:v libx265 -preset ultrafast \
      -x265-params log-level=error:keyint=25:pools=none -tag:v hvc1 -pix_fmt yuv420p h265_360p.mp4 &&
    clip frozen_after4s.mp4 "testsrc2=size=640x360:rate=25:duration=4,tpad=stop_mode=clone:stop_duration=16" &&
    clip black.mp4 color=black:size=640x360:rate=25 &&
    ff -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i anullsrc=r=48000:cl=stereo -t 20 "${X264[@]}" "${AAC[@]}" silent.mp4 &&
    ff -f lavfi -i sine=frequency=440:sample_rate=44100 -t 20 -c:a libmp3lame -b:a 128k tone.mp3 &&
    ff "${TONE[@]}" -t 20 -c:a libopus -b:a 64k tone.opus.ogg &&
    ff -i h264_360p.mp4 -c copy -f mpegts h264_360p.ts &&
    ff -i h265_360p.mp4 -c copy -f mpegts h265_360p.ts &&
    ff -f lavfi -i testsrc2=size=320x240:rate=5 -t 4 -c:v mjpeg -q:v 6 mjpeg.avi &&
    ff -f lavfi -i testsrc2=size=640x360:rate=1 -frames:v 1 still.jpg &&
    touch "$MEDIA_DONE"
}

make_media() {
  mkdir -p "$S/media"
  [ -e "$S/media/$MEDIA_DONE" ] && return 0
  say "  making media"
  (cd "$S/media" && write_media) >>"$S/log/media.log" 2>&1 </dev/null || die "media could not be made, see $S/log/media.log"
}

VOD=(-c copy -f hls -hls_time 2 -hls_list_size 0 -hls_playlist_type vod)

write_vod() { # good playlists: MPEG-TS, fragmented MP4, encrypted, two renditions
  local m=../media
  ff -i $m/h264_360p.mp4 "${VOD[@]}" -hls_segment_filename vod/ts/s%03d.ts vod/ts/index.m3u8 &&
    ff -i $m/h264_360p.mp4 "${VOD[@]}" -hls_segment_type fmp4 -hls_segment_filename vod/fmp4/s%03d.m4s vod/fmp4/index.m3u8 &&
    openssl rand 16 >vod/aes/k.bin && printf 'k.bin\n%s\n' "$PWD/vod/aes/k.bin" >"$S/conf/aes.info" &&
    ff -i $m/h264_360p.mp4 "${VOD[@]}" -hls_key_info_file "$S/conf/aes.info" -hls_segment_filename vod/aes/s%03d.ts vod/aes/index.m3u8 &&
    ff -i $m/h264_720p.mp4 -i $m/h264_360p.mp4 -map 0:v -map 0:a -map 1:v -map 1:a "${VOD[@]}" -master_pl_name master.m3u8 \
      -var_stream_map "v:0,a:0 v:1,a:1" -hls_segment_filename vod/multi/v%v_%03d.ts vod/multi/v%v.m3u8
}

write_bad() { # playlists that a player chokes on, each for one reason
  local file
  # stale: looks live (no end mark), never gains a segment
  cp vod/ts/s00[0-3].ts bad/stale/ &&
    printf '%s\n' '#EXTM3U' '#EXT-X-VERSION:3' '#EXT-X-TARGETDURATION:2' '#EXT-X-MEDIA-SEQUENCE:41' \
      '#EXTINF:2.0,' s001.ts '#EXTINF:2.0,' s002.ts '#EXTINF:2.0,' s003.ts >bad/stale/index.m3u8 || return 1
  # missing: segments from s003.ts on answer 404
  cp vod/ts/index.m3u8 vod/ts/s00[0-2].ts bad/missing/ || return 1
  # empty, and a captive portal's page where a playlist should be
  : >bad/empty/index.m3u8
  printf '<html><body>Welcome to the captive portal</body></html>\n' >bad/html/index.m3u8
  # corrupt: segments of noise
  cp vod/ts/index.m3u8 bad/corrupt/ || return 1
  for file in vod/ts/s*.ts; do head -c 20000 /dev/urandom >"bad/corrupt/${file##*/}"; done
  # gap: a discontinuity in the middle, without an end mark
  cp vod/ts/*.ts bad/gap/ &&
    sed -e 's/#EXTM3U/#EXTM3U\n#EXT-X-DISCONTINUITY-SEQUENCE:3/' -e '0,/s002.ts/s//s002.ts\n#EXT-X-DISCONTINUITY/' -e '/ENDLIST/d' \
      vod/ts/index.m3u8 >bad/gap/index.m3u8
}

write_www() {
  write_vod && write_bad || return 1
  cp ../media/{black,frozen_after4s,h264_360p,h264_720p,h265_360p,silent}.mp4 ../media/*.mp3 ../media/still.jpg media/ || return 1
  echo ok >ok.txt
  chmod -R a+rX . && chmod 777 hls dash live/ff live/ffdash && touch "$WWW_DONE" # nginx's worker may be another user
}

make_www() {
  [ -e "$S/www/$WWW_DONE" ] && return 0
  rm -rf "$S/www"
  mkdir -p "$S"/www/{vod/ts,vod/fmp4,vod/aes,vod/multi,bad/stale,bad/missing,bad/empty,bad/html,bad/corrupt,bad/gap,live/ff,live/ffdash,hls,dash,media}
  (cd "$S/www" && write_www) >>"$S/log/media.log" 2>&1 </dev/null || die "the web folder could not be filled, see $S/log/media.log"
}
