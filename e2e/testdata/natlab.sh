#!/bin/bash
# A small internet of network namespaces: one public net, and homes behind NATs of several kinds.
#
#   natlab.sh up HOME:TYPE[:HOSTS] ...   build it, for instance: natlab.sh up o:masq a:masq b:symmetric c:upnp:2 p:open
#   natlab.sh exec HOST CMD...           run CMD on a host: srv, srv2 (public), o1, a1, c1, c2 ..., or a gateway: o-gw
#   natlab.sh show                       addresses, and the mappings that gateways have now
#   natlab.sh down                       end everything that exec or up left running, and remove it
#
# TYPE of a home, each with a gateway of its own that drops what nobody asked for:
#   open       no NAT: its hosts have public addresses and no firewall
#   fw         no NAT, a stateful firewall (as IPv6 behind most home routers)
#   masq       as a Linux home router does: ports kept where free, the same mapping to all, filtered by address
#              and port (a "port-restricted cone")
#   full       mapped and let in for all as long as the mapping lives (a "full cone"; UDP and TCP)
#   symmetric  a fresh random port for each destination (--random-fully)
#   forward    masq, with TCP and UDP 6881 and TCP 6969 forwarded to the first host by hand
#   upnp       masq, with miniupnpd: UPnP IGD, NAT-PMP and PCP; it maps what its hosts ask for
#   igd        the same with UPnP alone;  pmp  with NAT-PMP and PCP alone
#   cgn        upnp, behind a carrier's NAT (masq) with addresses of 100.64/10
#
# Public addresses are of 44.1.0.0/16 and exist in the namespaces only: srv is 44.1.0.10, srv2 44.1.0.11, the
# n-th home's gateway 44.1.n.1 (open, fw: its hosts 44.1.n.2 and up). Behind NAT the hosts of the n-th home are
# 192.168.n.2 and up, SAME=1 gives all homes 192.168.1.0/24. Every host has MAC addresses and a resolver of nobody.
# UP=20 gives each home an uplink of 20 Mbit/s and DOWN=100 such a downlink (tbf). NATLAB=name tells labs apart.
# Needs root, iproute2, nftables; miniupnpd (miniupnpd-nftables) for upnp, igd, pmp, cgn.
# The namespaces are called $NATLAB-HOST: `ip netns exec nl-o1 ...` does as well.
set -Eeuo pipefail
lab=${NATLAB:-nl}
dir=/run/natlab-$lab
ns() { echo "$lab-$1"; }
in_ns() { local n=$1; shift; ip netns exec "$(ns "$n")" "$@"; }

host() { # NAME: a namespace
  ip netns add "$(ns "$1")"
  ip -n "$(ns "$1")" link set lo up
}

wire() { # NS DEV SWITCH PORT: joins NS to a bridge in namespace SWITCH
  ip -n "$(ns "$1")" link add "$2" type veth peer name "$4" netns "$(ns "$3")"
  ip -n "$(ns "$1")" link set dev "$2" up
  ip -n "$(ns "$3")" link set dev "$4" master br0 up
}

switch() {
  host "$1"
  ip -n "$(ns "$1")" link add br0 type bridge mcast_snooping 0
  ip -n "$(ns "$1")" link set br0 up
}

shape() { # NS DEV MBIT
  [ -z "$3" ] || tc -n "$(ns "$1")" qdisc add dev "$2" root tbf rate "${3}mbit" burst 64kb latency 100ms
}

# rules NAME TYPE FIRSTHOST: what the gateway does
rules() {
  local gw=$1 type=$2 first=$3 masq='oifname "wan" masquerade' pre="" full=""
  [ "$type" = symmetric ] && masq='oifname "wan" masquerade fully-random'
  [ "$type" = forward ] && pre="
      iifname \"wan\" tcp dport { 6881, 6969 } dnat ip to $first
      iifname \"wan\" udp dport 6881 dnat ip to $first"
  local in='ct state established,related accept
      ct status dnat accept'
  case $type in
    open) in=accept masq="" ;;
    fw) masq="" ;;
    full)
      full='map udpmap { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; }
    map tcpmap { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 2h; }'
      masq='oifname "wan" udp sport >= 1 update @udpmap { udp sport : ip saddr . udp sport }
      oifname "wan" tcp sport >= 1 update @tcpmap { tcp sport : ip saddr . tcp sport }
      oifname "wan" masquerade'
      pre='
      iifname "wan" dnat ip to udp dport map @udpmap
      iifname "wan" dnat ip to tcp dport map @tcpmap' ;;
  esac
  in_ns "$gw" nft -f - <<RULES
table inet filter {
    $full
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward {
      type filter hook forward priority 0; policy drop;
      iifname "lan" accept
      jump miniupnpd
      $in
    }
    chain input {
      type filter hook input priority 0; policy drop;
      iifname { "lo", "lan" } accept
      ct state established,related accept
      meta l4proto icmp accept
    }
    chain prerouting {
      type nat hook prerouting priority -100;
      jump prerouting_miniupnpd$pre
    }
    chain postrouting {
      type nat hook postrouting priority 100;
      jump postrouting_miniupnpd
      $masq
    }
}
RULES
}

