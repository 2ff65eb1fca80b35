# metrics.sh: where measurements go: Prometheus, InfluxDB 1.x, VictoriaMetrics, and the blackbox exporter to compare with.
# shellcheck shell=bash

component prometheus packages=prometheus
start_prometheus() { # scrapes what a test writes into $S/prom_targets.json
  [ -e "$S/prom_targets.json" ] || echo '[]' >"$S/prom_targets.json"
  run prometheus prometheus --config.file="$(render prometheus.yml)" --storage.tsdb.path="$S/prom" --web.listen-address="$A:19090" \
    --web.enable-remote-write-receiver --web.enable-lifecycle
  wait_tcp 19090
}

component influxdb kind=core packages="influxdb influxdb-client"
start_influxdb() {
  run influxdb influxd -config "$(render influx.conf)"
  wait_tcp 18086
}
ready_influxdb() { wait_for 10 curl -fsS -XPOST "http://$A:18086/query" --data-urlencode "q=CREATE DATABASE streams"; }

component victoria kind=core packages=victoria-metrics
start_victoria() { # takes Influx line protocol in the forms of version 1 and 2
  run victoria victoria-metrics -storageDataPath="$S/victoria" -httpListenAddr="$A:18428" -loggerLevel=WARN
  wait_tcp 18428
}

component blackbox packages=prometheus-blackbox-exporter
start_blackbox() {
  run blackbox prometheus-blackbox-exporter --config.file="$(render blackbox.yml)" --web.listen-address="$A:19115" --log.level=error
  wait_tcp 19115
}
