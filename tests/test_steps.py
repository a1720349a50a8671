"""The steps without Snakemake, compared with the library and closed formulas."""

import importlib

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table
from numpy.testing import assert_allclose, assert_array_equal

from gammastack.at import runs_at
from gammastack.config.fields import read_config
from gammastack.dl3.hdus import HDUReference, hdu_types
from gammastack.files.fits import read
from gammastack.files.header import read_image
from gammastack.files.layout import outputs_of
from gammastack.files.run import RunFile
from gammastack.maker import StackedObsImageMaker
from gammastack.maps.disks import counts_in_disk
from gammastack.maps.significance import li_ma
from gammastack.products import STEPS
from gammastack.provenance.origin import Origin
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.stack import final_images, stack_runs

BAND, HIGH = "1TeV-10TeV", "10TeV-50TeV"
SETTINGS = {
    "center": [83.63, 22.01],
    "width": "3 deg",
    "binsz": "0.05 deg",
    "energy_bands": [["1 TeV", "10 TeV"], ["10 TeV", "50 TeV"]],
    "radius": ["0.2 deg", 3],
    "exclusion_mask": [{"center": [83.63, 22.01], "radius": "0.3 deg"}],
}
RING = {"method": "ring", "r_in": "0.4 deg", "width": "0.2 deg"}


# Settings on which the norms of the runs depend
NORM = (
    *("energy_bands", "ncounts_min", "bkg_norm", "background", "has_exposure"),
    *("bkg_scale_band", "on_bad_bkg_scale"),
)


# In the headers of what they make is the name of the field.
STEPS_OF_A_FIELD = "exclusion_mask", "search_sources", "stack_group", "stack"


def run_step(name, *args, **params):
    return importlib.import_module(f"steps.{name}").run(*args, Origin(), **params)


class Chain:
    """A field whose steps are run in a folder with the parameters of the rules."""

    def __init__(self, folder, store, **settings):
        settings = {**SETTINGS, "datastore": str(store.folder), **settings}
        self.field = read_config({**settings, "fields": {"sky": {}}}).fields["sky"]
        self.folder, self.store, self.warnings = folder, store, {}
        self.geometry = ImageGeometry.create(**self.field.image)

    def step(self, name, inputs, *settings, params=None, **wildcards):
        named = {key: getattr(self.field, key) for key in settings}
        if name in STEPS_OF_A_FIELD:
            named["field"] = self.field.name
        outputs = {
            key: str(self.folder / path.format(field="sky", **wildcards))
            for key, path in outputs_of(name, self.field).items()
        }
        outputs.pop("record", None)
        for path in outputs.values():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        said = run_step(name, inputs, outputs, **named, **(params or {}))
        self.warnings[name] = said or []
        return outputs

    def run_images(self, obs_id):
        hdus = self.store.hdus(obs_id, hdu_types(self.field.responses))
        files = sorted({one.path for one in hdus.values()})
        params = {
            "obs_id": obs_id,
            "index": self.store.index_row(obs_id),
            "failure": "",
            "hdus": {
                kind: HDUReference(files.index(one.path), one.hdu_name, one.hdu_class)
                for kind, one in hdus.items()
            },
        }
        settings = "image", "energy_bands", "offset_band", "spectral_index"
        settings = (*settings, "for_integral_flux")
        inputs = {"dl3": files}
        outputs = self.step(
            "run_images", inputs, *settings, params=params, obs_id=obs_id
        )
        return outputs["images"]

    def make(self, obs_ids=(1001, 1002, 1003, 1004)):
        field = self.field
        self.runs = [self.run_images(obs_id) for obs_id in obs_ids]
        inputs = {"runs": self.runs}
        if field.has_background:
            drawn = {"exclusion": []}
            masks = self.step("exclusion_mask", drawn, "image", "exclusion_mask")
            if field.has_search:
                masks = self.step(
                    "search_sources",
                    {**inputs, "known": masks["known_sources"]},
                    *("image", "source_search", *NORM),
                    params={"radius": field.radii[""]},
                )
            inputs["mask"] = masks["exclusion_mask"]
        radii = field.radii if field.has_flux_point else {}
        groups = self.step(
            "stack_group",
            inputs,
            "image",
            *NORM,
            params={"point_radii": radii},
            group="all",
        )
        settings = "image", "energy_bands", "background", "has_exposure"
        inputs = {"groups": [groups["sums"]]}
        policy = {"max_failed": 0, "excluded": [], "point_radii": radii}
        self.stacked = self.step("stack", inputs, *settings, params=policy)
        if not field.has_background:
            return self
        settings = "image", "radii", "ul_confidence", "n_sigma_sensitivity"
        for band in field.energy_bands:
            names = ["counts", "bkg"]
            names += ["exposure"] if field.has_exposure else []
            names += ["off", "acceptance", "acceptance_off"] if field.has_ring else []
            names += [f"psf_containment{suffix}" for suffix in radii]
            inputs = {name: self.stacked[f"{name}_{band}"] for name in names}
            inputs["mask"] = masks["exclusion_mask"]
            # There are no sources
            threshold = {"candidate_threshold": 2.5}
            self.step("maps", inputs, *settings, params=threshold, band=band)
        return self

    def path(self, name, band=BAND):
        return self.folder / "sky" / band / name

    def image(self, name, band=BAND):
        return read_image(self.path(f"{name}.fits", band))[0]

    @property
    def mask(self):
        return read_image(self.folder / "sky" / "exclusion_mask.fits")[0] > 0

    def images_of_runs(self, band=BAND):
        return [RunFile(path, self.geometry).images(band) for path in self.runs]


