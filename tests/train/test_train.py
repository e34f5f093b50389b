"""The same run gives the same bits, however often it is interrupted, and learns from what it may see alone."""

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from copy import deepcopy
from dataclasses import replace
from io import BytesIO

import pandas as pd
import pytest
import torch
from safetensors.torch import load, load_file

from bench.__main__ import main
from bench.config import reading, schema
from bench.config.runs import Run, expand
from bench.data import datasets
from bench.evaluate.protocols import EVALUATIONS
from bench.evaluate.trained_run import Trained
from bench.records import whole_files
from bench.train import resumable, train_runs
from bench.train.loop import Diverged, Stopped, Training, steps
from bench.train.optimizers import Descent, rate
from regularizers import Regularizer
from tests.support.checkout import ALONE, ROOT, TINY, Checkout

SLOW = ("label_informed_roll", "clustering_20", "clustering_30")  # a prior of 2,000 components; like `clustering`
RUNS = [run for run in expand(reading.load(ROOT / "config/smoke.yaml")) if run.seed == 0 and run.experiment not in SLOW]
METHODS = {run.cell.split("-")[0]: run for run in RUNS}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture
def fresh(digits):
    """A data set object of its own for each training, which seals it."""
    return lambda: replace(digits)


def record(run, folder, load, **options):
    """Train a run; the bytes that must be the same every time."""
    content = train_runs.record(run, folder, load, **options)
    assert content["status"] == "ok", content["reason"]
    return [(folder / name).read_bytes() for name in ("model.safetensors", "history.csv")]


@pytest.fixture(scope="module")
def undisturbed(digits, tmp_path_factory):
    """What the first training of a method comes to."""

    @functools.cache
    def train(name):
        return record(METHODS[name], tmp_path_factory.mktemp("first"), lambda: replace(digits))

    return train


@pytest.mark.parametrize("name", METHODS)
def test_two_trainings_of_a_run_are_bit_identical(name, fresh, undisturbed, tmp_path):
    run, first = METHODS[name], undisturbed(name)
    torch.rand(7)  # whatever was drawn before
    assert record(run, tmp_path, fresh) == first
    record_of = whole_files.read_json(tmp_path / "record.json")
    assert record_of["hashes"]["model"] == whole_files.sha256(first[0])
    assert record_of["epoch"] == run.settings.epochs


def test_every_method_starts_from_the_same_weights_batches_and_labels(fresh):
    for experiment in ("likelihood", "semi_supervised"):
        hashes = []
        for name, run in METHODS.items():
            if name.startswith(f"{experiment}/"):
                hashes.append(Training(run, fresh()).hashes)
        assert len(hashes) >= 4
        assert all(h == hashes[0] for h in hashes)
    another = Run("likelihood", "ae", 1, METHODS["likelihood/ae"].settings)
    assert Training(another, fresh()).hashes["weights"] != Training(METHODS["likelihood/ae"], fresh()).hashes["weights"]


