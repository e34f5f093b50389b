# config -> train -> evaluate -> collect -> tables, figures -> report
#
# What is up to date is decided by content (bench/runs.py), not by file times: a fresh clone with
# committed results has nothing to train, and an edited plug-in makes its own runs stale. A stale
# batch gets an input that does not exist yet; an up-to-date one has `ancient` inputs only.

import json
import sys

from snakemake.utils import min_version

from bench.config import ConfigError
from bench.jobs import Jobs

min_version("9.27")

try:
    JOBS = Jobs(workflow.configfiles, config)
except ConfigError as error:
    # A user's mistake deserves its message, not a traceback through this file.
    print(error, file=sys.stderr)
    raise SystemExit(2) from None

OUT = str(JOBS.results.folder)
CONFIG = f"{OUT}/jobs/config-{JOBS.digest}.json"


def stage_inputs(stage, before=None):
    """The input function of a stage: the marker of what it must be of, and the stage before."""

    def inputs(wildcards):
        batch = wildcards.batch
        marker = JOBS.marker(batch, stage)
        previous = [f"{OUT}/jobs/{batch}.{before}.json"] if before else []
        if JOBS.stale(batch, stage):
            return [marker, *previous]
        return [ancient(p) for p in ([marker] if exists(marker) else []) + previous]

    return inputs


wildcard_constraints:
    batch="|".join(map(re.escape, JOBS.batches)),
    experiment="|".join(JOBS.config.experiments),


localrules:
    config,
    stale,
    collect,


rule all:
    input:
        f"{OUT}/report.html",


rule config:
    """The config with all that it extends, as one file that every job reads."""
    output:
        CONFIG,
    params:
        configfile=JOBS.configfile,
        overrides=json.dumps(JOBS.overrides, sort_keys=True),
    log:
        f"{OUT}/logs/config.log",
    shell:
        "python -m bench.jobs {params.configfile:q} {params.overrides:q} {output} 2> {log}"


rule stale:
    """Marks what a batch is about to be made of: settings, code, packages and data, as a hash."""
    output:
        touch(OUT + "/jobs/stale/{marker}"),


rule train:
    """Train the stale runs of a batch; the others are left as they are."""
    input:
        stage_inputs("train"),
        config=ancient(CONFIG),
    output:
        OUT + "/jobs/{batch}.trained.json",
    params:
        runs=lambda wildcards: wildcards.batch.replace(".", "/"),
    log:
        OUT + "/logs/{batch}.train.log",
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
        runtime=240,
    message:
        "train {wildcards.batch}"
    shell:
        "python -m bench.train {input.config} {params.runs} --threads {threads} --done {output} > {log} 2>&1"


rule evaluate:
    """Measure the trained models of a batch, and store their codes."""
    input:
        stage_inputs("evaluate", "trained"),
        config=ancient(CONFIG),
    output:
        OUT + "/jobs/{batch}.evaluated.json",
    params:
        runs=lambda wildcards: wildcards.batch.replace(".", "/"),
    log:
        OUT + "/logs/{batch}.evaluate.log",
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=240,
    message:
        "evaluate {wildcards.batch}"
    shell:
        "python -m bench.evaluate {input.config} {params.runs} --threads {threads} --done {output} > {log} 2>&1"


rule collect:
    """All numbers of all runs in one tidy table."""
    input:
        expand(OUT + "/jobs/{batch}.evaluated.json", batch=JOBS.batches),
        config=ancient(CONFIG),
    output:
        f"{OUT}/metrics.csv",
    log:
        f"{OUT}/logs/collect.log",
    shell:
        "python -m bench.collect {input.config} {output} > {log} 2>&1"


rule report:
    """Tables, figures and the report page, from the tidy table and the stored codes."""
    input:
        metrics=rules.collect.output[0],
        config=ancient(CONFIG),
    output:
        f"{OUT}/report.html",
    log:
        f"{OUT}/logs/report.log",
    shell:
        "python -m bench.report {input.config} {input.metrics} {output} > {log} 2>&1"
