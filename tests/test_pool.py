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
