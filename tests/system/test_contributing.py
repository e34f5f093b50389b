"""CONTRIBUTING, walked command by command: a regularizer that is a file here. (A package's: test_install.py.)"""

import re
import shutil

import pytest
import yaml

from tests.support.checkout import ROOT, Checkout

pytestmark = pytest.mark.slow
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# The template compares means; this is what somebody might write instead: the energy distance to a sample.
FORMULA = """\
        too_few(codes)
        y = self.prior.sample(len(codes))
        n = len(codes)
        across = torch.cdist(codes, y).mean()
        within = (torch.cdist(codes, codes).sum() + torch.cdist(y, y).sum()) / (n * (n - 1))
        return self.strength * (2 * across - within) / rms(self.prior)
"""


def shown(begin):
    """The command in backquotes that begins so, as a list."""
    [command] = {" ".join(found.split()) for found in re.findall(rf"`({re.escape(begin)}[^`]*)`", PAGE)}
    return command.split()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository with its tests, and configs of the same experiments and methods that train in a moment."""
    copy = Checkout(tmp_path_factory.mktemp("contributing") / "copy")
    shutil.copytree(ROOT / "tests", copy.folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    copy.edit(
        "config/quick.yaml", "only: [likelihood, semi_supervised, clustering, latent_2d, style]", "only: [likelihood]"
    )
    small = {"seeds": 1, "controls": False, "batch_by": "all"}
    small["defaults"] = {"width": 16, "epochs": 1, "parzen_samples": [500]}
    quick = yaml.safe_load((copy.folder / "config/quick.yaml").read_text())
    measured = {"evaluations": ["reconstruction", "likelihood"]}
    quick["experiments"] = {"likelihood": quick["experiments"]["likelihood"] | measured}
    copy.write("config/quick.yaml", yaml.safe_dump(quick | small, sort_keys=False))
    return copy


def latentbench(copy, words, **options):
    """The output of a command that the page shows, of the copy's code."""
    assert words[0] == "latentbench"
    return copy.run("python", "-m", "bench", *words[1:], **options)


def test_the_page_works_as_it_is_written_beside_a_plug_in_that_is_no_python(copy):
    latentbench(copy, [*shown("latentbench run quick"), "--until", "collect"])
    before, after = shown("cp -r")[2:]
    assert before == "results/quick"
    shutil.copytree(copy.folder / before, copy.folder / "before")

    latentbench(copy, shown("latentbench new foo"))
    path = copy.folder / "regularizers/foo.py"
    text = path.read_text(encoding="utf-8")
    body = text.index("        too_few(codes)")
    text = f'"""{text[3:body]}{FORMULA}'.replace("cites = ()", 'cites = ("szekely2013",)')
    path.write_text(
        text.replace("from regularizers import", "import torch\n\nfrom regularizers import"), encoding="utf-8"
    )
    tested = copy.run("python", "-m", *shown("pytest tests/regularizers -k foo"), "-q", "-n", "0")
    assert int(re.search(r"(\d+) passed", tested)[1]) > 10

    [block] = re.findall(r"```yaml\n(   methods:\n.*?)```", PAGE, re.DOTALL)
    own, added = yaml.safe_load((copy.folder / "config/quick.yaml").read_text()), yaml.safe_load(block)
    own["methods"] = own.get("methods", {}) | added["methods"]
    own["experiments"]["likelihood"] |= added["experiments"]["likelihood"]
    copy.write("config/quick.yaml", yaml.safe_dump(own, sort_keys=False))
    planned = latentbench(copy, shown("latentbench plan quick"))
    assert re.search(r"\b1 to train", planned)

    copy.write("regularizers/broken.py", "class Broken(Regularizer:\n")
    own["methods"]["broken"] = {"title": "Broken", "regularizer": "broken", "weight": 1}
    own["experiments"]["likelihood"]["methods"] += ["broken"]
    copy.write("config/quick.yaml", yaml.safe_dump(own, sort_keys=False))
    ran = latentbench(copy, shown("latentbench run quick"))
    trained = re.findall(r"^(\S+/\S+) +1 seed +\d+ \w+(, 1 failed)?", ran, re.MULTILINE)
    assert sorted(trained) == [("likelihood/broken", ", 1 failed"), ("likelihood/foo", "")]
    latentbench(copy, ["latentbench", "cite", "quick"])
    page = copy.folder / ran.strip().splitlines()[-1].partition(": ")[2]
    assert any("SyntaxError" in path.read_text(encoding="utf-8") for path in [page, *page.parent.glob("**/*.html")])

    assert after == "/tmp/before"
    told = latentbench(copy, [*shown("latentbench diff")[:2], "before", "results/quick"], rc=None)
    assert "foo" in told
    [(identical, both)] = re.findall(r"([\d,]+) of ([\d,]+) numbers that both have are identical", told)
    assert identical == both
    assert int(both.replace(",", "")) > 20


def test_plug_ins_that_break_fail_their_own_tests_and_one_that_is_blind_is_told_what_to_declare(copy):
    copy.write("regularizers/broken.py", "def (")
    for name, line in (("raises", "raise RuntimeError('no')"), ("blind", "super().__init__(prior)")):
        method = f'''from regularizers import Regularizer


class Plug(Regularizer):
    """Says {name}, of which ten more words tell whoever reads this what it is and why."""

    title = "{name}"

    def __init__(self, prior):
        {line}

    def forward(self, codes, posterior):
        return codes.mean(0).square().sum()
'''
        copy.write(f"regularizers/{name}.py", method)
    try:
        # All of the room's files are collected: with an error in one the exit status would be 2.
        chosen = "test_penalty_grows_with_the_distortion and (gmmn or blind or raises or broken)"
        said = copy.run("python", "-m", "pytest", "-q", "tests/regularizers", "-k", chosen, rc=1)
    finally:
        for name in ("broken", "raises", "blind"):
            (copy.folder / f"regularizers/{name}.py").unlink()
    failed = re.findall(r"FAILED \S+::test_penalty_grows_with_the_distortion\[(\w+)-", said)
    assert set(failed) == {"blind", "raises", "broken"}
    assert "`unsupported` says so" in said
