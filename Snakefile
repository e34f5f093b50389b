# config -> train -> evaluate -> collect -> report
#
# What is up to date is decided by content (bench/records/snakemake_jobs.py), not by file times: the name of the file
# that says a job is done holds a hash of all that its results depend on. Hence all inputs are
# ancient. The programs skip runs that are up to date, so an interrupted batch goes on where it was.

import sys

from snakemake.utils import min_version

from bench.config.reading import ConfigError
from bench.records.snakemake_jobs import Jobs
from bench.records.whole_files import DiskFull

min_version("9.27")

try:
    JOBS = Jobs(workflow.configfiles, config)
    if workflow.is_main_process:
        JOBS.prepare()
        if holder := JOBS.holder():
            print(
                f"{JOBS.results.folder}: a living Snakemake works on it, {holder}",
                file=sys.stderr,
            )
            if "--unlock" in sys.argv:
                raise SystemExit(75)
except (ConfigError, DiskFull) as error:
    # A user's mistake deserves its message, not a traceback through this file.
    print(error, file=sys.stderr)
    raise SystemExit(2) from None

OUT = str(JOBS.results.folder)
CONFIG = str(JOBS.file)


# Built from latentbench.def; used where Snakemake is told to: --software-deployment-method apptainer
container: "latentbench.sif"


onstart:
    JOBS.hold()


wildcard_constraints:
    batch="|".join(map(re.escape, JOBS.batches)),
    version="[0-9a-f]{12}",


localrules:
    all,
    collect,
    tune,
    report,


rule all:
    input:
        JOBS.done["results", "report"],


rule train:
    """Train the stale runs of a batch; the others are left as they are."""
    output:
        touch(f"{OUT}/jobs/{{batch}}.train-{{version}}.json"),
    log:
        f"{OUT}/logs/{{batch}}.train-{{version}}.log",
    # Few long jobs: trainings first, or the last of them is waited for alone. Of many, numbers soon are worth more.
    priority: int(isinstance(JOBS.config.batch_by, int))
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
        runtime=240,
        attempt=lambda wildcards, attempt: attempt,
    params:
        config=CONFIG,
        runs=lambda wildcards: JOBS.selection(wildcards.batch),
    message:
        "train {wildcards.batch}"
    # exec: who ends the job ends the program, which then writes its checkpoint.
    shell:
        "export LATENTBENCH_ATTEMPT={resources.attempt}; exec python -m bench train {params.config:q} {params.runs:q} --threads {threads} --log {log:q}"


rule evaluate:
    """Measure the trained models of a batch, and store their codes."""
    input:
        lambda wildcards: ancient(JOBS.done[wildcards.batch, "train"]),
    output:
        touch(f"{OUT}/jobs/{{batch}}.evaluate-{{version}}.json"),
    log:
        f"{OUT}/logs/{{batch}}.evaluate-{{version}}.log",
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=240,
        attempt=lambda wildcards, attempt: attempt,
    params:
        config=CONFIG,
        runs=lambda wildcards: JOBS.selection(wildcards.batch),
    message:
        "evaluate {wildcards.batch}"
    shell:
        "export LATENTBENCH_ATTEMPT={resources.attempt}; exec python -m bench evaluate {params.config:q} {params.runs:q} --threads {threads} --log {log:q}"


rule controls:
    """Rows that need no training: training images, centroids and the like in the place of a model."""
    output:
        touch(JOBS.done["results", "controls"]),
    log:
        f"{OUT}/logs/controls.log",
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=CONFIG,
    # The rows are no output: Snakemake would delete them, with those that are still up to date.
    shell:
        "exec python -m bench evaluate {params.config:q} --controls --threads {threads} --log {log:q}"


rule collect:
    """All numbers of all runs in the files that git keeps, which are no outputs: Snakemake would delete them first."""
    input:
        [ancient(JOBS.done[batch, "evaluate"]) for batch in JOBS.batches],
        ancient(JOBS.done["results", "controls"]),
    output:
        touch(JOBS.done["results", "collect"]),
    log:
        f"{OUT}/logs/collect.log",
    retries: 0  # what fails once fails again: there is no checkpoint to go on from
    params:
        config=CONFIG,
    shell:
        "exec python -m bench collect {params.config:q} --log {log:q}"


rule tune:
    """The trials of the config's `tuning`; `latentbench tune` chooses among them, too."""
    input:
        [ancient(JOBS.done[batch, "evaluate"]) for batch in JOBS.tried],


rule report:
    """Tables, figures and the report page, from the tidy table and the stored codes."""
    input:
        ancient(JOBS.done["results", "collect"]),
    output:
        touch(JOBS.done["results", "report"]),
    log:
        f"{OUT}/logs/report.log",
    retries: 0
    threads: 8
    params:
        config=CONFIG,
    shell:
        "exec python -m bench report {params.config:q} --jobs {threads} --log {log:q}"
