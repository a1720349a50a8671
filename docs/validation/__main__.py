"""Write docs/validation.md and its figures: `make validation`."""

import os
import sys
from pathlib import Path

NEEDED = {
    "GAMMAPY_DATA": ("hess-dl3-dr1", "the H.E.S.S. DL3 public test data release 1"),
    "GAMMASTACK_REFERENCE": ("gammapy21", "the results of gammapy 2.1"),
}


def missing_data():
    """What to set in the environment, one line for each folder that is not there."""
    for variable, (folder, what) in NEEDED.items():
        if not (Path(os.environ.get(variable, "/nowhere")) / folder).is_dir():
            yield f"set {variable} to the folder that holds {folder}, {what}"


def main():
    if missing := list(missing_data()):
        sys.exit("\n".join(["make validation needs real data:", *missing]))
    # Only now: it takes a while
    from validation.page import page
    from validation.report import FIGURES, PAGE

    PAGE.write_text(page(FIGURES), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
