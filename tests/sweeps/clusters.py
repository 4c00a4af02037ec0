"""Real clusters of this machine: Ray's of three nodes, and a Slurm of two."""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

_RAY = """
import sys
from ray.cluster_utils import Cluster
sizes = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args=sizes)
nodes = [cluster.head_node, cluster.add_node(**sizes), cluster.add_node(**sizes)]
raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
print(cluster.address, *raylets, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@contextlib.contextmanager
def ray():
    """Three nodes of one processor each.

    Yields the variables by which a command finds it, and the process ids of the nodes;
    the first is the head.
    """
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _RAY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        address, *ids = process.stdout.readline().split()
        try:
            yield {"RAY_ADDRESS": address}, [int(number) for number in ids]
        finally:
            process.stdin.close()
            process.wait(60)


def is_at_work(node):
    """Whether a node of Ray carries out a command of a run."""
    for process in _family(node):
        with contextlib.suppress(OSError):
            if b"tfp_priors.commands" in Path(f"/proc/{process}/cmdline").read_bytes():
                return True
    return False


def kill(node):
    """Kills a node of Ray with all it has begun, as the loss of a machine does."""
    for process in _family(node):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _family(process):
    """A process and all that it has begun."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which may hold anything: the state and the parent.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    family = [process]
    for one in family:
        family += children.get(one, [])
    return family


HAS_SLURM = os.geteuid() == 0 and all(
    map(shutil.which, ("munged", "slurmctld", "slurmd", "sbatch"))
)

_SLURM = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextlib.contextmanager
def slurm(folder):
    """A controller and two nodes of one processor each, with munge, as root.

    Yields the variables by which commands find it.
    """
    munge = folder / "munge"
    munge.mkdir(mode=0o700)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (munge / "key").write_bytes(os.urandom(1024))
    (munge / "key").chmod(0o400)
    config = folder / "slurm.conf"
    host = platform.node().split(".")[0]
    config.write_text(_SLURM.format(folder=folder, host=host, ports=_free_ports(3)))
    found = {"SLURM_CONF": str(config)}
    files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed")]
    daemons = [
        ["munged", "--foreground", "--force", f"--socket={munge / 'socket'}", *files],
        ["slurmctld", "-D"],
        *(["slurmd", "-D", "-N", name] for name in ("n1", "n2")),
    ]
    started = []
    try:
        for daemon in daemons:
            started.append(
                subprocess.Popen(
                    daemon,
                    env=os.environ | found,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            time.sleep(1)
        end = time.monotonic() + 30
        while "idle" not in _said(["sinfo", "-h", "-o", "%T"], found):
            if time.monotonic() > end:
                raise RuntimeError("Slurm does not come up.")
            time.sleep(0.5)
        yield found
    finally:
        _said(["scancel", "--user=root"], found)
        time.sleep(1)
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def _said(command, found):
    done = subprocess.run(
        command, env=os.environ | found, capture_output=True, text=True
    )
    return done.stdout


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
