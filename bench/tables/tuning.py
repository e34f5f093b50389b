"""The tuning ledger.

Every trial of the config's `tuning`, the default included: its settings, its score on validation images,
its cost, and which one is chosen. Test images take no part in the choice. Free of torch.
"""

import math
from pathlib import Path

import pandas as pd
import yaml

from bench.config.schema import TUNING, Config
from bench.config.trials import changes, required, trial_name, trial_seeds
from bench.records import collect, whole_files
from bench.records.freshness import Results, read
from bench.tables.formats import Entry, Table, anchor, number, spread, table
from bench.tables.formats import seconds as duration
from bench.tables.halving import DROPPED
from bench.tables.metric_names import metric as describe
from bench.tables.tidy_table import RUN, failure, read_metrics, short


def trials(config: Config) -> list[tuple[str, str, int, str, str]]:
    """(method, name of its cell's method, number, title, settings) of every trial; number 0 is the default."""
    found = []
    for method, tried in config.tuning.trials.items():
        found.append((method, method, 0, "default", ""))
        for i, trial in enumerate(tried, 1):
            said = changes(trial)
            found.append((method, trial_name(method, i), i, trial.get("title") or said, said))
    return found


def tested(config: Config) -> str:
    """The test metric that goes with the validation metric: its name without 'validation_'."""
    return config.tuning.metric.removeprefix("validation_")


def ledger(config: Config, rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each trial, from the tidy table; `chosen` marks a method's best mean on validation images.

    A trial with a failed or dropped seed is not chosen: a setting that works sometimes is none. The default is
    judged on the seeds of the trials alone. `test` is what the chosen one is reported with, and is not looked at.
    """
    metric = config.tuning.metric
    better = -1 if describe(metric).higher_is_better is False else 1
    wanted = trial_seeds(config)
    found = []
    for method, name, number_, said, settings in trials(config):
        experiment = TUNING if number_ else config.tuning.experiment
        own = rows[(rows["experiment"] == experiment) & (rows["method"] == name) & rows["seed"].isin(wanted)]
        runs = own.drop_duplicates(RUN)
        validation, test = (own.loc[own["metric"] == m, "value"] for m in (metric, tested(config)))
        failed = runs[runs["status"] != "ok"].to_dict("records")
        found.append(
            {"method": method, "trial": said, "settings": settings, "seeds_finished": len(validation),
             "seeds": len(wanted), "validation": validation.mean(), "sd_over_seeds": validation.std(),
             "test": test.mean(), "test_sd_over_seeds": test.std(), "seconds": runs["seconds"].sum(), "chosen": False,
             "dropped": int((runs["status"] == DROPPED).sum()),
             "note": "; ".join(dict.fromkeys(map(failure, failed))) if len(runs) else "not run"}
        )  # fmt: skip
    frame = pd.DataFrame(found)
    whole = frame[frame["seeds_finished"] == frame["seeds"]]
    for _, group in whole.groupby("method", sort=False):
        frame.loc[(group["validation"] * better).idxmax(), "chosen"] = True
    return frame


def ledger_table(config: Config, frame: pd.DataFrame) -> Table:
    """The ledger as a table of the report."""
    m = describe(config.tuning.metric)
    found = []
    for r, (method, name, i, *_) in zip(frame.to_dict("records"), trials(config), strict=True):
        where = f"#{anchor(TUNING if i else config.tuning.experiment, name)}"
        score = Entry(spread(r["validation"], r["sd_over_seeds"], m.digits), value=r["validation"], bold=r["chosen"])
        ran = r["seeds_finished"] > 0
        found.append(
            [
                Entry(short(config, method), href=where),
                r["trial"],
                score if ran else Entry("–"),
                f"{r['seeds_finished']} of {r['seeds']}" + (f": {r['note']}" if r["note"] else ""),
                Entry(duration(r["seconds"]), value=r["seconds"]),
                "chosen" if r["chosen"] else "",
            ]
        )
    spent = duration(frame["seconds"].sum())
    caption = (
        f"Every setting that was tried, {len(frame)} in {spent} of training: {m.label} ({m.unit}), mean ± sd over "
        "seeds; bold is the choice, the best mean among trials of which no seed failed."
    )
    return table("ledger", caption, ["Method", "Trial", m.label, "Seeds", "Training", "Choice"], found)


def tuned_table(config: Config, frame: pd.DataFrame) -> Table:
    """Each tuned method by default and as chosen, on the test images; how much it depends on its settings."""
    m = describe(tested(config))
    found = []
    for method, own in frame.groupby("method", sort=False):
        default, chosen, scores = own.iloc[0], own[own["chosen"]], own["validation"].dropna()
        asked = own["seeds"] - own["dropped"]
        failed = int((asked - own["seeds_finished"]).sum())
        row = [Entry(short(config, method)), _score(default, m.digits)]
        if chosen.empty:
            row += [Entry("–"), "none: each trial has a failed or missing seed", Entry("–")]
        else:
            gain = (chosen.iloc[0]["test"] - default["test"]) * (-1 if m.higher_is_better is False else 1)
            row += [_score(chosen.iloc[0], m.digits), chosen.iloc[0]["trial"]]
            row += [Entry(f"{gain:+.{m.digits}f}", value=gain)]
        span = scores.max() - scores.min()
        found.append([*row, Entry(number(span, m.digits), value=span), Entry(f"{failed} of {asked.sum()}")])
    seeds, rule = int(frame["seeds"].max()), ", the worse half dropped after each seed" if config.tuning.halving else ""
    among = f"{len(frame) // frame['method'].nunique()} settings each{rule}"
    caption = (
        f"Default and tuned: {m.label} ({m.unit}) of the test images, mean ± sd over the {seeds} seeds of the trials. "
        f"Chosen on validation images among {among}; their range there. A gain is an improvement."
    )
    head = ["Method", "Default", "Tuned", "Chosen", "Gain", "Range of the settings", "Failed runs"]
    return table("tuned", caption, head, found)


def _score(row: pd.Series, digits: int) -> Entry:
    ran = not math.isnan(row["test"])
    return Entry(spread(row["test"], row["test_sd_over_seeds"], digits), value=row["test"]) if ran else Entry("–")


def chosen_settings(config: Config, frame: pd.DataFrame) -> str:
    """The chosen trials as a config's `methods:`, to be pasted into one."""
    found = {}
    for method, tried in config.tuning.trials.items():
        own = frame[frame["method"] == method].reset_index(drop=True)
        if own["chosen"].any() and (i := int(own["chosen"].idxmax())):
            found[method] = {k: v for k, v in tried[i - 1].items() if k != "title"}
    return yaml.safe_dump({"methods": found}, sort_keys=False) if found else "the defaults are the best trials\n"


def judge(path: str | Path) -> str:
    """Collect a config's trials and write their ledger; it is returned for the terminal, with what to paste.

    Raises:
        ConfigError: a bad config, or one without trials.
    """
    config = read(path)
    required(config, path)
    results = Results(config)
    collect.collect(results)
    frame = ledger(config, read_metrics(results.folder / "metrics.csv"))
    output = results.folder / "tables/tuning_ledger.csv"
    whole_files.write(output, frame.to_csv(index=False, lineterminator="\n"))
    shown = frame.drop(columns=["settings", "test", "test_sd_over_seeds"]).to_string(index=False)
    return f"{shown}\n\nchosen on validation images:\n{chosen_settings(config, frame)}ledger: {output}"
