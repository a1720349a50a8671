"""Write the summary, one line per field and energy band, and the page of all fields."""

from pathlib import Path

import pandas as pd

from gammastack.files.summary import rows_of
from gammastack.files.tables import write_table
from gammastack.report.index import index_page


def run(inputs, outputs, origin):
    rows = rows_of(inputs["images"], inputs["runs"])
    write_table(pd.DataFrame(rows), outputs["summary"], outputs["summary_ecsv"])
    Path(outputs["index"]).write_text(index_page(rows), encoding="utf-8")
