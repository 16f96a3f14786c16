#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real S3 on loopback, for `make test-s3`: Ceph's object gateway over one store in memory, with
# versions, SSE-C and SSE-KMS (key testkey-1). As root, with Debian's packages.
# `real_s3.sh install` fetches what it needs, and fails where that can't be; `real_s3.sh start DIR`
# prints what the tests need as NAME=value, `real_s3.sh stop DIR` ends what was started.
set -euo pipefail

install() {
    if command -v radosgw >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || ! {
        apt-get update -qq && apt-get install -y -qq radosgw ceph-mon ceph-osd ceph-mgr curl
    } >/dev/null 2>&1; then
        echo 'no S3 to test with: radosgw is not here, and apt-get does not bring it' >&2
        return 1
    fi
}

if [ "$*" = install ]; then
    install
    exit
fi
[ $# = 2 ] || { echo "usage: $0 install, $0 start DIR or $0 stop DIR" >&2; exit 2; }
what=$1 dir=$(realpath -m "$2")
monitor=127.0.0.1:3300 gateway=127.0.0.1:7480 key=AKIATESTSTORE secret=secret-of-the-test-store

if [ "$what" = stop ]; then
    for file in "$dir"/*.pid; do
        if [ -e "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
    done
    exit 0
fi

# until WHAT COMMAND…: waits for a command to succeed, at most a minute.
until_ready() {
    local what=$1
    shift
    for _ in $(seq 120); do
        if timeout 5 "$@" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    echo "$what did not start; its log is in $dir" >&2
    exit 1
}

# run NAME COMMAND…: leaves a daemon running, and its process id in a file.
run() {
    local name=$1
    shift
    "$@" -f >"$dir/$name.out" 2>&1 &
    echo $! >"$dir/$name.pid"
}

install
rm -rf "$dir"
mkdir -p "$dir"/{mon,osd,mgr,rgw,run}
cd "$dir"
id=$(cat /proc/sys/kernel/random/uuid)
cat >ceph.conf <<CONF
[global]
fsid = $id
mon host = [v2:$monitor]
ms bind ipv4 = true
keyring = $dir/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
auth allow insecure global id reclaim = true
run dir = $dir/run
admin socket = $dir/run/\$name.asok
log file = $dir/\$name.log
mon data = $dir/mon
osd data = $dir/osd
mgr data = $dir/mgr
[client.rgw]
rgw frontends = beast endpoint=$gateway
rgw data = $dir/rgw
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = testkey-1=$(head -c 32 /dev/urandom | base64)
CONF
export CEPH_CONF=$dir/ceph.conf

ceph-authtool keyring --create-keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
for name in client.admin client.rgw mgr.x osd.0; do
    ceph-authtool keyring --gen-key -n "$name" --cap mon 'allow *' --cap osd 'allow *' \
        --cap mgr 'allow *' >/dev/null
done
monmaptool --create --addv a "[v2:$monitor]" --fsid "$id" monmap >/dev/null
ceph-mon --mkfs -i a --monmap monmap --keyring keyring >/dev/null 2>&1
run mon ceph-mon -i a
until_ready 'the monitor' ceph status
run mgr ceph-mgr -i x
store=$(cat /proc/sys/kernel/random/uuid)
ceph osd new "$store" 0 >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$store" >osd-mkfs.out 2>&1
run osd ceph-osd -i 0
until_ready 'the store' sh -c "ceph osd stat | grep -q '1 up'"
run rgw radosgw -n client.rgw
until_ready 'the gateway' curl --silent --output /dev/null "$gateway"
radosgw-admin -n client.rgw user create --uid=test --display-name=test --access-key="$key" \
    --secret-key="$secret" >/dev/null 2>&1
echo "AWS_ENDPOINT_URL=http://$gateway AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret" \
    "AWS_DEFAULT_REGION=us-east-1 AUDIOENGINE_S3_KMS_KEY=testkey-1"
