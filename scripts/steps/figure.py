"""Draw an image of a field as a figure."""

from gammastack.pictures.figure import save, sky_figure
from gammastack.pictures.product import read_product, scale_of_product


def run(inputs, outputs, origin):
    read = {name: read_product(path) for name, path in inputs.items()}
    shown = read["image"]
    scale = scale_of_product(shown, read.get("exposure"))
    figure = sky_figure(shown, scale, shown.marks(read.get("mask")))
    for path in outputs.values():
        save(figure, path)
