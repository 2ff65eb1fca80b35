# srt.sh: SRT listeners, open and encrypted, fed over UDP.
# shellcheck shell=bash

component srtfeed kind=core files=media
start_srtfeed() {
  play h264_360p.mp4
  run srtfeed "${FEED[@]}" -c copy -f mpegts "udp://$A:18502?$TS_PACKETS"
  run srtfeed2 "${FEED[@]}" -c copy -f mpegts "udp://$A:18503?$TS_PACKETS"
}

component srt kind=core after=srtfeed packages="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
start_srt() { # GStreamer serves several callers at once
  run srt gst-launch-1.0 -q udpsrc address="$A" port=18502 buffer-size=1000000 caps="video/mpegts,systemstream=true,packetsize=188" \
    ! queue ! srtsink uri="srt://$A:18890?mode=listener" latency=120 wait-for-connection=false sync=false
}

component srtenc kind=core after=srtfeed packages=srt-tools
start_srtenc() { # one caller at a time
  run srtenc srt-live-transmit -a:yes -q "udp://$A:18503" \
    "srt://$A:18891?mode=listener&passphrase=correcthorsebattery&pbkeylen=16&latency=120"
}
