"""A mistake in a config is an error that names file, key and valid values, never a traceback."""

import random
import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.__main__ import main
from bench.config import reading, schema
from bench.config.reading import ConfigError, load
from tests.support.checkout import ROOT, TINY

BASE = yaml.safe_load(TINY)


@pytest.fixture
def wrong(tmp_path):
    """The message for a text in place of a config."""

    def message(text):
        path = tmp_path / "c.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigError) as error:
            load(path)
        return str(error.value).replace(f"{tmp_path}/", "")

    return message


def changed(old, new):
    assert old in TINY
    return TINY.replace(old, new)


MISTAKES = {
    "misspelt key": (changed("width", "widht"), "c.yaml: defaults.widht: unknown 'widht'; did you mean 'width'?"),
    "misspelt section": (
        changed("defaults", "default"),
        "c.yaml: default: unknown 'default'; did you mean 'defaults'?",
    ),
    "unknown regularizer": (
        changed("regularizer: mmd", "regularizer: mdm"),
        "c.yaml: methods.mmd.regularizer: unknown 'mdm'; did you mean 'mmd'? Valid: adversarial, ",
    ),
    "unknown data set": (
        changed("dataset: digits", "dataset: minst"),
        "c.yaml: defaults.dataset: Input should be 'digits', 'mnist', 'svhn' or 'tfd' (found 'minst')",
    ),
    "unknown method": (
        changed("[ae, mmd]", "[ae, mmdd]"),
        "c.yaml: experiments.likelihood.methods: unknown 'mmdd'; did you mean 'mmd'? Valid: ae, mmd",
    ),
    "unknown hyperparameter": (
        changed("regularizer: mmd", "regularizer: mmd, hyperparameters: {kernle: imq}"),
        "c.yaml: experiments.likelihood.methods.mmd: hyperparameters: unknown 'kernle'; did you mean 'kernel'?",
    ),
    "unknown evaluation": (changed("[reconstruction]", "[reconstructon]"), "experiments.likelihood.evaluations.0: "),
    "negative weight": (
        changed("regularizer: mmd", "regularizer: mmd, weight: -1"),
        "c.yaml: methods.mmd.weight: Input should be greater than or equal to 0 (found -1)",
    ),
    "zero epochs": (
        changed("epochs: 2", "epochs: 0"),
        "c.yaml: defaults.epochs: Input should be greater than or equal to 1 (found 0)",
    ),
    "infinite weight": (changed("regularizer: mmd", "regularizer: mmd, weight: .inf"), "methods.mmd.weight: "),
    "a seed that is no integer": (changed("seeds: 2", "seeds: [0, 1.5]"), "c.yaml: seeds.1: "),
    "a seed that is a word": (changed("seeds: 2", "seeds: two"), "c.yaml: seeds: "),
    "seeds twice": (changed("seeds: 2", "seeds: [1, 1]"), "c.yaml: seeds: seeds must be different from each other"),
    "negative seed": (changed("seeds: 2", "seeds: [-1]"), "c.yaml: seeds.0: "),
    "no seeds": (changed("seeds: 2", "seeds: []"), "c.yaml: seeds: "),
    "duplicate key": (TINY + "seeds: 3\n", f"c.yaml:{TINY.count(chr(10)) + 1}: duplicate key 'seeds'"),
    "a tab": ("name:\ttiny\n\tx: 1\n", "c.yaml:1: "),
    "no mapping": ("[1, 2]", "c.yaml: expected sections such as 'methods:', found list"),
    "empty": ("", "c.yaml: expected sections such as 'methods:', found NoneType"),
    "no text": (b"\xff\xfe\x00name", "c.yaml: "),
    "code": ("name: !!python/object/apply:os.mkdir [exploded]", "c.yaml:1: could not determine a constructor"),
    "missing sections": ("name: tiny", "c.yaml: methods: Field required"),
    "no such prior": (changed("dim: 4", "dim: 4, prior: gausian"), "experiments.likelihood.latents.z.prior: "),
    "no such file": (TINY + "extends: basis.yaml\n", "basis.yaml: No such file or directory"),
    "in a circle": (TINY + "extends: c.yaml\n", "extends goes round in a circle"),
    "a label that is not there": (changed("decoder: [z]", "decoder: [z, label]"), "decoder: 'label' needs labels: all"),
    "noise that nobody adds": (
        changed("regularizer: mmd", "regularizer: mmd, posterior_std: 0.3"),
        "posterior_std needs encoder: gaussian",
    ),
    "nothing left to learn": (
        changed("regularizer: mmd", "regularizer: mmd, schedule: alternating, frozen_encoder: true"),
        "frozen_encoder needs schedule: joint",
    ),
    "a latent that is not there": (changed("decoder: [z]", "decoder: [y]"), "decoder: unknown 'y'"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_named(wrong, what):
    text, expected = MISTAKES[what]
    assert expected in wrong(text)


def test_all_mistakes_come_at_once_and_the_file_of_each_is_named(tmp_path):
    (tmp_path / "base.yaml").write_text(changed("width: 16", "width: wide"))
    (tmp_path / "c.yaml").write_text("extends: base.yaml\nname: UPPER\nseeds: -1\n")
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "c.yaml")
    text = str(error.value)
    assert re.search(r"c\.yaml: name: .*'UPPER'", text)
    assert "c.yaml: seeds: " in text
    assert "base.yaml: defaults.width: " in text


def test_a_number_in_scientific_notation_is_a_number(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(changed("batch_size: 100", "batch_size: 100, optimizers: {reconstruction: {lr: 1e-4}}"))
    config = load(path)
    assert reading.settings(config, "likelihood", "ae").optimizers["reconstruction"].lr == 1e-4


def test_later_layers_win(tmp_path):
    (tmp_path / "base.yaml").write_text(TINY)
    (tmp_path / "c.yaml").write_text("extends: base.yaml\nname: own\nexperiments: {likelihood: {epochs: 5}}\n")
    config = load(tmp_path / "c.yaml", {"defaults": {"width": 8}})
    found = reading.settings(config, "likelihood", "mmd")
    assert (config.name, found.epochs, found.width, found.batch_size) == ("own", 5, 8, 100)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_the_configs_of_the_repository_are_valid_or_bases(path):
    content = yaml.safe_load(path.read_text())
    if "experiments" in content or "extends" in content:
        try:
            load(path)
        except ConfigError as error:
            mistakes = str(error).splitlines()
        else:
            return
        # A base says no data set and no epochs; nothing else may be wrong with it.
        assert "extends" not in content, mistakes
        assert all("Field required" in line for line in mistakes), mistakes


def test_the_programs_print_the_lines_and_exit_with_2(tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(changed("epochs: 2", "epochs: 0"))
    assert main(["train", str(path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") <= 3
    assert "epochs" in message


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


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_fuzzed_config_is_valid_or_an_error_with_a_key(tmp_path, data):
    content = mutate(yaml.safe_load(TINY), data.draw)
    path = tmp_path / "c.yaml"
    text = yaml.safe_dump(content, allow_unicode=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    check(path)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
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
        message = str(error)
    else:
        return
    assert message.startswith(str(path)), message
    assert max(map(len, message.splitlines())) < 2000