@pytest.mark.parametrize(
    "name", ["likelihood/sinkhorn", "semi_supervised/aae", "reduction_2d/mmd", "likelihood/ex_post"]
)
def test_a_training_stopped_anywhere_resumes_to_the_same_bits(name, fresh, undisturbed, tmp_path):
    run = METHODS[name]
    stops = 0
    for after in (1, 5, 12, 3):  # batches before each stop; an epoch has 12

        class Countdown(list):
            left = after

            def __bool__(self):
                self.left -= 1
                return self.left < 0

        with pytest.raises(Stopped):
            train_runs.record(run, tmp_path, fresh, stop=Countdown())
        assert not (tmp_path / "record.json").exists()
        stops += 1
    assert record(run, tmp_path, fresh) == undisturbed(name)
    assert stops == 4
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_corrupt_checkpoint_is_passed_over_and_the_bits_stay_the_same(fresh, undisturbed, tmp_path, capsys):
    run = METHODS["likelihood/aae"]
    training = Training(run, fresh())
    seen = []

    def progress(_):
        seen.append(training.batch)
        resumable.save_checkpoint(tmp_path / "b/checkpoints", len(seen), training.state())

    with pytest.raises(Stopped):
        training.run_epoch(progress, lambda: len(seen) == 7)
    newest = sorted((tmp_path / "b/checkpoints").glob("ckpt-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    assert record(run, tmp_path / "b", fresh) == undisturbed("likelihood/aae")
    output = capsys.readouterr().out
    assert f"checkpoint {newest.name} passed over: its hash does not match its content" in output
    assert "continuing from epoch 0, batch 6" in output


def test_a_frozen_encoder_stays_as_it_was_initialised(fresh, tmp_path):
    base = METHODS["likelihood/ex_post"]
    run = Run(base.experiment, "random", 0, base.settings.model_copy(update={"frozen_encoder": True}))
    before = Training(run, fresh()).weights()
    record(run, tmp_path, fresh)
    after = load_file(tmp_path / "model.safetensors")
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert {n for n in same if n.startswith("autoencoder.")} == {
        n for n in before if n.startswith("autoencoder.") and ".decoder." not in n
    }


def test_two_threads_give_the_same_numbers_within_rounding(fresh, tmp_path):
    """Bits are promised at equal thread counts only; sums in another order differ by rounding, which grows."""
    run = METHODS["likelihood/mmd"]
    record(run, tmp_path / "one", fresh)
    torch.set_num_threads(2)
    try:
        record(run, tmp_path / "two", fresh)
    finally:
        torch.set_num_threads(1)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)
    assert whole_files.read_json(tmp_path / "two/record.json")["threads"] == 2


# Instructions that older processors lack, switched off in torch, MKL and oneDNN: other kernels, other sums.
OLDER = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"}


def test_an_older_processors_kernels_give_the_same_numbers_within_rounding(copy, undisturbed, monkeypatch):
    """The stated tolerance across machines, with this machine's processor in the place of another one."""
    methods = ["likelihood/ae", "likelihood/vae", "likelihood/aae", "likelihood/mmd", "clustering/mmd"]
    for name, value in OLDER.items():
        monkeypatch.setenv(name, value)
    copy.run("python", "-m", "bench", "train", "config/smoke.yaml", *(f"{m}/seed0" for m in methods), "--threads", "1")
    for method in methods:
        run, (model, epochs) = METHODS[method], undisturbed(method)
        weights, history = load(model), pd.read_csv(BytesIO(epochs))
        folder = copy.folder / "results/smoke/runs" / run.id
        others, other_history = load_file(folder / "model.safetensors"), pd.read_csv(folder / "history.csv")
        assert any(not torch.equal(others[name], value) for name, value in weights.items()), (
            "the same kernels after all"
        )
        losses = [column for column in history if column != "gradient_norm"]  # which is near 0 where it settles
        pd.testing.assert_frame_equal(other_history[losses], history[losses], rtol=1e-3, atol=1e-5)
        # Before batch normalisation a bias has a gradient of rounding errors alone, and Adam makes steps of them.
        for name, value in weights.items() if run.settings.batch_norm == "none" else ():
            torch.testing.assert_close(others[name], value, rtol=1e-3, atol=1e-5)


# --- what training may see --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "semi_supervised/aae", "semi_supervised/vae", "clustering/aae", "label_informed/mmd", "reduction_2d/mmd",
        "reduction_10d/aae", "reduction_2d_unsupervised/mmd",
    ],
)  # fmt: skip
def test_the_labels_of_unlabelled_images_change_nothing(name, fresh, undisturbed, tmp_path, monkeypatch):
    run = METHODS[name]
    labelled = Training(run, fresh()).labelled
    assert (labelled is None) == (run.settings.labels == 0)
    undisturbed(name)
    # The subset is drawn evenly from the classes, which is the one use of all labels: held fixed here.
    monkeypatch.setattr("bench.train.loop.labelled_subset", lambda *_: labelled)

    def shuffled():
        dataset = fresh()
        x, y = dataset.train
        y, others = y.clone(), torch.ones(len(y), dtype=torch.bool)
        if labelled is not None:
            others[labelled] = False
        y[others] = y[others].roll(1)
        assert not torch.equal(y, dataset.train.y)
        dataset.train = datasets.Split(x, y)
        return dataset

    assert record(run, tmp_path, shuffled) == undisturbed(name)


