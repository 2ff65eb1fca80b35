# product.sh: the real program under load: processor, punctuality, memory, start-up, dashboard.
# shellcheck shell=bash

# 10,000 HTTP targets at 10 s, on 100 loopback addresses so that the bound of four looks per host is not in the way.
bench_scale() {
  local targets=${SCALE_TARGETS:-10000} seconds=${SCALE_SECONDS:-60} before load up p99 worst missed
  start_site 100
  config "$SCRATCH/scale"
  awk -v n="$targets" -v port="$SITE_PORT" 'BEGIN { for (i = 0; i < n; i++)
    printf "  - {name: T%d, url: \"http://127.0.0.%d:%d/%d\", interval: 10s}\n", i, i % 100 + 1, port, i }' >>"$SCRATCH/scale/streampulse.yaml"
  start_product "$SCRATCH/scale"
  sleep 20 # first looks, then the regular grid
  before=$(cpu_ms "$PRODUCT")
  sleep "$seconds"
  load=$(awk "BEGIN { print ($(cpu_ms "$PRODUCT") - $before) / 10 / $seconds }")
  up=$(health .targets.up)
  read -r p99 worst missed < <(health '.parts.engine.punctuality | "\(.p99_ms) \(.worst_ms) \(.missed)"')
  [ "$up" = "$targets" ] || failed "$targets HTTP targets" "only $up are up"
  row "$targets HTTP targets at 10 s, CPU over $seconds s" "< 60 % of a core" "$(calc "$load") % of a core" "" "" "$load < 60"
  row "the same, start lateness" "p99 < 250 ms" "p99 ≤ $p99 ms, worst $worst ms, $missed missed" "" "" "$p99 < 250"
  say "memory with $targets targets: $(memory_mb "$PRODUCT" VmRSS) MB, peak $(memory_mb "$PRODUCT" VmHWM) MB; rows lost: $(health .parts.store.lost_rows)"
  end "$PRODUCT"
}

# What a scraper costs with 10,000 targets: the processor time of one answer while hardly anything is looked at, then whether looks
# are late while it asks every five seconds.
bench_metrics() {
  local targets=${SCALE_TARGETS:-10000} seconds=${SCALE_SECONDS:-60} scrapes=20 interval before calm cost bytes p99 worst missed scraper
  start_site 100
  for interval in 1h 10s; do
    config "$SCRATCH/metrics-$interval"
    awk -v n="$targets" -v port="$SITE_PORT" -v every=$interval 'BEGIN { for (i = 0; i < n; i++)
      printf "  - {name: T%d, url: \"http://127.0.0.%d:%d/%d\", interval: %s}\n", i, i % 100 + 1, port, i, every }' >>"$SCRATCH/metrics-$interval/streampulse.yaml"
    start_product "$SCRATCH/metrics-$interval"
    sleep 20
    if [ $interval = 1h ]; then
      until [ "$(health .targets.unknown)" = 0 ]; do sleep 1; done # each target is looked at once
      before=$(cpu_ms "$PRODUCT"); sleep 10; calm=$(($(cpu_ms "$PRODUCT") - before))
      before=$(cpu_ms "$PRODUCT") cost=$SECONDS
      for _ in $(seq $scrapes); do bytes=$(curl -fsS -m 10 -o /dev/null -w '%{size_download}' "$PRODUCT_URL/metrics") || failed "/metrics" "no answer"; done
      cost=$(awk "BEGIN { print ($(cpu_ms "$PRODUCT") - $before - $calm * ($SECONDS - $cost) / 10) / $scrapes }")
      row "/metrics with $targets targets ($(calc "$bytes / 1e6") MB), CPU of one answer" "< 100 ms" "$(calc "$cost") ms" "" "" "$cost < 100"
    else
      while sleep 5; do curl -fsS -m 10 -o /dev/null "$PRODUCT_URL/metrics"; done &
      scraper=$!
      started $scraper
      sleep "$seconds"
      kill $scraper
      read -r p99 worst missed < <(health '.parts.engine.punctuality | "\(.p99_ms) \(.worst_ms) \(.missed)"')
      row "$targets HTTP targets at 10 s, scraped every 5 s for $seconds s, start lateness" "p99 < 250 ms, none missed" \
        "p99 ≤ $p99 ms, worst $worst ms, $missed missed" "" "" "$p99 < 250 && $missed == 0"
    fi
    end "$PRODUCT"
  done
}

# What sinks cost beside 1,000 targets at 5 s: the same program without them and with all of them: MQTT with a topic per stream and
# Home Assistant's announcements, InfluxDB, a scraper every 15 s, and a channel. All targets stay up, so the channel has nothing to tell.
bench_sinks() {
  local targets=1000 seconds=${SCALE_SECONDS:-60} with before load plain="" scraper
  local what="sinks with $targets targets at 5 s"
  need_testbed mosquitto:11883 influxdb:18086 || { failed "$what" "no broker or no InfluxDB"; return; }
  start_site 20
  for with in without with; do
    config "$SCRATCH/sinks-$with"
    awk -v n="$targets" -v port="$SITE_PORT" 'BEGIN { for (i = 0; i < n; i++)
      printf "  - {name: T%d, url: \"http://127.0.0.%d:%d/%d\", interval: 5s}\n", i, i % 20 + 1, port, i }' >>"$SCRATCH/sinks-$with/streampulse.yaml"
    [ $with = with ] && cat >>"$SCRATCH/sinks-$with/streampulse.yaml" <<'YAML'
