"""The processes of a training: can they be started, and does the experiment allow them?"""

import shutil

from spa.compute import Compute
from spa.doctor.finding import Finding, fault
from spa.params import Params


def check_launch(params: Params, compute: Compute) -> list[Finding]:
    """What would stop `spa train` only once the stages before it have run."""
    settings = [params.train, *(params.for_round(int(name)).train for name in params.rounds)]
    count, command = compute.training_processes, compute.launcher.command
    found = []
    if command is not None and shutil.which(compute.launcher.words[0]) is None:
        found.append(f"launcher.command: found {command!r}, which does not exist here")
    if compute.shard and any(train.lora for train in settings):
        found.append("shard: found true with train.lora; wanted only one of them")
    if count > (least := min(train.batch_size for train in settings)):
        found.append(
            f"processes: found {count} for training; wanted at most one for each of the {least} "
            "pairs of a step (train.batch_size)"
        )
    return [fault("processes", f"compute.yaml: {text}") for text in found]
