"""Fit a point source with a power law to the dataset of the Crab Nebula, with gammapy."""

import matplotlib.pyplot as plt
from gammapy.datasets import MapDataset
from gammapy.modeling import Fit
from gammapy.modeling.models import (
    FoVBackgroundModel,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

dataset = MapDataset.read("results/crab/dataset.fits.gz", name="crab")
place = PointSpatialModel(lon_0="83.633 deg", lat_0="22.014 deg", frame="icrs")
spectrum = PowerLawSpectralModel(index=2.6, amplitude="3.5e-11 cm-2 s-1 TeV-1")
source = SkyModel(spatial_model=place, spectral_model=spectrum)
dataset.models = [source, FoVBackgroundModel(dataset_name="crab")]
result = Fit().run(dataset)
print(result)
for parameter in result.parameters.free_parameters:
    print(f"{parameter.name} {parameter.value:.5g} +- {parameter.error:.2g}")
dataset.plot_residuals_spatial(method="diff/sqrt(model)", vmin=-1, vmax=1)
plt.savefig("residuals.png")
