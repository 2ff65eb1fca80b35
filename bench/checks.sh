# checks.sh: what one check and one held session cost, beside what other tools need for the same URL in the same run.
# shellcheck shell=bash

RTSP_URL=rtsp://127.0.0.1:18554/720p
HTTP_URL=http://127.0.0.1:18080/ok.txt
EXPORTER=127.0.0.1:19115

# A figure out of `good=200 checks=200 cpu_ms=0.41 took_ms=48`.
figure() { grep -oE "(^| )$2=[0-9.]+" <<<"$1" | cut -d= -f2; }

# check_cost WHAT URL CHECKS [KIND]: sets OUT; fails unless every check was good.
check_cost() {
  OUT=$("$TARGET/release/examples/check_cost" "$2" "$3" ${4:+"$4"}) || { failed "$1" "check_cost failed"; return 1; }
  [ "$(figure "$OUT" good)" = "$3" ] || { failed "$1" "$OUT"; return 1; }
}

bench_rtsp() {
  local what="RTSP check to the first packet of every track, CPU" runs=${FFPROBE_RUNS:-10} ours theirs times
  need_testbed rtsp:18554 || { failed "$what" "no RTSP server"; return; }
  check_cost "$what" "$RTSP_URL" "${RTSP_CHECKS:-300}" || return
  ours=$(figure "$OUT" cpu_ms)
  TIMEFORMAT='%U %S'
  times=$({ time for _ in $(seq "$runs"); do
    ffprobe -v error -rtsp_transport tcp -show_streams "$RTSP_URL" >/dev/null 2>&1 || echo bad >>"$SCRATCH/ffprobe.bad"
  done; } 2>&1)
  [ -e "$SCRATCH/ffprobe.bad" ] && { failed "$what" "ffprobe failed"; return; }
  theirs=$(awk -v n="$runs" '{ printf "%.2f", ($1 + $2) * 1000 / n }' <<<"$times")
  row "$what" "≤ 1 ms" "$(calc "$ours") ms" "" "" "$ours <= 1"
  row "the same against ffprobe" "≥ 75 × less" "$(calc "$ours") ms" "ffprobe $(calc "$theirs") ms" "$(calc "$theirs / $ours") ×" \
    "$theirs >= 75 * $ours"
}

# What ffprobe waits for with these URLs is media that comes in real time, so its wall time is compared as well.
MEDIA="
rtmp    rtmp://127.0.0.1:11935/live/cam                          nginx:18080  waits
hls     http://127.0.0.1:18080/hls/cam.m3u8                      nginx:18080  -
dash    http://127.0.0.1:18080/live/ffdash/manifest.mpd          nginx:18080  -
icecast http://127.0.0.1:18000/tone.mp3                          icecast:18000 waits
mpegts  udp://127.0.0.1:18501                                    -            waits
srt     srt://127.0.0.1:18890                                    -            waits
"

# One look of each kind that carries media against ffprobe at the same URL in the same run.
bench_media() {
  local kind url server waits
  while read -r kind url server waits; do
    [ -n "$kind" ] && media_check "$kind" "$url" "$server" "$waits"
  done <<<"$MEDIA"
}

# media_check KIND URL SERVER WAITS
media_check() {
  local what="$1 check, CPU" runs=${FFPROBE_RUNS:-10} ours theirs times wall
  if [ "$3" != - ]; then need_testbed "$3" || { failed "$what" "no $3"; return; }; fi
  check_cost "$what" "$2" "${MEDIA_CHECKS:-30}" "$1" || return
  ours=$(figure "$OUT" cpu_ms) wall=$(figure "$OUT" took_ms)
  TIMEFORMAT='%U %S %R'
  rm -f "$SCRATCH/ffprobe.bad"
  times=$({ time for _ in $(seq "$runs"); do
    timeout 30 ffprobe -v error -show_streams "$2" >/dev/null 2>&1 </dev/null || echo bad >>"$SCRATCH/ffprobe.bad"
  done; } 2>&1)
  [ -e "$SCRATCH/ffprobe.bad" ] && { failed "$what" "ffprobe failed"; return; }
  theirs=$(awk -v n="$runs" '{ printf "%.2f", ($1 + $2) * 1000 / n }' <<<"$times")
  row "$what" "≥ 50 × less" "$(calc "$ours") ms" "ffprobe $(calc "$theirs") ms" "$(calc "$theirs / $ours") ×" "$theirs >= 50 * $ours"
  [ "$4" = waits ] || return
  theirs=$(awk -v n="$runs" '{ printf "%.2f", $3 * 1000 / n }' <<<"$times")
  row "$1 check, wall time" "≤ a fifth" "$(calc "$wall") ms" "ffprobe $(calc "$theirs") ms" "$(calc "$wall / $theirs")" "$wall * 5 <= $theirs"
}

