#!/bin/sh
# Runs on a machine with CUDA what has not been run there yet, in the order of results/not-run-on-cuda.md:
#
#     sh benchmarks/cuda.sh [DEVICE] [LOGS]        # about ten minutes of one GPU; what each says is kept in LOGS
#     sh benchmarks/cuda.sh cpu                    # everything small, to see that it works
#
# What fails does not keep the others from being tried. Tables are written to benchmarks/results.
device=${1:-cuda}
logs=${2:-${OUT:-/tmp/promptlab-cuda}}
weights=/tmp/promptlab-sd15
python=${PYTHON:-python}
mkdir -p "$logs"

part() {  # NAME SECONDS COMMAND...
    name=$1 most=$2
    shift 2
    began=$(date +%s)
    timeout "$most" "$@" > "$logs/$name.log" 2>&1
    echo "$name: exit $?, $(($(date +%s) - began)) s; $(tail -n 1 "$logs/$name.log")"
}

case $device in
cuda*)
    part row_dependence 150 $python benchmarks/row_dependence.py --weights $weights --keep
    part batch_invariance 90 $python benchmarks/batch_invariance.py --weights $weights
    part graph_tests 60 env PROMPTLAB_TEST_DEVICE="$device" $python -m pytest -q tests/engine/sampling/test_graphs.py
    part graph_streams 90 $python benchmarks/graph_streams.py --weights $weights --keep
    part kernels 120 $python benchmarks/kernels.py --weights $weights --save --batch-size 8 1 4
    part sweeping 120 $python benchmarks/sweeping.py --model $weights --device "$device" --machine=--graphs
    part batching 90 $python benchmarks/batching.py 3 --model $weights --device "$device" --graphs
    part ladder 120 $python benchmarks/ladder.py --weights $weights --images 32 --alone 2 --keep
    part engine_tests 240 env PROMPTLAB_TEST_DEVICE="$device" $python -m pytest -q -m slow tests/engine
    ;;
*)
    part row_dependence 150 $python benchmarks/row_dependence.py --device cpu --config tiny --rows 2
    part batch_invariance 90 $python benchmarks/batch_invariance.py --device cpu --config tiny --out -
    part graph_tests 90 $python -m pytest -q tests/engine/sampling/test_graphs.py
    part graph_streams 90 $python benchmarks/graph_streams.py --device cpu --config tiny
    part kernels 120 $python benchmarks/kernels.py --size tiny
    part ladder 90 $python benchmarks/ladder.py --device cpu --config tiny --steps 4 2 --images 4
    ;;
esac
