"""Random configs that extend config/smoke.yaml: sound settings and odd ones, at every level, names, titles and YAML."""

import yaml
from hypothesis import strategies as st

from bench.config.schema import Config, Settings

NAMES = [
    "own", "a", "x_1", "a" * 40, "a" * 41, "null", "nan", "true", "no", "Upper", "1a", "x y", "é", "", "results", "all",
    "method", "index", "con", "tuning", "label", "mean", "seed", None, 3, 1.5, True,
]  # fmt: skip
TITLES = [
    "A", "$x$", "$a_{", "a\nb", "null", "nan", "NA", "1e3", "<b>&amp;", '"q"', "50 %", "a,b", "|pipe|", "`code`",
    "\\alpha", "é中", "\u202eabc", " ", "=1+1", "#", "a\tb", "--", "🙂", "$", "$$", "_x_", "{}", "%s", "\x00",
    "a\u2028b", None, 3, True, "MMD", "e\u0301", "é", "-inf", "x" * 201, "x" * 200, "[a](b)", "</script>",
    "~", "'", "''", "*a*",
]  # fmt: skip
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([10**7, 10**18, 1e-30, 1e30, 2.0, 0.5, -1.0]),
    st.floats(), st.sampled_from(["1e-3", "2", "true", "mmd", "all", "", "digits", "gaussian", "1e3"]),
    st.lists(st.integers(-1, 3), max_size=3), st.dictionaries(st.sampled_from(["a", "z"]), st.integers(), max_size=2),
)  # fmt: skip
MIXTURE = {"means": [[0, 0], [2, 0], [0, 2], [1, 1]], "covariances": [1, 0.5, [1, 2], [[1, 0.5], [0.5, 1]]]}

# what a setting may be said to be: sound for some cells, contradictory or without effect for others
VALUES = {
    "dataset": ["digits", "minst"],
    "architecture": ["mlp", "conv", "cnv"],
    "normalisation": ["none", "per_pixel"],
    "labels": [0, 10, 100, "all", 95, 1100, "100"],
    "latents": [
        {"z": {"dim": 3}}, {"z": {"prior": "petals", "dim": 2}}, {"y": {"dim": 7}}, {"w": {"dim": 2}},
        {"z": {"prior": "swiss_roll", "dim": 2, "settings": {"components": 20}}}, {"z": {"given": "label"}},
        {"z": {"prior": "mixture", "dim": 2, "settings": MIXTURE}}, {"z": {"settings": {"scale": 2}}},
        {"z": {"settings": {"scale": 0}}}, {"z": {"head": "categorical", "prior": "one_hot"}}, {"y": {"dim": 1}},
        {"z": {"prior": "mixture", "dim": 2, "settings": {"means": [[0, 0]], "covariances": [0]}}},
    ],
    "decoder": [["z"], ["y", "z"], ["z", "label"], ["z", "w"], ["z", "y"], [], ["z", "z"]],
    "merge": ["concatenate", "add"],
    "terms": [
        ["reconstruction"], ["reconstruction", "regularization"], ["regularization", "reconstruction"],
        ["classification"], ["reconstruction", "regularization", "classification"], ["regularization"], [],
        ["reconstruction", "separation"],
    ],
    "weights": [{"z": 2}, {"y": 0}, {"classification": 3.0}, {"reconstruction": 2}, {"w": 2}, {"separation": 2}],
    "evaluations": [
        ["reconstruction"], ["likelihood"], ["reconstruction", "latent", "probes"], ["classification"], ["clustering"],
        ["components"], ["decomposition", "reconstruction"], ["probes", "probes"], [], ["reconstruction", "clustering"],
    ],
    "parzen_samples": [[50], [100, 10_000], [500, 15_000], [60, 50], [20_000]],
    "milestones": [[1], [1, 2], [3], [2, 1], []],
    "regularizer": [
        "unregularized", "kl", "adversarial", "mmd", "energy", "cramer_wold", "ex_post", "moment_matching", "mdm",
        "conditional_mmd", "sigreg", "sliced_wasserstein", "wae_mmd",
    ],
    "hyperparameters": [
        {"kernel": "energy"}, {"normalise": True}, {"normalise": "false"}, {"blur": 1e-3}, {"width": 8}, {"beta": 2.0},
        {"inner_steps": 2}, {"scales": [0.5, 1]}, {"scales": 0.5}, {"projections": 5}, {"no_such": 1},
        {"components": 3},
    ],
    "encoder": ["deterministic", "gaussian", "universal"],
    "posterior_std": [0.3, 0, None],
    "frozen_encoder": [True, False],
    "weight": [0, 0.5, 2, -1],
    "schedule": ["joint", "alternating"],
    "regularization_batch": [50, 1, None],
    "regularization_every": [1, 2, 13],
    "width": [4, 16, 0],
    "depth": [1, 3],
    "noise_dim": [2, 0],
    "init": ["default", "paper"],
    "output": ["sigmoid", "linear"],
    "loss": ["squared", "bernoulli"],
    "batch_norm": ["none", "encoder", "all"],
    "input_noise": [0, 0.3, -0.1],
    "input_dropout": [0, 0.2, 1],
    "separation_margin": [0, 9.0],
    "epochs": [1, 3, 0],
    "batch_size": [50, 1197, 1198, 1],
    "optimizers": [
        {"reconstruction": {"lr": 0.01}}, {"regularization": {"name": "sgd", "lr": 0.01}}, {"inner": {"momentum": 0}},
        {"classification": {"lr": 0.01}}, {"separation": {"lr": 0.01}}, {"reconstruction": {"decay": {1: 0.1}}},
        {"reconstruction": {"decay": {"cosine": 0.1}}}, {"reconstruction": {"decay": {5: 0.1}}}, {"iner": {"lr": 1}},
    ],
    "precision": ["float32", "bfloat16"],
    "deterministic": [True, False],
    "timeout": [100, 0, None],
}  # fmt: skip
assert {*VALUES} == {*Settings.model_fields}, "each setting needs values that a random config may give it"
TOP = {
    "seeds": [1, 2, [3], [3, 3], 0, 2.0, "2", [], [0, 5]],
    "preset": ["own", "", "a\nb", 3],
    "batch_by": ["all", "run", "method", 2, 0, "metod"],
    "only": [["likelihood"], [], ["likelihood", "likelihood"], ["likelihod"], ["style", "tuning"]],
    "controls": [True, False, "no"],
}
assert {*TOP} < {*Config.model_fields}
EXPERIMENTS = [
    "likelihood",
    "semi_supervised",
    "clustering",
    "style",
    "label_informed",
    "latent_2d_petals",
    "reduction_2d",
]
METHODS = ["ae", "vae", "aae", "mmd", "ex_post"]