bench_http() {
  local what="HTTP check, CPU, the look alone" n=${HTTP_CHECKS:-1000} pid ask before ours theirs rounds cpu
  need_testbed nginx:18080 blackbox:19115 || { failed "$what" "no testbed"; return; }
  check_cost "$what" "$HTTP_URL" $((n * 3)) || return
  ours=$(figure "$OUT" cpu_ms)

  read -r pid _ <"$TESTBED_DIR/pid/blackbox"
  if ! grep -q '^prometheus-bla' "/proc/${pid:-none}/comm" 2>/dev/null; then
    failed "$what" "the exporter on $EXPORTER is not of the testbed in $TESTBED_DIR"
    return
  fi
  ask="http://$EXPORTER/probe?module=http_2xx&target=$HTTP_URL"
  curl -fsS "$ask" | grep -q '^probe_success 1' || { failed "$what" "the exporter does not succeed"; return; }
  curl -fsS -o /dev/null "$ask&n=[1-50]"
  before=$(cpu_ms "$pid")
  curl -fsS -o /dev/null "$ask&n=[1-$n]" # one connection for all of them
  theirs=$(awk "BEGIN { print ($(cpu_ms "$pid") - $before) / $n }")
  row "$what" "≤ ½ of blackbox_exporter" "$(calc "$ours") ms" "$(calc "$theirs") ms" "$(calc "$ours / $theirs")" "$ours <= $theirs / 2"

  # The whole program: cadence, verdict, history on the disk, board. 200 targets a second at the same URL.
  config "$SCRATCH/http"
  for i in $(seq 200); do echo "  - {name: T$i, url: '$HTTP_URL', interval: 1s}"; done >>"$SCRATCH/http/streampulse.yaml"
  start_product "$SCRATCH/http"
  sleep 8 # first looks are spread over five seconds
  before=$(cpu_ms "$PRODUCT") rounds=$(health .parts.engine.punctuality.rounds)
  sleep "${HTTP_SECONDS:-20}"
  cpu=$(($(cpu_ms "$PRODUCT") - before)) rounds=$(($(health .parts.engine.punctuality.rounds) - rounds))
  [ "$(health .targets.up)" = 200 ] || failed "the program" "not all targets are up"
  end "$PRODUCT"
  ours=$(awk "BEGIN { print $cpu / $rounds }")
  row "HTTP check, CPU, the whole program (cadence, verdict, history)" "≤ ½ of blackbox_exporter" \
    "$(calc "$ours") ms" "$(calc "$theirs") ms" "$(calc "$ours / $theirs")" "$ours <= $theirs / 2"
}

# ffmpeg_ms SECONDS URL...: processor time of one ffmpeg that copies its stream to nowhere for so long, mean of all URLs at once.
ffmpeg_ms() {
  local TIMEFORMAT='%U %S' i=0 url seconds=$1 pids=() options
  shift
  for url in "$@"; do
    i=$((i + 1)) options=()
    case $url in rtsp:*) options=(-rtsp_transport tcp) ;; esac
    { time ffmpeg -nostdin -v quiet "${options[@]}" -i "$url" -t "$seconds" -c copy -f null - >/dev/null 2>&1; } 2>"$SCRATCH/ffmpeg.$i" &
    pids+=($!)
  done
  wait "${pids[@]}"
  awk '{ sum += ($1 + $2) * 1000 } END { print sum / NR }' "$SCRATCH"/ffmpeg.*
  rm -f "$SCRATCH"/ffmpeg.*
}

