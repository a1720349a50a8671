"""Put a rule graph of Snakemake in order, so that it changes only if the rules do.

make rulegraph
"""

import re
import sys


def in_order(graph):
    """Return a rule graph in Mermaid with sorted edges between the names of rules.

    Snakemake's order and colours are others each time. All that is final is an input of the
    rule ``all``, which is left out.

    Parameters
    ----------
    graph : str
        Printed by ``snakemake --rulegraph mermaid-js``.
    """
    names = dict(re.findall(r"^\s*(\w+)\[(\w+)\]$", graph, re.MULTILINE))
    edges = re.findall(r"^\s*(\w+) --> (\w+)$", graph, re.MULTILINE)
    edges = sorted((names[one], names[other]) for one, other in edges)
    lines = [f"    {one} --> {other}" for one, other in edges if other != "all"]
    return "\n".join(["flowchart TB", *lines])


if __name__ == "__main__":
    print(in_order(sys.stdin.read()))
