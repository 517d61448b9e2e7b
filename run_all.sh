#!/usr/bin/env bash
# The whole study: every environment, method and seed, on all cores, one thread a run; then the table and the figure.
#
#   ./run_all.sh           runs what $OUT lacks, so that a study that was stopped goes on where it was
#   ./run_all.sh --list    prints the runs instead, one command a line, each of them safe to run twice
#
#   QUICK=1                a small slice, in about two minutes
#   SEEDS="100 119"        the first seed and the last
#   ROLLOUTS=FOLDER        another teacher: `loro` and `no-trust` on that folder's ENV.jsonl files, beside the study
#   OUT=results/study      where results go, one folder for each variant: main, tau-1, pretrain-0, ...
set -euo pipefail
cd "$(dirname "$0")"

environments="FrozenLake-v1 CliffWalking-v1 CartPole-v1 MountainCar-v0 Pendulum-v1 RepresentedPong-v0"
methods="online loro loro-paper forget mix random-data own-data llm random"
ablations="no-advantage-learning no-conservatism no-layer-norm no-symmetric-sampling no-trust"
few_episodes="1 3" few_updates="0 300 1000 3000"
seeds=${SEEDS:-100 119} out=${OUT:-results/study} budget=
if [[ -n ${QUICK:-} ]]; then
    methods="online loro" ablations="" few_episodes="" few_updates=""
    seeds=${SEEDS:-100 102} out=${OUT:-results/quick} budget=" --evaluations 50"
fi

[[ $seeds =~ ^[0-9]+\ [0-9]+$ ]] && ((${seeds% *} <= ${seeds#* })) ||
    { echo "run_all.sh: SEEDS is the first seed and the last, such as SEEDS=\"100 119\"" >&2; exit 2; }

run() { # VARIANT ENV METHOD SEED [OPTION ...]: one command
    printf 'python loro.py --env %s --method %s --seed %s --out %q' "$2" "$3" "$4" "$out/$1"
    printf '%s%s\n' "$budget" "${*:5}"
}

runs() {
    for seed in $(seq $seeds); do
        for env in $environments; do
            if [[ -n ${ROLLOUTS:-} ]]; then
                for method in loro no-trust; do
                    run "$(basename "$ROLLOUTS")" "$env" $method "$seed" "$(printf ' --rollouts %q' "$ROLLOUTS/$env.jsonl")"
                done
                continue
            fi
            for method in $methods; do run main "$env" "$method" "$seed"; done
            # Pong takes longer than the other five together, and is left out of the ablations.
            [[ $env != RepresentedPong-v0 ]] || continue
            for method in $ablations; do
                [[ $method == no-layer-norm && $env =~ ^(FrozenLake|CliffWalking) ]] || # a table has no layers
                    run main "$env" "$method" "$seed"
            done
            for tau in $few_episodes; do run "tau-$tau" "$env" loro "$seed" " --llm-episodes $tau"; done
            for n in $few_updates; do run "pretrain-$n" "$env" loro "$seed" " --pretrain-steps $n"; done
        done
    done
}

[[ ${1:-} == --list ]] && { runs; exit; }
[[ $# == 0 ]] || { echo "run_all.sh: unknown argument $1; there is only --list" >&2; exit 2; }

# Each command is a run of its own and says nothing but its errors; awk counts those that are done.
total=$(runs | wc -l) failed=0
[[ -t 2 ]] && separator='\r' || separator='\n'
runs | tr '\n' '\0' | xargs -r -0 -n 1 -P "$(getconf _NPROCESSORS_ONLN)" bash -c 'eval "$0" > /dev/null && echo done' |
    awk -v total="$total" -v separator="$separator" '{ printf "%d of %d runs%s", NR, total, separator > "/dev/stderr"; fflush() }' ||
    failed=1
[[ -t 2 ]] && echo >&2

variants=()
for variant in main ${ROLLOUTS:+"$(basename "$ROLLOUTS")"} $(printf "tau-%s " $few_episodes; printf "pretrain-%s " $few_updates); do
    [[ -d $out/$variant ]] && variants+=("$out/$variant")
done
python report.py "${variants[@]}" --figure "$out/figure.png" | tee "$out/table.md"
[[ $failed == 0 ]] || { echo "run_all.sh: some runs failed, see above; the same command repeats them" >&2; exit 1; }