upnp() { # GW LANADDR UPNP(yes/no) PMP(yes/no)
  local f=$dir/$1.conf
  cat >"$f" <<CONF
ext_ifname=wan
listening_ip=lan
port=5000
enable_upnp=$3
enable_natpmp=$4
secure_mode=yes
system_uptime=yes
notify_interval=60
uuid=$(cat /proc/sys/kernel/random/uuid)
lease_file=$dir/$1.leases
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 0.0.0.0/0 1024-65535
allow 443 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
CONF
  (trap - ERR; in_ns "$1" miniupnpd -d -f "$f" -P "$dir/$1.pid" &>"$dir/$1.log") &
}

home() { # N NAME TYPE HOSTS
  local n=$1 name=$2 type=$3 hosts=$4 gw=$2-gw lan=192.168.$1 i
  [ -n "${SAME:-}" ] && lan=192.168.1
  host "$gw"
  in_ns "$gw" sysctl -qw net.ipv4.ip_forward=1
  switch "$name-lan"
  wire "$gw" lan "$name-lan" gw
  case $type in open | fw) lan=44.1.$n ;; esac
  if [ "$type" = cgn ]; then
    host "$name-cgn"
    in_ns "$name-cgn" sysctl -qw net.ipv4.ip_forward=1
    wire "$name-cgn" wan pub "$name"
    ip -n "$(ns "$name-cgn")" addr add "44.1.$n.1/16" dev wan
    ip -n "$(ns "$name-cgn")" link add lan type veth peer name wan netns "$(ns "$gw")"
    ip -n "$(ns "$name-cgn")" addr add "100.64.$n.1/24" dev lan
    ip -n "$(ns "$name-cgn")" link set lan up
    rules "$name-cgn" masq ""
    ip -n "$(ns "$gw")" link set wan up
    ip -n "$(ns "$gw")" addr add "100.64.$n.2/24" dev wan
    ip -n "$(ns "$gw")" route add default via "100.64.$n.1"
    shape "$name-cgn" wan "${UP:-}"
  else
    wire "$gw" wan pub "$name"
    ip -n "$(ns "$gw")" addr add "44.1.$n.1/16" dev wan
    shape "$gw" wan "${UP:-}"
  fi
  shape pub "$name" "${DOWN:-}"
  case $type in
    open | fw) # the gateway answers for its hosts on the public net
      ip -n "$(ns "$gw")" addr add "44.1.$n.1/32" dev lan
      in_ns "$gw" sysctl -qw net.ipv4.conf.wan.proxy_arp=1
      for i in $(seq "$hosts"); do ip -n "$(ns "$gw")" route add "44.1.$n.$((i + 1))/32" dev lan; done ;;
    *) ip -n "$(ns "$gw")" addr add "$lan.1/24" dev lan ;;
  esac
  rules "$gw" "$type" "$lan.2"
  for i in $(seq "$hosts"); do
    host "$name$i"
    wire "$name$i" eth0 "$name-lan" "h$i"
    ip -n "$(ns "$name$i")" addr add "$lan.$((i + 1))/24" dev eth0
    ip -n "$(ns "$name$i")" route add default via "$lan.1"
    echo "$name$i $type $lan.$((i + 1)) 44.1.$n.1" >>"$dir/hosts"
  done
  case $type in
    upnp | cgn) upnp "$gw" "$lan.1" yes yes ;;
    igd) upnp "$gw" "$lan.1" yes no ;;
    pmp) upnp "$gw" "$lan.1" no yes ;;
  esac
}

up() {
  [ ! -e "$dir" ] || { echo "$lab is up; down first" >&2; exit 1; }
  mkdir -p "$dir"
  trap 'down; exit 1' ERR
  switch pub
  local i=10 s n=0
  for s in srv srv2; do
    host $s
    wire $s eth0 pub $s
    ip -n "$(ns $s)" addr add "44.1.0.$i/16" dev eth0
    echo "$s public 44.1.0.$i 44.1.0.$i" >>"$dir/hosts"
    i=$((i + 1))
  done
  for s in "$@"; do
    n=$((n + 1))
    IFS=: read -r name type hosts <<<"$s"
    home $n "$name" "$type" "${hosts:-1}"
  done
  trap - ERR
}

down() {
  local n p
  for n in $(ip netns list | awk -v p="^$lab-" '$1 ~ p {print $1}'); do
    for p in $(ip netns pids "$n"); do kill "$p" 2>/dev/null || true; done
  done
  sleep 0.3
  for n in $(ip netns list | awk -v p="^$lab-" '$1 ~ p {print $1}'); do
    for p in $(ip netns pids "$n"); do kill -9 "$p" 2>/dev/null || true; done
    ip netns del "$n" || true
  done
  rm -rf "$dir"
}

show() {
  column -t -N HOST,TYPE,ADDRESS,PUBLIC "$dir/hosts"
  local gw
  for gw in $(awk '$1 !~ /^srv/ {print $1}' "$dir/hosts" | sed 's/[0-9]*$//' | sort -u); do
    in_ns "$gw-gw" nft list chain inet filter prerouting_miniupnpd | grep dnat | sed "s/^ */$gw-gw maps: /" || true
  done
}

verb=${1:-help}
shift || true
case $verb in
  up | down | show) "$verb" "$@" ;;
  exec) h=$1; shift; exec ip netns exec "$(ns "$h")" "$@" ;;
  *) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' ;;
esac
