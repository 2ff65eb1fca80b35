# alerting.sh: who is told of alerts: a mail server (aiosmtpd), and the Alertmanager of Prometheus.
# shellcheck shell=bash

component smtp kind=core files=certs packages=python3-aiosmtpd
start_smtp() { # keeps every mail as $S/smtp/*.json
  run smtp /usr/bin/python3 -W ignore "$HERE/smtp_server.py" "$S" "$A"
  wait_tcp 11025 11587 11465
}

component alertmanager packages=prometheus-alertmanager
start_alertmanager() { # routes nothing anywhere; it is asked what it holds
  run alertmanager prometheus-alertmanager --config.file="$(render alertmanager.yml)" --storage.path="$S/alertmanager" \
    --web.listen-address="$A:19093" --cluster.listen-address= --log.level=error
  wait_tcp 19093
}