# held WHAT SESSIONS SECONDS URL FFMPEG-URL...: holds sessions, then lets ffmpeg copy the same, once briefly and once for longer:
# what ffmpeg needs to start is not what it needs to go on.
held() {
  local what=$1 n=$2 seconds=$3 url=$4 out ours short long theirs
  shift 4
  out=$("$TARGET/release/examples/hold_cost" "$url" "$n" "$seconds") || { failed "$what" "hold_cost failed"; return; }
  if [ "$(figure "$out" held)" != "$n" ] || [ "$(figure "$out" faults)" != 0 ]; then
    failed "$what" "$out"
    return
  fi
  ours=$(figure "$out" cpu_ms)
  short=$(ffmpeg_ms 2 "$@") long=$(ffmpeg_ms $((seconds + 2)) "$@")
  theirs=$(calc "($long - $short) / $seconds")
  row "$what, CPU per stream and second" "≤ 3.3 ms" "$(calc "$ours") ms" "" "" "$ours <= 1000 / 300"
  row "the same against ffmpeg -c copy, its start included" "≥ 10 × less" "$(calc "$ours") ms" "ffmpeg $(calc "$long / ($seconds + 2)") ms" \
    "$(calc "$long / ($seconds + 2) / $ours") ×" "$long / ($seconds + 2) >= 10 * $ours"
  row "the same against ffmpeg -c copy, once it runs" "≥ 10 × less" "$(calc "$ours") ms" "ffmpeg $(calc "$theirs") ms" \
    "$(calc "$theirs / $ours") ×" "$theirs >= 10 * $ours"
  told "Resident memory of one held stream" "$(figure "$out" kib) KiB" "" ""
}

bench_hold() {
  local what="RTSP streams of 1.5 Mbit/s held on one core" url
  "$TARGET/release/examples/rtsp_site" >"$SCRATCH/site.url" 2>&1 &
  started $!
  url=$(wait_line "$SCRATCH/site.url" '^rtsp://' 10) || { failed "$what" "the server did not start"; return; }
  held "$what" "${HOLD_SESSIONS:-300}" "${HOLD_SECONDS:-20}" "$url" "$url" "$url" "$url" "$url"
}

bench_holdts() {
  local what="UDP transport streams of 1.5 Mbit/s held on one core" n=${HOLD_SESSIONS:-300} port=20000 on=udp://127.0.0.1
  need_testbed nginx:18080 || { failed "$what" "no testbed"; return; }
  ffmpeg -nostdin -v error -y -i "$TESTBED_DIR/media/h264_720p.mp4" -c copy -f mpegts "$SCRATCH/feed.ts" || { failed "$what" "no clip"; return; }
  "$TARGET/release/examples/ts_feeds" "$SCRATCH/feed.ts" "$port" "$n" &
  started $!
  PORTS=each held "$what" "$n" "${HOLD_SECONDS:-20}" "$on:$port" "$on:$((port + 1))" "$on:$((port + 2))" "$on:$((port + 3))" "$on:$((port + 4))"
}

# Few sessions, because the server and not we would be what is measured: what one session costs falls with their number.
bench_holdsrt() {
  local url=srt://127.0.0.1:18890
  AT_ONCE=1 held "SRT streams of 0.6 Mbit/s held" "${SRT_SESSIONS:-8}" "${HOLD_SECONDS:-20}" "$url" "$url" "$url" "$url" "$url"
}

# mqtt: 10,000 streams change at once; the time until a local broker has taken all of it, by quality of service.
bench_mqtt() {
  local what="10,000 changes of streams published to local Mosquitto" port=21883 out ms
  printf 'user root\npersistence false\nlistener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$SCRATCH/mosquitto.conf"
  PATH=$PATH:/usr/sbin mosquitto -c "$SCRATCH/mosquitto.conf" >"$SCRATCH/mosquitto.log" 2>&1 &
  started $!
  out=$("$TARGET/release/examples/mqtt_cost" "$port" 10000) || { failed "$what" "mqtt_cost failed"; return; }
  while read -r _ qos _ _ ms _ _ cpu _; do
    row "$what, QoS $qos" "< 2 s" "$(calc "$ms / 1000") s" "" "" "$ms < 2000"
    told "the same, CPU of ours" "$cpu ms"
  done <<<"$out"
}
