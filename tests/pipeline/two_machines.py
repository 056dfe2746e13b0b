"""A launcher as over two machines: two of torch's with one process each, that meet at a port.

python tests/pipeline/two_machines.py -m MODULE ARGUMENTS
"""

import socket
import subprocess
import sys


def main() -> int:
    """Exit with the first exit code that is not 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", meeting, *sys.argv[1:],
    ]  # fmt: skip
    machines = [subprocess.Popen(command) for _ in range(2)]
    return next(filter(None, [machine.wait() for machine in machines]), 0)


if __name__ == "__main__":
    sys.exit(main())
