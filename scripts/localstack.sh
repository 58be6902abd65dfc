#!/bin/sh
# Runs a command beside LocalStack's S3: scripts/localstack.sh COMMAND …
# The command finds it at BASTION_S3_ENDPOINT; whatever becomes of the command, LocalStack ends after it.
set -eu

SCRIPTS=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
REQUIREMENTS=$SCRIPTS/localstack-requirements.txt
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/terraform-provider-bastion
LOCALSTACK=$CACHE/localstack-$(sed -n 's/^localstack-core==//p' "$REQUIREMENTS")

# Seconds that LocalStack may take to be ready; it takes 4 to 8, and more when Python has yet to compile it.
READY=120

say() { printf 'localstack: %s\n' "$*" >&2; }

# Other releases do not do: 3.11 cannot parse this one, and newer ones are not known.
python313() {
    for python in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13; do
        if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s\n' "$python"
            return
        fi
    done
    say "LocalStack wants Python 3.13, and there is none on the PATH or in pyenv"
    exit 1
}

# Some 50 s and 260 MB, once. The copy of the requirements comes last: without it, the next run knows that this one was cut off.
install() {
    if cmp -s "$REQUIREMENTS" "$LOCALSTACK/installed.txt" && "$LOCALSTACK/bin/python" -c '' 2>/dev/null; then return; fi
    python=$(python313)
    say "installing into $LOCALSTACK"
    mkdir -p "$CACHE"
    rm -rf "$LOCALSTACK"
    "$python" -m venv "$LOCALSTACK"
    "$LOCALSTACK/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --requirement "$REQUIREMENTS"
    cp "$REQUIREMENTS" "$LOCALSTACK/installed.txt"
}

# A port on 127.0.0.1 that the kernel gives to nobody: LocalStack has to be told its own.
free_port() {
    "$LOCALSTACK/bin/python" - <<'EOF'
import random, socket
low, high = 10000, int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
while True:
    port = random.randrange(low, high)
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
EOF
}

healthy() {
    "$LOCALSTACK/bin/python" - "$1" 2>/dev/null <<'EOF'
import sys, urllib.request
no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.exit(no_proxy.open(sys.argv[1] + "/_localstack/health", timeout=2).status != 200)
EOF
}

if [ $# -eq 0 ]; then
    say "say what to run: scripts/localstack.sh COMMAND …"
    exit 2
fi
install
folder=$(mktemp -d)
port=$(free_port)
endpoint=http://127.0.0.1:$port
# The default server listens everywhere, hypercorn where it is told to. It is killed with this shell, also when that is killed.
env -i PATH="$PATH" HOME="$folder" TMPDIR="$folder" FILESYSTEM_ROOT="$folder" \
    GATEWAY_SERVER=hypercorn GATEWAY_LISTEN="127.0.0.1:$port" SERVICES=s3,ec2,kms,sts,iam STRICT_SERVICE_LOADING=1 \
    EAGER_SERVICE_LOADING=1 DNS_ADDRESS=0 DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 OVERRIDE_IN_DOCKER=0 S3_SKIP_KMS_KEY_VALIDATION=0 \
    setpriv --pdeathsig KILL "$LOCALSTACK/bin/python" -m localstack.runtime.main >"$folder/log" 2>&1 </dev/null &
server=$!
# It ignores a TERM for longer than anybody waits.
end() {
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

waited=0
until healthy "$endpoint"; do
    waited=$((waited + 1))
    if ! kill -0 "$server" 2>/dev/null || [ "$waited" -gt "$READY" ]; then
        say "LocalStack is not ready after $waited s:"
        tail -n 20 "$folder/log" >&2
        exit 1
    fi
    sleep 1
done
say "ready at $endpoint after $waited s"
BASTION_S3_ENDPOINT=$endpoint "$@"
