# MiniStack: S3, IAM, STS in one process, in memory. Only an IAM user's requests have their signature checked.
venv ministack ministack==1.5.33 google-crc32c==1.9.0
port=$(free_port)
start ministack env BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" AUTH=true SFTP_ENABLED=0 MINISTACK_HOST=localhost \
    LOG_LEVEL=WARNING HOME="$data" "$root/.build/venv-ministack/bin/python" "$servers/run_ministack.py"
export PAIL_TEST_MINISTACK=http://127.0.0.1:$port
await ministack answers "$PAIL_TEST_MINISTACK/"
user=$(timeout 20 "$root/.build/venv-ministack/bin/python" "$servers/iam_user.py" "$PAIL_TEST_MINISTACK" 2>"$data/iam.log") \
    || fail "cannot make an IAM user"
read -r PAIL_TEST_MINISTACK_KEY PAIL_TEST_MINISTACK_SECRET <<<"$user"
export PAIL_TEST_MINISTACK_KEY PAIL_TEST_MINISTACK_SECRET