def test_the_test_labels_do_not_reach_training_and_shuffled_they_give_chance(fresh, tmp_path):
    run = METHODS["semi_supervised/supervised"]
    longer = Run(run.experiment, run.method, 0, run.settings.model_copy(update={"epochs": 20, "width": 64}))

    def shuffled():
        dataset = fresh()
        x, y = dataset.held_back
        dataset.held_back = datasets.Split(x, y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))])
        return dataset

    assert record(longer, tmp_path / "a", fresh) == record(longer, tmp_path / "b", shuffled)

    def error(dataset, folder):
        found = EVALUATIONS["classification"](Trained(longer, dataset, folder))
        return next(m.value for m in found if m.metric == "error")

    assert error(fresh(), tmp_path / "a") < 40
    assert 80 < error(shuffled(), tmp_path / "b") < 97


def test_the_test_split_is_sealed_while_a_model_is_trained(fresh):
    training = Training(METHODS["likelihood/ae"], fresh())
    with pytest.raises(datasets.TestSplitSealed):
        _ = training.dataset.test


def test_joint_and_alternating_steps_come_from_the_schedule_alone():
    s = METHODS["reduction_2d/mmd"].settings.model_copy(update={"schedule": "joint"})
    assert steps(s) == [["reconstruction", "regularization", "classification", "separation"]]
    assert steps(s.model_copy(update={"schedule": "alternating"})) == [
        ["reconstruction", "separation"],
        ["regularization"],
        ["classification"],
    ]


def with_(name, **changes):
    """A run of the smoke config with other settings."""
    run = METHODS[name]
    return Run(run.experiment, run.method, 0, run.settings.model_copy(update=changes))


def used(optimizer, seen):
    """The rates with which an optimizer steps, as it steps."""
    step = optimizer.step
    optimizer.step = lambda: (seen.append(optimizer.lr), step())


def test_a_rate_decays_from_the_very_epoch_that_the_config_names(fresh):
    spec = schema.Optimizer(name="sgd", lr=0.5, decay={1: 0.1, 3: 0.5})
    training, seen = Training(with_("likelihood/ae", optimizers={"reconstruction": spec}, epochs=4), fresh()), []
    used(training.optimizers[0], seen)
    for _ in range(4):
        training.run_epoch(lambda _: None, lambda: False)
    batches = training.count
    expected = [0.5] * batches + [0.05] * 2 * batches + [0.025] * batches
    assert seen == pytest.approx(expected)
    assert training.rates()["reconstruction+regularization"] == pytest.approx(expected[::batches])


def test_a_cosine_falls_from_the_rate_to_its_share_of_it(fresh):
    spec = schema.Optimizer(lr=0.5, decay={"cosine": 0.02})
    rates = Training(with_("likelihood/ae", optimizers={"reconstruction": spec}, epochs=5), fresh()).rates()
    expected = [
        0.5,
        0.5 * (0.02 + 0.98 * (1 + 0.5**0.5) / 2),
        0.5 * 0.51,
        0.5 * (0.02 + 0.98 * (1 - 0.5**0.5) / 2),
        0.01,
    ]
    assert rates["reconstruction+regularization"] == pytest.approx(expected)


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_cosine_of_few_epochs_begins_and_ends_where_it_should(epochs):
    spec = schema.Optimizer(lr=0.5, decay={"cosine": 0.02})
    assert rate(spec, 0, epochs) == 0.5
    assert rate(spec, epochs - 1, epochs) == pytest.approx(0.01 if epochs > 1 else 0.5)


