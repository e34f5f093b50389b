"""The measurements of whole pipelines: what they run is valid, and what they pretend is taken for real."""

import pytest
import yaml

from bench import config as configs
from bench import data
from bench.perf import pipeline, scale
from bench.perf.clone import _seconds
from bench.runs import Results
from bench.schema import ROOT


@pytest.mark.parametrize("point", pipeline.points([1, 3], [2]), ids=lambda p: f"{p['axis']}-{p['factor']}")
def test_the_config_of_every_point_has_its_methods_and_seeds(point, tmp_path):
    content = pipeline.content("point", tmp_path, point)
    content["extends"] = str(ROOT / "config" / content["extends"])
    path = tmp_path / "point.yaml"
    path.write_text(yaml.safe_dump(content))
    results = Results(configs.load(path), tmp_path)
    assert len(results.runs) == point["methods"] * point["seeds"]


def test_the_random_images_are_as_many_as_asked_for(tmp_path):
    pipeline.faces(tmp_path / "faces", 300)
    assert len(data.load("tfd", tmp_path / "faces").train.x) == 300


def test_a_run_pretended_to_be_done_is_not_stale(tmp_path):
    results = Results(configs.load(ROOT / "config" / "smoke.yaml"), tmp_path)
    run = results.runs[0]
    assert results.stale(run) == "train"
    scale.pretend(results, run)
    assert results.stale(run) is None


def test_the_shells_times_are_read():
    assert _seconds("1m2.500s") == 62.5
