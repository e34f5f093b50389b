"""Whether methods keep their order on another data set."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from bench.config.reading import load
from bench.report import page
from bench.tables.companion import agreement, kendall, said
from bench.tables.tidy_table import read_metrics
from tests.support import result_sets, tidy

ORDER = {"aae": 1.0, "mmd": 2.0, "vae": 3.0, "ae": 4.0}


def frame(means, spread=0.0, seeds=3):
    return pd.DataFrame({m: [mean + spread * (seed - 1) for seed in range(seeds)] for m, mean in means.items()})


@pytest.mark.parametrize(
    ("other", "tau"),
    [
        (ORDER, 1.0),
        ({m: -mean for m, mean in ORDER.items()}, -1.0),
        ({"aae": 1.0, "mmd": 2.0, "vae": 4.0, "ae": 3.0}, 4 / 6),  # one pair of six exchanged
        ({"aae": 1.0, "mmd": 1.0, "vae": 1.0, "ae": 1.0}, 0.0),  # no order at all
        ({"aae": 1.0, "mmd": 2.0, "vae": 3.0, "new": 0.0}, 1.0),  # what one set lacks takes no part
    ],
)
def test_tau_of_means_without_spread_has_no_uncertainty(other, tau):
    found = agreement({"error": (frame(ORDER), frame(other))})
    assert found[:3] == pytest.approx((tau, tau, tau))
    assert found.methods == len({*other} & {*ORDER})


def test_the_interval_is_of_seeds_and_the_mean_of_measures():
    close = {m: 1 + mean / 10 for m, mean in ORDER.items()}
    same, noisy = (frame(ORDER), frame(ORDER)), (frame(close), frame(close, spread=1.0))
    found = agreement({"a": same, "b": (frame(ORDER), frame({m: -x for m, x in ORDER.items()}))})
    assert (found.tau, found.each) == (0.0, {"a": 1.0, "b": -1.0})
    wide = agreement({"a": noisy})
    assert wide.tau == pytest.approx(1.0)
    assert wide.low < 0 < wide.high <= 1
    assert agreement({"a": (frame(ORDER)[["aae", "mmd"]], frame(ORDER))}) is None


def test_tau_is_scipys():
    rng = np.random.default_rng(0)
    for a, b in rng.integers(0, 4, (50, 2, 6)):
        assert kendall(a, b) == pytest.approx(np.nan_to_num(kendalltau(a, b).statistic))


def test_a_page_says_how_far_the_companions_order_holds(tmp_path):
    path, metrics = result_sets.write(tmp_path, codes=False, companion="other")
    scores = {("likelihood", m, "log_likelihood_1000000"): [x, x] for m, x in ORDER.items() if m != "ae"}
    tidy.write(tidy.tidy(scores), metrics.parent)
    config, rows = load(path), read_metrics(metrics)
    assert "is not known: " in said(config, rows, metrics)

    reverse = {key: [-x for x in values] for key, values in scores.items()}
    tidy.write(tidy.tidy(reverse), metrics.parent.parent / "other")
    made = page.Page(config, rows, metrics, tmp_path / "page", str(path))
    made.render("index.html", "index", "index", made.index)
    text = (tmp_path / "page/index.html").read_text()
    assert (
        "The order of the 3 methods beside that of other: Kendall&#39;s τ −1.00 [−1.00, −1.00], the mean of Par" in text
    )
