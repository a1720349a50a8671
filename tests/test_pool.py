"""Processes that are forked from one in which the slow imports are already done."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
PROGRAM = """
print("program", flush=True)
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
sys.path.insert(0, {scripts!r})
from pool import Pool

if __name__ == "__main__":
    Pool(lambda: 1, ["maps"]).warm_up()
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        modules = executor.submit(eval, "[*__import__('sys').modules]").result()
    print("steps.maps" in modules, os.environ["PYTHONPATH"])
"""


def test_processes_import_the_steps_once_and_not_the_program(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(scripts=str(SCRIPTS)))
    done = subprocess.run(
        [sys.executable, "-P", program],
        env={"PYTHONPATH": "as before"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["program", "True as before"]


STEP = """
from pathlib import Path

def run(inputs, outputs, origin):
    Path(outputs["where"]).write_text({text!r})
"""
KILLED_SERVER = """
import os, signal, sys
from multiprocessing import forkserver
from threading import Timer
sys.path[:0] = ["here", {scripts!r}]
from pool import Pool, WorkerKilled

if __name__ == "__main__":
    pool = Pool(lambda: 1, ["where"])
    pool.warm_up()
    server = forkserver._forkserver._forkserver_pid
    {kill}
    software = {{"modules": {{}}, "packages": {{}}}}
    record = "sky/provenance/where.json"
    try:
        pool.run("where", {{}}, {{"where": "where"}}, {{}}, software, record, [])
    except WorkerKilled as error:
        print(error)
"""
BEFORE = """
    os.kill(server, signal.SIGKILL)
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
"""
MEANWHILE = """
    os.kill(server, signal.SIGSTOP)
    Timer(0.5, os.kill, [server, signal.SIGKILL]).start()
"""


def test_a_server_that_was_killed_is_started_again_with_the_same_code(tmp_path):
    """Another version of the steps may be installed."""
    for folder in ("here", "installed"):
        (tmp_path / folder / "steps").mkdir(parents=True)
        (tmp_path / folder / "steps" / "__init__.py").touch()
        step = tmp_path / folder / "steps" / "where.py"
        step.write_text(STEP.format(text=folder))
    assert run_with_killed_server(tmp_path, BEFORE) == ""
    assert (tmp_path / "where").read_text() == "here"


def test_a_server_that_is_killed_while_it_starts_a_process(tmp_path):
    (tmp_path / "here" / "steps").mkdir(parents=True)
    text = run_with_killed_server(tmp_path, MEANWHILE)
    assert text.startswith("a worker process was killed") and "start again" in text


def run_with_killed_server(folder, kill):
    """Return what is printed if the server of a pool is killed, and a step is run."""
    program = folder / "program.py"
    program.write_text(KILLED_SERVER.format(scripts=str(SCRIPTS), kill=kill.strip()))
    return subprocess.run(
        [sys.executable, program],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "installed")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
