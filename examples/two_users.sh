#!/bin/sh
# Two people at one cluster: PostgreSQL, an MLflow server, Ray with two nodes, and two commands at a time, each of which
# makes pictures on a worker of its own. All of it is on this machine; elsewhere each part has one.
#
#   PROMPTLAB_DATABASE=postgresql://USER@HOST/NAME sh examples/two_users.sh [PROMPTLAB [FOLDER]]
#
# The database is there already (createdb NAME, or docker run postgres); the rest is started here, and ended.
set -eu

promptlab=${1:-promptlab}
folder=$(mkdir -p "${2:-two-users}" && cd "${2:-two-users}" && pwd)
programs=$(dirname "$(command -v "$promptlab")")
: "${PROMPTLAB_DATABASE:?names no database: postgresql://USER@HOST/NAME}"

free_port() { "$programs/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

mlflow_port=$(free_port)
ray_port=$(free_port)
export RAY_TMPDIR="${TMPDIR:-/tmp}/two-users-$$"   # the paths of Ray's sockets must be short
mkdir -p "$RAY_TMPDIR" "$folder/notebook"
# Whoever reaches a cluster can run programs on it, and this one listens at all addresses: it asks for a token
RAY_AUTH_TOKEN=$("$programs/python" -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
export RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0 MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false

started=
end() {
    for process in $started; do kill "$process" 2>/dev/null || true; done
    for process in $started; do wait "$process" 2>/dev/null || true; done
    rm -rf "$RAY_TMPDIR"
}
trap end EXIT
trap 'exit 130' INT TERM HUP   # without it some shells are ended by Ctrl-C past the line above

# The MLflow server, on a machine of its own
"$programs/mlflow" server --host 127.0.0.1 --port "$mlflow_port" --workers 1 \
    --backend-store-uri "sqlite:///$folder/mlflow-server.db" --artifacts-destination "$folder/mlflow-artifacts" \
    >"$folder/mlflow.log" 2>&1 &
mlflow=$!
started="$mlflow"

# The cluster: a head, and a second machine that joins it. Without --block they would stay
"$programs/ray" start --block --head --port "$ray_port" --num-cpus 1 --num-gpus 0 \
    --include-dashboard false >"$folder/ray-head.log" 2>&1 &
head=$!
started="$started $head"
until "$programs/ray" health-check --address "127.0.0.1:$ray_port" 2>/dev/null; do kill -0 "$head"; sleep 1; done
"$programs/ray" start --block --address "127.0.0.1:$ray_port" --num-cpus 1 --num-gpus 0 \
    --dashboard-agent-listen-port "$(free_port)" >"$folder/ray-second.log" 2>&1 &
second=$!
started="$started $second"

# What both people have in their environment: one notebook, in a folder that all machines see
export PROMPTLAB_WORKSPACE="$folder/notebook" PROMPTLAB_TRACKING_URI="http://127.0.0.1:$mlflow_port"
export PROMPTLAB_CLUSTER="127.0.0.1:$ray_port" PROMPTLAB_WORKERS=1 PROMPTLAB_KEEP_ALIVE=0

until "$programs/python" -c "import urllib.request as u; u.urlopen('$PROMPTLAB_TRACKING_URI/health')" 2>/dev/null; do
    kill -0 "$mlflow"
    sleep 1
done

# The second machine may take a moment to join
until "$promptlab" doctor --cluster "$PROMPTLAB_CLUSTER" >"$folder/doctor.txt" && grep -q "2 machines" "$folder/doctor.txt"; do
    kill -0 "$second"
    sleep 1
done
cat "$folder/doctor.txt"

# Ada and Grace, at the same time
"$promptlab" run "portrait photo of a {red|blue} fox" --seeds 0-7 --experiment ada >"$folder/ada.txt" &
ada=$!
"$promptlab" run "portrait photo of a {old|young} queen" --seeds 0-7 --experiment grace >"$folder/grace.txt" &
grace=$!
wait "$ada"
wait "$grace"

"$promptlab" list
"$promptlab" resume          # nothing is owed
"$promptlab" doctor          # database, pictures and MLflow agree