@pytest.fixture(scope="module")
def chain(simulated_store):
    """Return a function that makes all products of a simulated field in a folder."""
    return lambda folder, **settings: Chain(
        folder, simulated_store[0], **settings
    ).make()


@pytest.fixture(scope="module")
def plain(chain, tmp_path_factory):
    return chain(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def ring(chain, tmp_path_factory):
    return chain(tmp_path_factory.mktemp("ring"), background=RING)


@pytest.mark.parametrize("band", [BAND, HIGH])
def test_steps_are_the_maker_to_the_last_bit(plain, band):
    field = plain.field
    maker = StackedObsImageMaker(
        plain.geometry,
        field.energy_bands[band] * u.TeV,
        field.offset_band * u.deg,
        plain.store,
        [1001, 1002, 1003, 1004],
        field.exclusion_mask,
    )
    maker.make_images(make_background_image=True, radius=0.2 * u.deg)
    for name in ("counts", "bkg", "exposure", "excess", "significance"):
        assert_array_equal(plain.image(name, band), maker.images[name].data)
        made = fits.getheader(plain.path(f"{name}.fits", band))
        ours = maker.images[name].header
        for key in ("N_OBS", "LIVETIME", "ONTIME", "DATE-OBS", "E_MAX", "CRPIX1"):
            assert made[key] == ours[key]
    norms = read(plain.path("table_bkg_norm.fits", band))["BKG_NORM"].table
    for name in maker.table_bkg_norm.colnames:
        assert_array_equal(norms[name], maker.table_bkg_norm[name])


def test_headers_tell_images_apart(plain):
    """A viewer shows OBJECT; what the runs say of their telescope is in all that they make."""
    made_by = {"TELESCOP": "GAMMASTACK", "INSTRUME": "SIMULATION"}
    field = {"OBJECT": "sky", "FIELD": "sky"}
    for name in ("counts", "flux", "significance", "flux_corr_3pix", "table_bkg_norm"):
        with fits.open(plain.path(f"{name}.fits", HIGH)) as hdus:
            header = hdus["BKG_NORM" if name == "table_bkg_norm" else 0].header
        assert {**made_by, **field, "BAND": HIGH}.items() <= {**header}.items()
        assert header.get("RADIUS") == {"significance": 0.2, "flux_corr_3pix": 3}.get(
            name
        )
    for folder in ("runs/1001", "groups/all"):
        header = fits.getheader(
            plain.folder / "sky" / f"{folder}.fits", f"counts_{BAND}"
        )
        assert {**made_by, "BAND": BAND}.items() <= {**header}.items()
    mask = fits.getheader(plain.folder / "sky" / "exclusion_mask.fits")
    assert field.items() <= {**mask}.items() and "TELESCOP" not in mask


def test_background_has_the_counts_outside_the_exclusions(plain):
    """This holds for each run, and therefore for the sum."""
    mask = plain.mask
    sums = {name: plain.image(name)[mask].sum() for name in ("counts", "bkg")}
    assert_allclose(sums["bkg"], sums["counts"])
    norms = pd.read_csv(plain.path("table_bkg_norm.csv")).set_index("OBS_ID")
    for run in plain.images_of_runs():
        use = mask[plain.geometry.placement(run.geometry)] & run.covered
        scale = run.counts[use].sum() / run.bkg[use].sum()
        assert_allclose(norms.loc[run.obs_id, "bkg_scale"], scale)
    header = fits.getheader(plain.path("significance.fits"))
    assert header["SUMCOUNT"] == plain.image("counts").sum()
    assert_allclose(header["SUMBKG"], plain.image("bkg").sum())
    assert header["PEAK"] == np.nanmax(plain.image("significance"))


def test_livetime_is_that_of_the_simulation(plain):
    """0.7 deg from all four pointings, it is exp(-(0.7 / 2.2)^2 / 2) of 1596 s each."""
    middle = plain.geometry.shape[0] // 2, plain.geometry.shape[1] // 2
    expected = 4 * 1596 * np.exp(-0.5 * (0.7 / 2.2) ** 2)
    assert_allclose(plain.image("livetime")[middle], expected, rtol=2e-3)
    assert plain.image("n_runs")[middle] == 4


def test_maps_follow_from_sums(plain):
    exposure = plain.image("exposure")
    excess = plain.image("counts") - plain.image("bkg")
    seen = exposure > 0
    assert_allclose(plain.image("flux")[seen] * exposure[seen], excess[seen])
    # A disk of 3 pixels of 0.05 deg is not one of 0.2 deg, and has 29 pixels
    y, x = np.mgrid[-3:4, -3:4]
    disk = x**2 + y**2 <= 9
    assert disk.sum() == 29
    assert_allclose(
        plain.image("excess_corr_3pix")[30, 30], excess[27:34, 27:34][disk].sum()
    )
    assert plain.image("excess_corr")[30, 30] != plain.image("excess_corr_3pix")[30, 30]
    headers = [
        fits.getheader(plain.path(f"flux_corr{one}.fits")) for one in ("", "_3pix")
    ]
    assert [one["RADIUS"] for one in headers] == [0.2, 3]
    assert headers[0]["BUNIT"] == "m-2 s-1 TeV-1"
    statistics = pd.read_csv(plain.path("off_statistics.csv"))
    assert statistics["radius"].tolist() == ["0.2 deg", "3 pix"]
    assert (statistics["mean"] - statistics["mean_expected"]).abs().max() < 0.3


def test_table_of_runs(plain):
    runs = pd.read_csv(plain.folder / "sky" / "runs.csv")
    assert runs["OBS_ID"].tolist() == [1001, 1002, 1003, 1004]
    assert set(runs["status"]) == {"used"}
    assert runs["file"].tolist() == [f"run_{one}.fits" for one in runs["OBS_ID"]]
    assert_allclose(runs["livetime"], 1596)
    assert (runs[f"n_events_{BAND}"] > runs[f"n_events_{HIGH}"]).all()
    assert not any(plain.warnings.values())


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("runs", {"RA_PNT": "deg", "livetime": "s"}),
        (f"{BAND}/runs", {"ontime": "s", "exposure_on_axis": "m2 s TeV"}),
        (f"{BAND}/table_bkg_norm", {"livetime": "s", "ZENITH": "deg"}),
    ],
)
def test_tables_with_units(plain, name, units):
    """astropy reads the ECSV; it has the values and types of the CSV, and units."""
    table = Table.read(plain.folder / "sky" / f"{name}.ecsv", format="ascii.ecsv")
    plain_text = pd.read_csv(plain.folder / "sky" / f"{name}.csv")
    assert table.colnames == list(plain_text)
    for column, unit in units.items():
        assert table[column].unit == u.Unit(unit)
        assert_array_equal(table[column], plain_text[column])
    assert table["OBS_ID"].dtype.kind == "i"
    if "outlier" in table.colnames:
        assert table["outlier"].dtype.kind == "b"


