# Ceph RADOS Gateway from Debian: one monitor, one OSD in memory, one gateway, without authentication between them.
# Not quick to start, so only scripts/test-ceph asks for it.
wait_seconds=120
mkdir -p "$data"/ceph/{mon,osd,run,rgw}
ceph_monitor=$(free_port)
ceph_monitor_v1=$(free_port)
port=$(free_port)
export CEPH_CONF=$data/ceph/ceph.conf
cat >"$CEPH_CONF" <<X
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = [v2:127.0.0.1:$ceph_monitor,v1:127.0.0.1:$ceph_monitor_v1]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_mon_client_mode = crc
ms_mon_service_mode = crc
ms_mon_cluster_mode = crc
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
run_dir = $data/ceph/run
admin_socket = $data/ceph/run/\$name.asok
log_file = $data/ceph/\$name.log
pid_file =
crash_dir = $data/ceph
[mon]
mon_data = $data/ceph/mon
[osd]
osd_data = $data/ceph/osd
osd_objectstore = memstore
memstore_device_bytes = 4G
osd_class_load_list = *
osd_class_default_list = *
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw_dns_name = localhost
rgw_data = $data/ceph/rgw
keyring = $data/ceph/keyring
X
ceph_fsid=$(sed -n 's/^fsid = //p' "$CEPH_CONF")
{
    ceph-authtool --create-keyring "$data/ceph/keyring" -n client.rgw --gen-key \
        && monmaptool --create --fsid "$ceph_fsid" --addv a "[v2:127.0.0.1:$ceph_monitor,v1:127.0.0.1:$ceph_monitor_v1]" "$data/ceph/monmap" \
        && ceph-mon --mkfs -i a --monmap "$data/ceph/monmap"
} >"$data/ceph-setup.log" 2>&1 || fail "ceph: the monitor cannot be set up"
start ceph-mon ceph-mon -i a -f
await ceph-mon timeout 5 ceph mon stat
ceph_osd=$(cat /proc/sys/kernel/random/uuid)
{ timeout 20 ceph osd new "$ceph_osd" && timeout 20 ceph-osd -i 0 --mkfs --osd-uuid "$ceph_osd"; } \
    >>"$data/ceph-setup.log" 2>&1 || fail "ceph: the OSD cannot be set up"
start ceph-osd ceph-osd -i 0 -f
await ceph-osd bash -c "timeout 5 ceph osd stat | grep -q '1 up'"
timeout 60 radosgw-admin user create --uid=test --display-name=test --access-key="$PAIL_TEST_KEY" \
    --secret="$PAIL_TEST_SECRET" >>"$data/ceph-setup.log" 2>&1 || fail "ceph: the user cannot be made"
start ceph-rgw radosgw -n client.rgw -f
export PAIL_TEST_CEPH=http://127.0.0.1:$port
await ceph-rgw answers "$PAIL_TEST_CEPH/"