def put(content, place, value):
    """Say something at a place, beside what is said there already."""
    for key in place[:-1]:
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            return
    content[place[-1]] = value


@st.composite
def places(draw):
    """A section that settings may stand in."""
    experiment, method = draw(st.sampled_from(EXPERIMENTS)), draw(st.sampled_from(METHODS))
    sections = [("defaults",), ("methods", method), ("experiments", experiment)]
    return draw(st.sampled_from([*sections, ("experiments", experiment, "methods", method)]))


@st.composite
def settings(draw):
    """A key and a value: seven of ten are of the schema's own kind."""
    key = draw(st.sampled_from(list(VALUES)))
    value = draw(st.sampled_from(VALUES[key]) if draw(st.integers(0, 9)) < 7 else ODD)
    return (key if draw(st.integers(0, 19)) else key[:-1]), value


@st.composite
def contents(draw, most=3, only=None):
    """A config as a mapping."""
    content = {"extends": "smoke.yaml", "name": "c"} | ({"only": [draw(st.sampled_from(only))]} if only else {})
    for _ in range(draw(st.integers(1, most))):
        match draw(st.sampled_from(["setting"] * 7 + ["title", "method", "top", "seeds"])):
            case "setting":
                key, value = draw(settings())
                put(content, (*draw(places()), key), value)
            case "title":
                title = draw(st.one_of(st.sampled_from(TITLES), st.text(max_size=20)))
                put(
                    content,
                    ("methods", draw(st.sampled_from(METHODS)), draw(st.sampled_from(["title", "short"]))),
                    title,
                )
            case "method":
                name = draw(st.sampled_from(NAMES))
                put(content, ("methods", name), {"regularizer": "mmd", "title": draw(st.sampled_from(TITLES))})
                listed = draw(st.sampled_from([["mmd", name], [name, name], {"vae": {}, name: {"weight": 2}}, name]))
                put(content, ("experiments", draw(st.sampled_from(EXPERIMENTS)), "methods"), listed)
            case "top":
                key = draw(st.sampled_from([k for k in TOP if k != "only" or not only]))
                put(content, (key,), draw(st.sampled_from(TOP[key])))
            case "seeds":
                put(content, (*draw(places()), "seeds"), draw(st.sampled_from(TOP["seeds"])))
    return content


@st.composite
def texts(draw, **options):
    """A config as the text of a file, in one of thirty with a key that stands twice."""
    text = yaml.safe_dump(draw(contents(**options)), allow_unicode=True, sort_keys=False)
    if draw(st.integers(0, 29)) == 0:
        text += draw(st.sampled_from(["name: d\n", "seeds: 2\nseeds: 2\n", "x: {<<: {a: 1}, <<: {b: 2}}\n"]))
    return text