def test_groups_add_up_to_the_same(plain, simulated_store, tmp_path):
    """Two groups of two runs give the same, up to the order of the sums."""
    halves = Chain(tmp_path, simulated_store[0])
    mask = str(plain.folder / "sky" / "exclusion_mask.fits")
    groups = [
        halves.step(
            "stack_group",
            {"runs": runs, "mask": mask},
            *("image", *NORM),
            params={"point_radii": halves.field.radii},
            group=name,
        )["sums"]
        for name, runs in (("0", plain.runs[::2]), ("1", plain.runs[1::2]))
    ]
    names = "image", "energy_bands", "background", "has_exposure"
    policy = {"max_failed": 0, "excluded": [], "point_radii": halves.field.radii}
    halves.step("stack", {"groups": groups}, *names, params=policy)
    for name in ("counts", "n_runs"):
        assert_array_equal(halves.image(name), plain.image(name))
    for name in ("bkg", "exposure", "livetime", "bkg_norm_relative"):
        assert_allclose(halves.image(name), plain.image(name), rtol=1e-12)
    for name in ("runs.csv", f"{BAND}/runs.csv"):
        made, before = (one.folder / "sky" / name for one in (halves, plain))
        assert made.read_text() == before.read_text()


def test_same_input_gives_the_same_files(plain, chain, tmp_path):
    again = chain(tmp_path)
    names = [one.relative_to(tmp_path) for one in tmp_path.rglob("*") if one.is_file()]
    assert len(names) > 40
    for name in names:
        assert (again.folder / name).read_bytes() == (plain.folder / name).read_bytes()


