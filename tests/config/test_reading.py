"""How files become a config: layers, YAML's numbers and keys, and no traceback whatever is in a file."""

import random

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.config import reading, schema
from bench.config.layers import difference, read_yaml
from bench.config.reading import ConfigError, load
from bench.config.runs import expand
from tests.support.checkout import ROOT, TINY
from tests.support.configs import extended


def test_later_layers_win(tmp_path):
    config = extended(
        tmp_path, "defaults: {depth: 1}\nexperiments: {density: {epochs: 5, methods: {ae: , mmd: {epochs: 6}}}}\n"
    )
    config = load(tmp_path / "c.yaml", {"defaults": {"width": 16}})
    found = [reading.settings(config, "density", method) for method in ("ae", "mmd")]
    assert [(s.epochs, s.width, s.depth, s.batch_size) for s in found] == [(5, 16, 1, 100), (6, 16, 1, 100)]


def test_an_empty_section_says_nothing_and_an_empty_value_takes_one_back(tmp_path):
    config = extended(
        tmp_path,
        "defaults: {timeout: 3}\nmethods: {mmd: }\nexperiments: {density: {timeout: null, methods: {ae: , mmd: }}}",
    )
    assert reading.settings(config, "density", "mmd").timeout is None
    assert reading.settings(config, "classes", "mmd").timeout == 3
    assert reading.settings(config, "density", "mmd").regularizer == "mmd"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E+3", 1e3), (".5", 0.5), ("1.", 1.0), ("-7", -7), ("010", "010"), ("1:30", "1:30"),
     ("1_000", "1_000"), ("no", "no"), ("off", "off"), ("true", True), ("2015-01-01", "2015-01-01"), ("~", None)],
)  # fmt: skip
def test_plain_values_are_those_of_yaml_1_2(tmp_path, text, value):
    path = tmp_path / "c.yaml"
    path.write_text(f"x: {text}\n")
    found = read_yaml(path)["x"]
    assert found == value
    assert type(found) is type(value)


def test_merge_keys_merge_and_own_keys_win(tmp_path):
    config = extended(
        tmp_path,
        "methods:\n  a: &a {regularizer: mmd, weight: 2}\n  b: {<<: *a, weight: 3}\n  c: {<<: [*a, {seeds: 4}]}\n"
        "experiments: {density: {methods: [a, b, c]}}",
    )
    assert [reading.settings(config, "density", m).weight for m in "abc"] == [2, 3, 2]
    assert [len(reading.seeds(config, "density", m)) for m in "abc"] == [1, 1, 4]


@pytest.mark.parametrize(
    ("base", "said"),
    [("nowhere.yaml", "extends: expected the name of a file beside this one, found 'nowhere.yaml'"),
     ("c.yaml", "extends goes round in a circle at"),
     ("[a]", "extends: expected the name of a file beside this one, found ['a']"), ('"a\\0b"', "found 'a\\x00b'"),
     ("''", "Is a directory")],
)  # fmt: skip
def test_what_cannot_be_extended_is_named(tmp_path, base, said):
    path = tmp_path / "c.yaml"
    path.write_text(f"name: c\nextends: {base}\n")
    with pytest.raises(ConfigError) as error:
        load(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected sections such as 'methods:', found NoneType"),
        (b"[1]", "found list"),
        (b"\xff\xfe\x00n", "codec"),
    ],
)
def test_what_is_no_config_is_named(tmp_path, content, said):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load(path)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_the_configs_of_the_repository_are_valid_or_bases(path):
    content = yaml.safe_load(path.read_text())
    if "extends" in content:
        assert expand(load(path))
    elif "experiments" in content:  # a base says no data set and no epochs, and has methods for others to use
        with pytest.raises(ConfigError) as error:
            load(path)
        lines = [line for line in str(error.value).splitlines() if "no experiment has it among its methods" not in line]
        assert {line.split(": ")[2].split(";")[0] for line in lines} == {"missing"}


def test_a_checked_config_and_its_copy_are_the_same(tmp_path):
    config = extended(tmp_path, "only: [density]\ndefaults: {optimizers: {inner: {decay: {2: 0.1, cosine: 0.02}}}}\n")
    copy = reading.restore(config.model_dump(mode="json"), "copy.json")
    assert expand(copy) == expand(config)
    assert copy.model_dump(exclude={"defaults"}) == config.model_dump(exclude={"defaults"})  # JSON's keys are text
    with pytest.raises(ConfigError, match=r"copy\.json: seeds: expected how many"):
        reading.restore(config.model_dump(mode="json") | {"seeds": "two"}, "copy.json")


def test_what_overrides_a_file_is_found_section_by_section():
    base = {"defaults": {"lr": "1e-3", "width": 8}, "seeds": 2}
    assert difference({"defaults": {"lr": "1e-3", "width": 9}, "seeds": 2, "name": "x"}, base) == {
        "defaults": {"width": 9},
        "name": "x",
    }


# --- fuzzing ----------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**18), st.floats(), st.text(max_size=20),
    st.sampled_from(["mmd", "digits", "all", "z", "y", "label", "1e3", "é", "\u202e", "\x00", "joint", "gaussian"]),
    st.dates(), st.binary(max_size=5),
)  # fmt: skip
keys = st.one_of(st.sampled_from([*schema.Settings.model_fields, *schema.Config.model_fields, "z", "y"]), scalars)
values = st.recursive(
    scalars, lambda v: st.one_of(st.lists(v, max_size=4), st.dictionaries(keys, v, max_size=4)), max_leaves=12
)


def places(node, at=()):
    """The paths to every value of nested mappings and lists."""
    yield at
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from places(value, (*at, key))


def mutate(data, draw):
    """Replace, add or delete at one to three places."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.sampled_from([p for p in places(data) if p]))
        node = data
        for key in at[:-1]:
            node = node[key]
        action = draw(st.sampled_from(["replace", "delete", "add"]))
        if action == "replace":
            node[at[-1]] = draw(values)
        elif action == "delete":
            del node[at[-1]]
        elif isinstance(node, dict):
            node[draw(keys)] = draw(values)
        if not [p for p in places(data) if p]:
            break
    return data


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_fuzzed_config_is_valid_or_an_error_with_a_key(tmp_path, data):
    content = mutate(yaml.safe_load(TINY), data.draw)
    path = tmp_path / "c.yaml"
    text = yaml.safe_dump(content, allow_unicode=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    check(path)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), scraps=st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_a_config_with_scraps_of_text_in_it_is_valid_or_an_error(tmp_path, seed, scraps):
    text, dice = TINY, random.Random(seed)
    for scrap in scraps:
        i, j = sorted(dice.randrange(len(text) + 1) for _ in range(2))
        text = text[:i] + scrap + (text[i:] if dice.random() < 0.5 else text[j:])
    path = tmp_path / "c.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    check(path)


def check(path):
    """Loading succeeds, or fails with lines that each name the file and say something of bounded length."""
    try:
        load(path)
    except ConfigError as error:
        lines = str(error).split("\n")
    else:
        return
    assert all(line.startswith(str(path)) for line in lines), lines
    assert max(map(len, lines)) < 2000