mqtt: {enabled: true, host: 127.0.0.1, port: 11883, base_topic: bench, topic: bench/status, discovery: true, discovery_prefix: bench/ha}
influxdb: {url: 'http://127.0.0.1:18086', database: streams}
channels: [{name: ops, kind: mqtt, topic: bench/ops}]
YAML
    start_product "$SCRATCH/sinks-$with"
    sleep 20
    if [ $with = with ]; then
      while sleep 15; do curl -fsS -m 10 -o /dev/null "$PRODUCT_URL/metrics"; done &
      scraper=$!
      started $scraper
    fi
    before=$(cpu_ms "$PRODUCT")
    sleep "$seconds"
    load=$(awk "BEGIN { print ($(cpu_ms "$PRODUCT") - $before) / 10 / $seconds }")
    [ "$(health .targets.up)" = $targets ] || failed "$what" "only $(health .targets.up) are up"
    if [ $with = without ]; then
      plain=$load
    else
      kill $scraper
      told "sinks: the program without any, CPU over $seconds s" "$(calc "$plain") % of a core"
      row "the same with MQTT, InfluxDB, a scraper and an idle channel: what these add" "< 5 % of a core" "$(calc "$load - $plain") % of a core" "" "" "$load - $plain < 5"
      curl -fsS "$PRODUCT_URL/api/v1/sinks" | jq -c '.sinks[] | [.name, .ok, .sent, .failed, .dropped]' >&2
    fi
    end "$PRODUCT"
  done
}

# 500 live HLS channels with segments of two seconds: playlist and newest segment of each, every two seconds.
bench_hls() {
  local channels=${HLS_CHANNELS:-500} seconds=${SCALE_SECONDS:-60} segment=$SCRATCH/segment.ts before load what
  what="$channels HLS channels, playlist and newest segment every 2 s, CPU over $seconds s"
  ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=640x360:r=25 -f lavfi -i sine -t 2 -c:v libx264 -b:v 1500k -g 50 -pix_fmt yuv420p \
    -c:a aac -f mpegts "$segment" || { failed "$what" "ffmpeg failed"; return; }
  start_site 100 "$segment" 2
  config "$SCRATCH/hls"
  awk -v n="$channels" -v port="$SITE_PORT" 'BEGIN { for (i = 0; i < n; i++)
    printf "  - {name: T%d, url: \"http://127.0.0.%d:%d/%d/live.m3u8\", interval: 2s}\n", i, i % 100 + 1, port, i }' >>"$SCRATCH/hls/streampulse.yaml"
  start_product "$SCRATCH/hls"
  sleep 15
  before=$(cpu_ms "$PRODUCT")
  sleep "$seconds"
  load=$(awk "BEGIN { print ($(cpu_ms "$PRODUCT") - $before) / 10 / $seconds }")
  [ "$(health .targets.up)" = "$channels" ] || failed "$what" "only $(health .targets.up) are up"
  row "$what" "< 100 % of a core" "$(calc "$load") % of a core" "" "" "$load < 100"
  end "$PRODUCT"
}

# 1,000 targets at 5 s: HTTP on the loopback site, 50 of them RTSP on the testbed. Then a dashboard listens as well.
bench_memory() {
  local what="resident memory, 950 HTTP and 50 RTSP targets" minutes=${MINUTES:-5} calm open peak
  need_testbed rtsp:18554 || { failed "$what" "no RTSP server"; return; }
  start_site 20
  config "$SCRATCH/memory"
  awk -v port="$SITE_PORT" 'BEGIN {
    for (i = 0; i < 950; i++) printf "  - {name: T%d, url: \"http://127.0.0.%d:%d/%d\", interval: 5s}\n", i, i % 20 + 1, port, i
    for (i = 0; i < 50; i++) printf "  - {name: R%d, url: \"rtsp://127.0.0.1:18554/720p\", interval: 5s}\n", i
  }' >>"$SCRATCH/memory/streampulse.yaml"
  start_product "$SCRATCH/memory"
  sleep $((minutes * 60))
  [ "$(health .targets.up)" = 1000 ] || failed "$what" "only $(health .targets.up) are up"
  calm=$(memory_mb "$PRODUCT" VmRSS)
  row "$what, after $minutes min at 5 s" "< 60 MB" "$calm MB" "" "" "$calm < 60"
  curl -fsS -N -m 60 "$PRODUCT_URL/api/v1/events" >/dev/null 2>&1 &
  sleep 50
  open=$(memory_mb "$PRODUCT" VmRSS) peak=$(memory_mb "$PRODUCT" VmHWM)
  row "the same with a dashboard open for a minute" "< 60 MB" "$open MB (peak $peak MB)" "" "" "$open < 60"
  end "$PRODUCT"
}