def test_ring_is_that_of_the_library(ring):
    field = ring.field
    stack, _ = stack_runs(
        ring.geometry, ring.images_of_runs(), ring.mask, background=field.background
    )
    images = final_images(stack.images)
    for name in ("counts", "bkg", "off", "acceptance", "acceptance_off", "exposure"):
        assert_array_equal(ring.image(name), images[name])
    in_pixels = field.radii[""].on(ring.geometry)
    measured = counts_in_disk(images, in_pixels)
    assert_array_equal(ring.image("alpha"), measured.alpha)
    alpha, off = ring.image("alpha"), ring.image("off")
    n_on = ring.image("excess_corr") + alpha * off
    assert_allclose(n_on, np.rint(n_on), atol=1e-6)
    known = np.isfinite(alpha) & (n_on > 1) & (off > 1)
    expected = li_ma(np.rint(n_on[known]), off[known], alpha[known])
    assert known.sum() > 1000
    assert_allclose(ring.image("significance")[known], expected, atol=1e-6)


def test_counts_only(chain, tmp_path):
    counts = chain(tmp_path, make_background_image=False)
    made = {path.name for path in (tmp_path / "sky" / BAND).iterdir()}
    assert made == {"runs.csv", "runs.ecsv", "counts.fits"}
    expected = np.zeros(counts.geometry.shape, int)
    for run in counts.images_of_runs():
        assert run.bkg is None and run.exposure is None
        expected[counts.geometry.placement(run.geometry)] += run.counts
    assert_array_equal(counts.image("counts"), expected)
    assert fits.getheader(counts.path("counts.fits"))["SUMCOUNT"] == expected.sum() > 0


# The threshold is low enough to find fluctuations, because there is no source
SEARCH = {"threshold": 3, "threshold_low": 2.5, "margin": "0.1 deg"}


