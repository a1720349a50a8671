import numpy as np
from numpy.testing import assert_allclose

from gammastack.stacking.norm import fit_bkg_gradient, fit_bkg_norm, norm_pulls

LAT, LON = np.mgrid[-2:2:41j, -2:2:41j]
MODEL = 3 * np.exp(-(LON**2 + LAT**2) / 4)
MASK = np.hypot(LON - 0.5, LAT) > 0.4


def tilted(scale, east, north):
    return scale * np.exp(east * LON + north * LAT) * MODEL


def test_gradient_of_expected_counts_is_found_exactly():
    """The likelihood of counts that equal a model of the family is largest there."""
    counts = tilted(1.3, 0.1, -0.25)
    counts[~MASK] = 1e6
    norm = fit_bkg_gradient(counts, MODEL, MASK, LON, LAT)
    assert_allclose(norm.scale, 1.3)
    assert_allclose(norm.gradient, (0.1, -0.25))
    assert_allclose(norm.apply(MODEL, (LON, LAT)), tilted(1.3, 0.1, -0.25))


def test_gradient_of_poisson_counts():
    """Pulls of 200 fits are standard normal, and fitted sums are the observed ones."""
    rng = np.random.default_rng(3)
    truth, pulls = np.array([1.2, 0.05, 0.1]), []
    for _ in range(200):
        counts = rng.poisson(tilted(*truth))
        norm = fit_bkg_gradient(counts, MODEL, MASK, LON, LAT)
        fitted = norm.apply(MODEL, (LON, LAT))
        assert_allclose(fitted[MASK].sum(), counts[MASK].sum())
        found = np.array([norm.scale, *norm.gradient])
        pulls.append((found - truth) / [norm.error, *norm.gradient_error])
    assert np.abs(np.mean(pulls, axis=0)).max() < 4 / np.sqrt(200)
    assert np.abs(np.std(pulls, axis=0) - 1).max() < 4 / np.sqrt(2 * 200)


def test_without_a_gradient_it_is_the_norm():
    """Counts without a gradient have the scale of the plain norm, and gradient 0."""
    counts = np.round(MODEL * 10).astype(int)
    scale = fit_bkg_norm(counts, MODEL, MASK).scale
    norm = fit_bkg_gradient(counts, MODEL, MASK, LON, LAT)
    assert_allclose(norm.gradient, 0, atol=2e-3)
    assert_allclose(norm.scale, scale, rtol=1e-3)


def test_too_few_counts_for_a_gradient():
    counts = np.zeros(MODEL.shape, dtype=int)
    assert not fit_bkg_gradient(counts, MODEL, MASK, LON, LAT).usable
    # With counts on one side only, the likelihood has no maximum
    counts[:, -1] = 1
    assert not fit_bkg_gradient(counts, MODEL, MASK, LON, LAT).usable


def test_outlier_among_norms():
    scale = np.array([1.0, 1.02, 0.98, 1.01, 0.99, 3.0])
    pull, outlier = norm_pulls(scale, np.full(6, 0.03))
    assert outlier.tolist() == [False] * 5 + [True]
    # The median is 1.005, and the scatter is 1.4826 * 0.015
    assert_allclose(pull[-1], 1.995 / np.hypot(0.03, 1.4826 * 0.015), rtol=1e-3)


def test_norms_that_are_all_the_same():
    """This happens with bkg_norm: false, where the errors are 0, too."""
    pull, outlier = norm_pulls(np.ones(3), np.zeros(3))
    assert pull.tolist() == [0, 0, 0] and not outlier.any()
