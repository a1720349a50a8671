"""Changes of settings in words."""

import pytest

from gammastack.archive.settings import setting_changes

CIRCLE = {"center": [83.6, 22.0], "radius": 0.3}


@pytest.mark.parametrize(
    "key, old, new, texts",
    [
        ("radii", {"": [None, 0.1]}, {"": [None, 0.2]}, ["radius 0.1 deg -> 0.2 deg"]),
        (
            "radii",
            {"": [10, None]},
            {"": [None, 0.2], "_0.3deg": [None, 0.3]},
            ["radius 10 pix -> [0.2 deg, 0.3 deg]"],
        ),
        (
            "energy_bands",
            {"1TeV-10TeV": [1.0, 10.0]},
            {"1TeV-20TeV": [1.0, 20.0]},
            ["energy_bands 1TeV-10TeV -> 1TeV-20TeV"],
        ),
        (
            "image",
            {"center": [1.0, 2.0], "width": [5.0, 5.0], "frame": "icrs"},
            {"center": [1.0, 2.0], "width": [5.0, 2.5], "frame": "galactic"},
            [
                "image.frame icrs -> galactic",
                "image.width [5, 5] deg -> [5, 2.5] deg",
            ],
        ),
        ("spectral_index", 2.3, 2.0, ["spectral_index 2.3 -> 2.0"]),
        ("offset_band", [0.0, 2.0], [0.0, 2.0], []),
        (
            "background",
            {"method": "irf", "gradient": False},
            {"method": "ring", "r_in": 0.5},
            [
                "background.gradient false -> none",
                "background.method irf -> ring",
                "background.r_in none -> 0.5 deg",
            ],
        ),
        (
            "exclusion_mask",
            [CIRCLE, "a.reg"],
            ["a.reg", "b.reg"],
            [
                'exclusion_mask {"center": [83.6, 22.0], "radius": 0.3} removed',
                "exclusion_mask b.reg added",
            ],
        ),
        ("exclusion_mask", ["a", "b"], ["b", "a"], ["exclusion_mask in another order"]),
    ],
)
def test_changes_in_words(key, old, new, texts):
    assert list(setting_changes(key, old, new)) == texts
