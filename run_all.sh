#!/usr/bin/env bash
# The whole study: every environment, method and seed, on all cores, one thread a run; then the table and the figure.
#
#   ./run_all.sh           runs what $OUT lacks, so that a study that was stopped goes on where it was
#   ./run_all.sh --list    prints the runs instead, one command a line, each of them safe to run twice
#
#   Relative paths start at the folder of this file.
#   QUICK=1                a small slice, in one to two minutes on two cores; OUT is results/quick if not given
#   SEEDS="100 119"        the first seed and the last
#   ROLLOUTS=FOLDER        another teacher: loro, loro-plus and clone on that folder's ENV.jsonl files
#   OUT=results/study      where results go, one folder for each variant: main, online-more, no-pretraining, tau-1, ...
set -euo pipefail
CDPATH= cd "$(dirname "$0")"

environments="FrozenLake-v1 CliffWalking-v1 CartPole-v1 MountainCar-v0 Pendulum-v1 RepresentedPong-v0"
methods="online loro loro-plus forget mix random-data own-data clone-first clone llm random"
seeds=${SEEDS:-100 119} out=${OUT:-results/study} budget=
if [[ -n ${QUICK:-} ]]; then
    methods="online loro loro-plus" seeds=${SEEDS:-100 100} out=${OUT:-results/quick} budget="--evaluations 25"
fi

run() { # FOLDER METHOD [OPTION ...]: prints the command for $env and $seed
    printf '%q ' python loro.py --env "$env" --method "$2" --seed "$seed" --out "$out/$1" --resume $budget "${@:3}"
    echo
}

runs() {
    for seed in $(seq $seeds); do for env in $environments; do
        if [[ -n ${ROLLOUTS:-} ]]; then
            [[ -e $ROLLOUTS/$env.jsonl ]] || continue
            for method in loro loro-plus clone; do
                run "$(basename "$(CDPATH= cd "$ROLLOUTS" && pwd)")" "$method" --rollouts "$ROLLOUTS/$env.jsonl"
            done
            continue
        fi
        for method in $methods; do run main "$method"; done
        [[ -z ${QUICK:-} ]] || continue
        run online-more online --early-updates 12 # 12,000 updates more; loro-plus makes 11,000 before it plays
        [[ $env != RepresentedPong-v0 ]] || continue # which takes longer than the other five together
        run no-pretraining loro-plus --pretrain-updates 0
        run no-early-updates online --early-updates 1
        run no-advantage-learning online --advantage-learning 0
        [[ $env =~ ^(FrozenLake|CliffWalking) ]] || run no-layer-norm online --no-layer-norm # a table has no layers
        for n in 1 3; do run "tau-$n" loro-plus --llm-episodes "$n"; done
        for n in 300 3000; do run "pretrain-$n" loro --pretrain-updates "$n"; done
    done; done
}

end() { echo "${clear:-}run_all.sh: $1" >&2; exit "${2:-2}"; } # REASON [EXIT CODE]
[[ $# == 0 || $* == --list ]] || end "unknown argument $*; there is only --list"
[[ $seeds =~ ^[0-9]{1,6}\ [0-9]{1,6}$ ]] && ((10#${seeds% *} <= 10#${seeds#* })) ||
    end 'SEEDS is the first seed and the last, such as SEEDS="100 119"'
commands=$(runs)
[[ -n $commands ]] || end "ROLLOUTS=$ROLLOUTS holds no ENV.jsonl, such as FrozenLake-v1.jsonl"
[[ $# == 0 ]] || { echo "$commands"; exit; }
python loro.py --help &> /dev/null || end "there is no python that runs loro.py; activate one: . .venv/bin/activate"
mkdir -p "$out" 2> /dev/null && [[ -w $out ]] || end "OUT=$out is no folder that can be written; give another"

# The runs say nothing but their errors, into a pipe: on a terminal, their status lines would hide the counter.
total=$(grep -c '' <<< "$commands") n=0 failed=0
[[ -t 2 ]] && clear=$'\r\e[K' newline= || clear= newline=$'\n'
set -m # the workers become a process group, which can be stopped as one
stop() { # ends by the signal, so that a loop around this ends as well
    kill -- "-$(jobs -p)" 2> /dev/null || true
    disown -a
    echo "${clear:-}run_all.sh: stopped; the same command goes on" >&2
    trap - INT
    kill -INT $$
    exit 130 # where that is ignored
}
trap stop INT TERM HUP
tr '\n' '\0' <<< "$commands" |
    xargs -0 -n 1 -P "$(OMP_NUM_THREADS= nproc 2> /dev/null || getconf _NPROCESSORS_ONLN)" \
        bash -c 'eval "$0" 2>&1 > /dev/null; code=$?; echo ended; exit $code' |
    while IFS= read -r line; do
        [[ $line == ended ]] && printf '%s' "$clear$((++n)) of $total runs$newline" || echo "$clear$line"
    done >&2 &
wait $! || failed=1
set +m # else Ctrl-C in what follows would end it, and not this
[[ -n $newline ]] || echo >&2

table=$(python report.py "$out") && tee "$out/table.md" <<< "$table" || failed=1
if [[ -n $table && -d $out/main ]]; then
    if MPLBACKEND=agg python -c "import matplotlib.figure" 2> /dev/null; then
        python report.py "$out/main" --methods loro-plus loro online --figure "$out/figure.png" > /dev/null || failed=1
    else
        echo "no figure, for want of matplotlib; pip install matplotlib" >&2
    fi
fi
[[ $failed == 0 ]] || end "something failed, see above; the same command tries it again" 1