# 300 services that do nothing, measured every 5 s; then one of them is killed again and again.
bench_units() {
  local dir=$SCRATCH/units child=$TARGET/release/examples/unruly_child n=300 seconds=60
  local before cpu shim private kills=${KILLS:-200} pid now began took=() i
  config "$dir"
  sed -i 's/^targets:$/targets: []/' "$dir/streampulse.yaml"
  {
    echo "services:"
    for ((i = 0; i < n; i++)); do
      printf '  s%d: {process: {argv: ["%s", hang]}, ready: [], restart: {policy: always, first: 100ms, longest: 100ms, factor: 1, jitter: 0, limit: 0}}\n' "$i" "$child"
    done
  } >"$dir/services.yaml"
  chmod go-w "$dir/services.yaml"
  start_product "$dir"
  units_are() { [ "$(curl -fsS -m 10 "$PRODUCT_URL/api/v1/services" | jq "[.services[] | select(.state == \"$1\")] | length")" = "$n" ]; }
  for ((i = 0; i < 120; i++)); do units_are running && break; sleep 1; done
  units_are running || { failed "services" "they did not start"; end $PRODUCT; return; }
  sleep 15
  before=$(cpu_ms $PRODUCT)
  sleep $seconds
  cpu=$(calc "($(cpu_ms $PRODUCT) - $before) / $seconds / 10")
  row "$n services run and measured every 5 s" "< 5 % of one core" "$cpu %" "" "" "$cpu < 5"
  shim=$(jq -r .shim_pid "$dir/state/services/s0/run.json")
  private=$(awk '/^Private/ { sum += $2 } END { print sum }' "/proc/$shim/smaps_rollup")
  row "private memory of a shim" "< 2 MB" "$(calc "$private / 1024") MB" "" "" "$private < 2048"
  units_pid() { local text; text=$(<"$dir/state/services/s0/run.json") 2>/dev/null; text=${text##*\"pid\":}; echo "${text%%[,\}]*}"; }
  pid=$(units_pid)
  for ((i = 0; i < kills; i++)); do
    began=$(date +%s%N)
    kill -9 "$pid"
    while now=$(units_pid) && { [ -z "$now" ] || [ "$now" = "$pid" ]; }; do :; done
    took+=($((($(date +%s%N) - began) / 1000000)))
    pid=$now
    until [ "$(curl -fsS -m 10 "$PRODUCT_URL/api/v1/services/s0" | jq .pid)" = "$pid" ]; do sleep 0.05; done
  done
  mapfile -t took < <(printf '%s\n' "${took[@]}" | sort -n)
  i=${took[$((kills * 99 / 100))]}
  told "a killed service runs again (pause 100 ms), median" "${took[$((kills / 2))]} ms" "supervisord: 1.03 s"
  row "the same, p99 of $kills" "< 250 ms" "$i ms" "" "" "$i < 250"
  for ((i = 0; i < n; i++)); do curl -fsS -m 10 -X POST "$PRODUCT_URL/api/v1/services/s$i/stop" >/dev/null; done
  for ((i = 0; i < 60; i++)); do units_are stopped && break; sleep 1; done
  end $PRODUCT
}

bench_start() {
  local targets out median worst
  for targets in 1 1000; do
    out=$("$TARGET/release/examples/bench_start" "$TARGET/release/streampulse" "$targets" 10) || { failed "start-up" "failed"; return; }
    median=$(grep -oE 'median_ms=[0-9.]+' <<<"$out" | cut -d= -f2) worst=$(grep -oE 'worst_ms=[0-9.]+' <<<"$out" | cut -d= -f2)
    row "start of the process to the first look, $targets target(s), 10 times" "< 300 ms" "$median ms, worst $worst ms" "" "" "$worst < 300"
  done
}

bench_dashboard() {
  local what="dashboard with 2,000 streams" log=$SCRATCH/dashboard.log
  cargo bench --locked -q -p streampulse --bench dashboard >"$log" 2>&1 || { tail -n 5 "$log" >&2; failed "$what" "the bench failed"; return; }
  # shellcheck disable=SC2317 # called below
  ms() { sed -n "s/^$1 .*$2 \([0-9.]*\) ms.*/\1/p" "$log" | head -n 1; }
  local paint change task
  paint=$(ms 'rows painted' worst) change=$(ms 'status change to pixels' worst)
  task=$(sed -n 's/^longest task scrolling *\(under \)\{0,1\}\([0-9]*\) ms/\2/p' "$log") # tasks under 50 ms are not reported
  row "$what: rows painted" "< 1 s" "$(ms 'rows painted' median) ms, worst $paint ms" "" "" "${paint:-1e9} < 1000"
  row "$what: status change to pixels" "< 200 ms" "$(ms 'status change to pixels' median) ms, worst $change ms" "" "" "${change:-1e9} < 200"
  row "$what: longest task while scrolling" "≤ 100 ms" "≤ ${task:-?} ms" "" "" "${task:-1e9} <= 100"
}
