"""What is said of a target that does not exist."""

from gammastack.targets import unknown_target


def test_slip_of_the_pen():
    known = [
        "crab",
        *(f"results/crab/{kind}.fits" for kind in ("flux", "significance")),
    ]
    text = unknown_target(
        "results/crab/signif.fits", known, fields=["crab"], bands="ab"
    )
    assert text.splitlines() == [
        "There is no target results/crab/signif.fits. Did you mean"
        " results/crab/significance.fits?",
        "fields: crab",
        "bands: a, b",
    ]


def test_nothing_near_and_many_names():
    names = [f"field{number}" for number in range(100)]
    first, second = unknown_target("?", names, fields=names).splitlines()
    assert first == "There is no target ?."
    assert second.endswith("field38, field39, and 60 more")