def test_each_step_has_the_optimizer_that_the_config_gives_it(fresh):
    optimizers = {
        "reconstruction": schema.Optimizer(name="adam", lr=0.1, momentum=0.8),
        "regularization": schema.Optimizer(name="sgd", lr=0.2, momentum=0.3),
        "classification": schema.Optimizer(name="adam", lr=0.3, momentum=0.7),
        "inner": schema.Optimizer(name="adam", lr=0.4, momentum=0.6),
    }
    training = Training(with_("semi_supervised/aae", optimizers=optimizers), fresh())
    assert [o.spec for o in training.optimizers] == list(optimizers.values())[:3]
    assert [o.spec for o in training.inner] == [optimizers["inner"]] * 2
    assert training.rates()["inner 1"] == [0.4] * training.settings.epochs


@pytest.mark.parametrize(
    ("spec", "torchs"),
    [
        (schema.Optimizer(momentum=0.8), lambda p: torch.optim.Adam(p, 0.1, betas=(0.8, 0.999), fused=True)),
        (schema.Optimizer(name="sgd"), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, fused=True)),
        (schema.Optimizer(name="sgd", momentum=0.0), lambda p: torch.optim.SGD(p, 0.1, fused=True)),
    ],
    ids=["Adam", "SGD", "SGD without momentum"],
)
def test_an_optimizer_descends_to_the_bits_of_torchs_from_a_checkpoint_too(spec, torchs):
    x = torch.randn(20, 5)
    ours, theirs = (torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Linear(4, 2)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    descent, expected = Descent(ours, spec), torchs(theirs.parameters())
    for i in range(8):
        descent.lr = expected.param_groups[0]["lr"] = 0.1 / (1 + i)
        for optimizer, model in ((descent, ours), (expected, theirs)):
            optimizer.zero_grad()
            (model[0] if i % 3 == 1 else model)(x).square().mean().backward()  # a term may leave a layer alone
            optimizer.step()
        if i == 4:
            state, descent = deepcopy(descent.state_dict()), Descent(ours, spec)
            descent.load_state_dict(state)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_a_training_imports_no_compiler_and_no_tables(tmp_path):
    copy = Checkout(tmp_path)
    copy.write("config/tiny.yaml", ALONE)
    program = (
        "import sys; from bench.__main__ import main; main(['train', 'config/tiny.yaml', '--threads', '1'])\n"
        "print(sorted({'torch._dynamo', 'sympy', 'pandas', 'scipy', 'matplotlib', 'snakemake'} & {*sys.modules}))"
    )
    assert copy.run("python", "-c", program).splitlines()[-1] == "[]"
    assert len(copy.results()) == 4


@pytest.mark.parametrize("every", [1, 4, 5])
def test_the_penalty_descends_in_every_so_manyth_batch(every, fresh, monkeypatch):
    training, calls = Training(with_("likelihood/aae", regularization_every=every), fresh()), []
    regularization = training.objective.regularization

    def counted(batch, encoded):
        calls.append(len(batch.x))
        return regularization(batch, encoded)

    monkeypatch.setattr(training.objective, "regularization", counted)
    monkeypatch.setattr("bench.train.loop.Training.probe", lambda *_: {})
    monkeypatch.setattr("bench.train.loop.gradient_norm", lambda *_: 0.0)
    training.run_epoch(lambda _: None, lambda: False)
    assert len(calls) == len(range(0, training.count, every))


def test_a_record_counts_its_steps(fresh, tmp_path):
    run = METHODS["likelihood/ae"]
    assert train_runs.record(run, tmp_path, fresh)["facts"]["steps"] == run.settings.epochs * 12


# --- failures are results ---------------------------------------------------------------------------------


def plugin(monkeypatch, body):
    """A run of a regularizer whose `forward` is `body`."""
    scope: dict = {"Regularizer": Regularizer, "torch": torch, "os": os}
    exec(f"class Broken(Regularizer):\n{textwrap.indent(textwrap.dedent(body), '    ')}", scope)
    monkeypatch.setattr("bench.train.objective.load", lambda name: scope["Broken"])
    settings = METHODS["likelihood/ae"].settings.model_copy(update={"timeout": 1.0})
    return Run("likelihood", "broken", 0, settings)


BROKEN = {
    "raises": ("def forward(self, codes, posterior): raise KeyError('z')", "failed", "KeyError: 'z'"),
    "is NaN": ("def forward(self, codes, posterior): return codes.sum() * float('nan')", "diverged", "not finite"),
    "is infinite": ("def forward(self, codes, posterior): return codes.square().sum() / 0", "diverged", "not finite"),
    "has a wrong shape": (
        "def forward(self, codes, posterior): return codes",
        "failed",
        "forward returns a tensor (100, 8)",
    ),
    "is no tensor": ("def forward(self, codes, posterior): return 'x'", "failed", "forward returns str, expected one"),
    "never ends": ("def forward(self, codes, posterior):\n    while True: pass", "timeout", "longer than 1 s"),
    "never begins": ("def __init__(self, prior):\n    while True: pass", "timeout", "longer than 1 s"),
    "wants all memory": (
        "def forward(self, codes, posterior): return torch.ones(2**44) * codes.sum()",
        "out of memory",
        "allocate",
    ),
    "exits": ("def forward(self, codes, posterior): raise SystemExit(3)", "failed", "SystemExit: 3"),
    "declares it cannot": (
        "@classmethod\ndef unsupported(cls, prior, encoder): return 'needs a moon'",
        "unsupported",
        "needs a moon",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_regularizer_is_a_record_with_status_reason_and_epoch(what, fresh, tmp_path, monkeypatch):
    body, status, reason = BROKEN[what]
    content = train_runs.record(plugin(monkeypatch, body), tmp_path, fresh)
    assert content["status"] == status
    assert reason in content["reason"]
    assert content["epoch"] == 0
    assert json.loads((tmp_path / "record.json").read_text()) == content
    assert not (tmp_path / "model.safetensors").exists()
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_divergence_is_recorded_with_its_epoch_and_history(fresh, tmp_path, monkeypatch):
    body = """
        calls = 0

        def forward(self, codes, posterior):
            self.calls += 1
            return codes.square().mean() * (float("nan") if self.calls > 15 else 1)
    """
    content = train_runs.record(plugin(monkeypatch, body), tmp_path, fresh)
    assert (content["status"], content["epoch"]) == ("diverged", 1)
    assert (tmp_path / "history.csv").read_text().count("\n") == 2


def test_the_machines_faults_are_no_results(fresh, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train_runs, "save", full)
    with pytest.raises(OSError, match="No space"):
        train_runs.record(METHODS["likelihood/ae"], tmp_path, fresh)
    assert not (tmp_path / "record.json").exists()


def test_a_failure_leaves_nothing_of_an_older_success(fresh, tmp_path, monkeypatch):
    record(METHODS["likelihood/ae"], tmp_path, fresh)
    content = train_runs.record(plugin(monkeypatch, BROKEN["raises"][0]), tmp_path, fresh)
    assert content["status"] == "failed"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoints", "record.json"]


def test_native_crashes_are_counted_by_their_traces_and_kills_are_not(tmp_path):
    """In processes of their own: two crashes and any number of kills are tried again, the third crash is the last."""
    code = (
        "import os, sys; from pathlib import Path; from bench.train.crashes import attempt\n"
        "for number in map(int, sys.argv[2:]):\n"
        "    if not os.fork():\n"  # all of one process: each by itself would import torch
        "        with attempt(Path(sys.argv[1]), 'v1'): os.kill(os.getpid(), number)\n"
        "    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)"
    )
    kill, crash, abort = map(int, (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT))
    deaths = [kill, crash, kill, abort, kill, crash, crash]
    command = [sys.executable, "-c", code, str(tmp_path), *map(str, deaths)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == [*(str(-number) for number in deaths[:-1]), "1"]
    assert "Died: Fatal Python error: Segmentation fault" in done.stderr


# --- the program ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("copy"))


def test_sigterm_writes_a_checkpoint_and_exits_143_and_the_same_bits_follow(copy, fresh, tmp_path):
    text = ALONE.replace("epochs: 2", "epochs: 100").replace("seeds: 2", "seeds: 1")
    copy.write("config/long.yaml", text.replace("name: tiny", "name: long"))
    command = ["python", "-m", "bench", "train", "config/long.yaml"]
    process = copy.start(*command, "--checkpoint-seconds", "0.2")
    runs = copy.folder / "results/long/runs"
    deadline = time.monotonic() + 120
    while not list(runs.glob("*/*/*/checkpoints/ckpt-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert "stopped as asked" in output
    assert not list(runs.glob("*/*/*/record.json"))
    output = copy.run(*command)
    assert "continuing from epoch" in output
    [run] = expand(reading.load(copy.folder / "config/long.yaml"))
    folder = runs / run.id
    interrupted = [(folder / name).read_bytes() for name in ("model.safetensors", "history.csv")]
    assert record(run, tmp_path, fresh) == interrupted


@pytest.mark.parametrize("order", ["config.yaml --threads 1 likelihood/ae", "--threads 1 config.yaml likelihood/ae"])
def test_the_runs_may_be_named_after_an_option(order, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(TINY)
    assert main(["train", *order.split()]) == 0
    records = sorted(path.parent.parent.name.split("-")[0] for path in tmp_path.glob("results/**/record.json"))
    assert records == ["ae", "ae"]


ERRORS = {
    "missing data and no network": ("dataset: digits", "dataset: mnist", r"MNIST.* the download failed .*DATA_ROOT"),
    "truncated MNIST file": ("dataset: digits", "dataset: mnist", r"train-images-idx3-ubyte: expected .*, found "),
}


@pytest.mark.parametrize("what", ERRORS)
def test_data_that_cannot_be_read_is_one_line_and_exit_2(what, tmp_path, capsys, monkeypatch):
    import re
    import urllib.error
    import urllib.request

    def offline(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.chdir(tmp_path)
    old, new, expected = ERRORS[what]
    path = tmp_path / "c.yaml"
    path.write_text(TINY.replace(old, new))
    monkeypatch.setenv("DATA_ROOT", f"{tmp_path}/data")
    if "truncated" in what:
        raw = tmp_path / "data/MNIST/raw"
        raw.mkdir(parents=True)
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
            (raw / f"{name}-ubyte").write_bytes(bytes([0, 0, 8, 3]) + bytes(100))
    assert main(["train", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert re.search(expected, lines[-1]), lines
    assert not [line for line in lines if "Traceback" in line]
    assert not list(tmp_path.glob("results/**/record.json"))


def test_a_diverging_loss_on_the_last_batch_is_no_row_of_the_history(fresh):
    run = METHODS["likelihood/ae"]
    hot = run.settings.model_copy(
        update={"optimizers": {"reconstruction": schema.Optimizer(name="sgd", lr=1e3)}, "output": "linear"}
    )
    training = Training(Run("likelihood", "ae", 0, hot), fresh())

    def five_epochs():
        for _ in range(5):
            training.run_epoch(lambda _: None, lambda: False)

    with pytest.raises(Diverged):
        five_epochs()
    assert all(abs(value) < float("inf") for row in training.history for value in row.values())
