#!/usr/bin/env python3
"""Make the maps of the H.E.S.S. release from servers on this machine, which also fail.

Each build is compared with one from the folder, bit for bit. GAMMAPY_DATA is the folder that
holds hess-dl3-dr1; the object store is the server of moto.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from servers import FileServer, Proxy, some_fail  # noqa: E402

PARTS = ["Snakefile", "config", "workflow", "scripts", "profiles"]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--configfile", "settings.yaml"]
KEYS = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
}
HEADER = """\
| store | requests that fail | build | s | requests | of them HEAD | MB sent | differing products |
|---|---|---|---|---|---|---|---|"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fields", help="names, separated by commas; all if not given")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--fraction", type=float, default=0.05, help="that fails")
    arguments = parser.parse_args()
    store = Path(os.environ["GAMMAPY_DATA"], "hess-dl3-dr1").resolve()
    settings = yaml.safe_load((ROOT / "config" / "hess_dl3_dr1.yaml").read_text())
    if arguments.fields:
        names = arguments.fields.split(",")
        settings["fields"] = {name: settings["fields"][name] for name in names}
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        web = stack.enter_context(FileServer(store))
        objects = stack.enter_context(object_store(store, stack))
        project = Project(Path(folder, "local"), settings, str(store), arguments.cores)
        expected = report("folder", "", "cold", project)
        for name, server, address in (
            ("HTTP", web, web.address),
            ("S3", objects, "s3://hess-data/hess-dl3-dr1"),
        ):
            os.environ["AWS_ENDPOINT_URL"] = objects.address
            for fraction in (0, arguments.fraction):
                server.fault = some_fail(fraction)
                place = Path(folder, f"{name}-{fraction}")
                project = Project(place, settings, address, arguments.cores)
                told = f"{100 * fraction:g} %", server, expected
                report(name, told[0], "cold", project, *told[1:])
                report(name, told[0], "nothing to do", project, *told[1:])
                project.remove("results", ".snakemake")
                report(name, told[0], "cold, with all copies", project, *told[1:])
                project.remove("cache")
                report(name, told[0], "nothing to do, no copies", project, *told[1:])


def object_store(store, stack):
    """Start an object store with the files of a folder, and return a proxy before it."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    os.environ.update(KEYS)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    stack.callback(server.stop)
    host, port = server.get_host_and_port()
    s3 = S3FileSystem(endpoint_url=f"http://{host}:{port}")
    s3.mkdir("hess-data")
    s3.put(f"{store}/", "hess-data/hess-dl3-dr1/", recursive=True)
    return Proxy(host, port)


class Project:
    """A copy of the project with another store."""

    def __init__(self, folder, settings, store, cores):
        self.folder, self.cores = folder, cores
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            folder.mkdir(exist_ok=True)
            copy(ROOT / part, folder / part)
        cache = {"folder": "cache", "size": "1 GB"}
        settings = {**settings, "datastore": store, "datastore_cache": cache}
        (folder / "settings.yaml").write_text(yaml.safe_dump(settings))

    def build(self):
        """Return the seconds that Snakemake takes."""
        start = time.perf_counter()
        command = [*SNAKEMAKE, "--cores", str(self.cores)]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return time.perf_counter() - start

    def remove(self, *names):
        for name in names:
            shutil.rmtree(self.folder / name)

    def products(self):
        """Return the content of all products by path; records and pages hold times."""
        results = self.folder / "results"
        return {
            str(path.relative_to(results)): path.read_bytes()
            for path in results.rglob("*")
            if path.suffix in (".fits", ".csv", ".ecsv", ".reg")
        }


def report(store, failing, name, project, server=None, expected=None):
    """Print the line of a build, and return its products."""
    if server:
        server.requests.clear()
    seconds = project.build()
    requests = server.requests if server else []
    products = project.products()
    expected = expected or products
    names = products.keys() | expected.keys()
    differing = [one for one in names if products.get(one) != expected.get(one)]
    n_heads = sum(request.method == "HEAD" for request in requests)
    sent = sum(request.sent for request in requests) / 1e6
    print(
        f"| {store} | {failing} | {name} | {seconds:.1f} | {len(requests)} | {n_heads} |"
        f" {sent:.2f} | {len(differing)} of {len(names)} |",
        flush=True,
    )
    return products


if __name__ == "__main__":
    main()
