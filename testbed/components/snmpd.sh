# snmpd.sh: an SNMP agent: community "public" for v1 and v2c, user viewer for v3.
# shellcheck shell=bash

component snmpd packages="snmpd snmp"
start_snmpd() {
  mkdir -p "$S/snmp"
  run snmpd snmpd -f -Lo -C -c "$(render snmpd.conf)" -p "$S/snmpd.pid" -I -smux
}
ready_snmpd() { wait_for 10 snmpget -v2c -c public -t 1 -r 0 "udp:$A:16161" 1.3.6.1.2.1.1.5.0; }
