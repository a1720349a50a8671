"""A Slurm cluster of one node, this machine, with all its files in one folder.

It is made of Debian's packages slurmctld, slurmd, slurm-client and munge, and needs root.
"""

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = "munged", "mungekey", "slurmctld", "slurmd", "sbatch", "squeue", "scancel"
# Where the commands of Slurm look: in the environment it does not reach the steps of a job.
CONFIGURATION_FILE = Path("/etc/slurm/slurm.conf")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=600
SchedulerParameters=sched_interval=1,batch_sched_delay=0,default_queue_depth=1000
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def is_available():
    """Return whether a cluster can be started here, and there is none yet."""
    return (
        os.geteuid() == 0
        and all(map(shutil.which, PROGRAMS))
        and not os.path.lexists(CONFIGURATION_FILE)
    )


@contextmanager
def cluster(folder):
    """Run a cluster."""
    folder = Path(folder)
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            ports=_free_ports(2),
            folder=folder,
            cpus=os.cpu_count(),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        )
    )
    CONFIGURATION_FILE.parent.mkdir(exist_ok=True)
    CONFIGURATION_FILE.symlink_to(configuration)
    started = []
    try:
        for command in _daemons(folder):
            with open(folder / f"{command[0]}.out", "w") as log:
                process = subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            started.append(process)
            time.sleep(0.5)
        _wait_for_idle_node(folder)
        yield
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=20)
        CONFIGURATION_FILE.unlink()


def _daemons(folder):
    key, munge_socket = folder / "munge.key", folder / "munge.socket"
    subprocess.run(["mungekey", "--create", "--keyfile", key], check=True)
    munged = ["munged", "--foreground", "--force", f"--key-file={key}"]
    munged += [f"--socket={munge_socket}", f"--pid-file={folder}/munged.pid"]
    munged += [f"--seed-file={folder}/munged.seed", f"--log-file={folder}/munged.log"]
    return munged, ["slurmctld", "-D", "-i"], ["slurmd", "-D"]


def _free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for_idle_node(folder):
    for _ in range(100):
        state = subprocess.run(
            ["sinfo", "--noheader", "--format=%t"],
            capture_output=True,
            text=True,
        ).stdout.strip()
        if state == "idle":
            return
        time.sleep(0.2)
    logs = "\n".join(
        path.read_text()[-2000:]
        for path in [*folder.glob("*.log"), *folder.glob("*.out")]
    )
    raise RuntimeError(f"the cluster does not start, its node is {state!r}:\n{logs}")
