#!/usr/bin/env bash
# One pipeline as a SLURM job on one node:
#
#     sbatch examples/slurm.sh ~/mine          # a folder with dvc.yaml, and spa in its .venv
#
# Five minutes before its time ends it asks to be queued again (a pre-empted job is, by --requeue), and
# `dvc repro` then goes on where it was. Where compute nodes reach no network, say `dvc repro base
# split` on the login node before. Adapt the lines below to the cluster.
#SBATCH --job-name=spa
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --mem=256G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
#SBATCH --output=%x-%j.log
set -euo pipefail

cd "${1:?say the folder of the pipeline: sbatch examples/slurm.sh FOLDER}"
source "${SPA_VENV:-.venv}/bin/activate"

# how the work is done here: not tracked, and no part of the experiment
if [ ! -e compute.yaml ]; then
    printf 'device: cuda\nprocesses: %s\n' "${SLURM_GPUS_ON_NODE:-1}" > compute.yaml
fi

spa doctor
spa plan --no-probe

trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
dvc repro &
wait $!