def test_search_ends_when_nothing_is_significant(chain, tmp_path):
    """In the end no band has a significant pixel; the known source stays excluded."""
    found = chain(tmp_path, exclusion_mask=[*SETTINGS["exclusion_mask"], SEARCH])
    known = read_image(tmp_path / "sky" / "known_sources.fits")[0] > 0
    assert (known >= found.mask).all() and (known > found.mask).any()
    for band in found.field.energy_bands:
        outside = found.image("significance", band)[found.mask]
        assert np.nanmax(outside) < 3
    header = fits.getheader(tmp_path / "sky" / "exclusion_mask.fits")
    excluded, rounds = np.sum(known & ~found.mask), header["ROUNDS"]
    assert header["NOTE"].endswith(f"{excluded} pixels excluded in {rounds} rounds")
    assert rounds > 1 and not found.warnings["search_sources"]


def test_search_that_ends_too_early_warns(chain, tmp_path):
    found = chain(tmp_path, exclusion_mask=[{**SEARCH, "rounds": 1}])
    (warning,) = found.warnings["search_sources"]
    assert "in 1 rounds; the last one still found new ones" in warning


@pytest.mark.parametrize("step", STEPS)
def test_parameter_that_a_step_does_not_know(step):
    with pytest.raises(TypeError, match="unexpected keyword argument 'radii_of_all'"):
        run_step(step, {}, {}, radii_of_all=1)


def test_parameter_that_is_missing():
    with pytest.raises(TypeError, match=r"missing .* 'energy_bands'"):
        run_step("stack", {}, {}, image={})


def test_run_is_simulated_as_in_the_library(simulated_store, tmp_path):
    store, _, _ = simulated_store
    simulation = {
        "center": (83.63, 22.01),
        "wobble": 0.7,
        "n_runs": 4,
        "seed": 7,
        "bkg_gradient": 0.15,
        "sources": [],
    }
    path = tmp_path / "run_1003.fits"
    run_step("simulate_run", {}, {"dl3": path}, simulation=simulation, obs_id=1003)
    assert path.read_bytes() == (store.folder / path.name).read_bytes()
    paths = {name: tmp_path / f"{name}.fits.gz" for name in ("obs_index", "hdu_index")}
    run_step("simulate_index", {}, paths, simulation=simulation)
    for name, path in paths.items():
        original = store.folder / f"{name.replace('_', '-')}.fits.gz"
        assert path.read_bytes() == original.read_bytes()


@pytest.mark.parametrize("made", ["plain", "ring"])
def test_candidates_have_the_values_of_the_maps(made, request):
    chain = request.getfixturevalue(made)
    found = QTable.read(chain.path("candidates.ecsv"))
    assert len(found) > 0
    significance = chain.image("significance")
    assert found["significance"][0] == np.nanmax(significance)
    assert_array_equal(found["significance"], found["significance_0.2deg"])
    for row in found:
        (y,), (x,) = np.nonzero(significance == row["significance"])
        for column, name in (("excess", "excess_corr"), ("flux_ul", "flux_corr_ul")):
            value = u.Quantity(row[column]).value
            assert_allclose(value, chain.image(name)[y, x], rtol=1e-6)
    assert found["flux"].unit == "m-2 s-1 TeV-1"
    assert found.meta["n_pixels"] == np.isfinite(significance).sum()
    assert (found.meta["field"], found.meta["band"]) == ("sky", BAND)


def test_runs_at_a_position_add_up_to_the_acceptance(ring):
    """A run has its normalised model there, not the background from its ring."""
    y, x = 30, 25
    runs = runs_at(ring.path(""), *ring.geometry.position(x, y))
    images = {name: ring.image(name) for name in ("counts", "acceptance")}
    images["bkg"] = images.pop("acceptance")
    radius = ring.field.radii[""].on(ring.geometry)
    expected = counts_in_disk(images, radius)
    assert len(runs) == 4
    assert runs["counts"].sum() == expected.n[y, x]
    assert_allclose(runs["bkg"].sum(), expected.mu[y, x], rtol=1e-6)
