"""Whatever can be known from a config is known before anything runs: a line for each mistake, all of them at once."""

import re
import subprocess
import sys

import pytest
import torch

from bench.__main__ import main
from bench.config import messages
from bench.config.reading import ConfigError, load
from bench.config.schema import Config
from bench.config.values import NO_NAMES
from tests.support.configs import extended

SETTINGS = "Valid: architecture, batch_norm, batch_size, dataset, decoder,"
SEEDS = "expected how many, 1 to 10000, or a list of seeds different from each other, 0 to 2**32 - 1"
PENALISED = "has no effect: a weight is of a latent that is penalised, classification or separation"
COUNT = "expected 'all', 0 or a multiple of the 10 classes of digits, at most 1090"
NAME = "expected text of the form '^[a-z][a-z0-9_]{0,39}$'"
TURNS = "has no effect without terms: regularization, a penalty and schedule: alternating"
MIXTURE = "experiments: {density: {latents: {z: {prior: mixture, settings: {%s}}}}}"
TUNING = "tuning: {experiment: density, seeds: %s, %s trials: {mmd: [%s]}}"
Z = "experiments.density.latents.z"

# what a file says that extends tests/support/configs.py: the beginnings of the lines that answer it
MISTAKES = {
    # --- keys and values
    "defaults: {widht: 3}": [f"defaults.widht: unknown 'widht'; did you mean 'width'? {SETTINGS}"],
    "default: {width: 3}": ["default: unknown 'default'; did you mean 'defaults'? Valid: batch_by, contro"],
    "defaults: {preset: quick, seeds: 3}": [
        "defaults.preset: 'preset' belongs to the top of the file",
        "defaults.seeds: unknown 'seeds'",
    ],
    "seeds: 2\nexperiments: {density: {seeds: 3}, classes: {seeds: 1}, clusters: {seeds: 1}, informed: {seeds: 1}}": [
        "seeds: has no effect: experiments.informed.seeds has the last word",
    ],
    "methods: {mmd: {seeds: 2}}\nexperiments: {clusters: {seeds: 3}}": [
        "experiments.clusters.seeds: has no effect: methods.mmd.seeds has the last word",
    ],
    "epochs: 3": ["epochs: 'epochs' belongs to 'defaults', to an experiment or to a method"],
    "defaults: {dataset: minst}": ["defaults.dataset: unknown 'minst'; did you mean 'mnist'? Valid: "],
    "methods: {mmd: {regularizer: mdm}}": ["methods.mmd.regularizer: unknown 'mdm'; did you mean 'mmd'? Valid: "],
    "experiments: {density: {latents: {z: {prior: gausian}}}}": [
        f"{Z}.prior: unknown 'gausian'; did you mean 'gaussian'? Valid: "
    ],
    "experiments: {density: {evaluations: [reconstructon]}}": [
        "experiments.density.evaluations.0: unknown 'reconstructon'; did you mean 'reconstruction'? Valid: "
    ],
    "defaults: {optimizers: {inner: {momentums: 0.5, name: adan}}}": [
        "defaults.optimizers.inner.name: unknown 'adan'; did you mean 'adam'? Valid: adam, sgd",
        "defaults.optimizers.inner.momentums: unknown 'momentums'; did you mean 'momentum'? Valid: decay, lr",
    ],
    "defaults: {optimizers: {clasification: {lr: 0.1}}}": [
        "defaults.optimizers.clasification: unknown 'clasification'; did you mean 'classification'? Valid: recon"
    ],
    "defaults: {penalties: joint}": ["defaults.penalties: unknown 'penalties'"],
    "defaults: {width: 0, epochs: 0}": [
        "defaults.width: expected at least 1 (found 0)",
        "defaults.epochs: expected at least 1 (found 0)",
    ],
    "defaults: {width: '16', depth: 2.0, batch_size: true}": [
        "defaults.width: expected a whole number (found '16')",
        "defaults.depth: expected a whole number (found 2.0)",
        "defaults.batch_size: expected a whole number (found True)",
    ],
    "defaults: {deterministic: 'false', frozen_encoder: 1, input_noise: '1e-3'}": [
        "defaults.frozen_encoder: expected true or false (found 1)",
        "defaults.input_noise: expected a number (found '1e-3')",
        "defaults.deterministic: expected true or false (found 'false')",
    ],
    "methods: {mmd: {weight: -1}, aae: {weight: .inf}, vae: {weight: .nan}}": [
        "methods.vae.weight: expected a finite number (found nan)",
        "methods.aae.weight: expected a finite number (found inf)",
        "methods.mmd.weight: expected at least 0 (found -1)",
    ],
    "defaults: {timeout: .inf}": ["defaults.timeout: expected a finite number (found inf)"],
    "methods: {mmd: }\ndefaults: {width: null}": ["defaults.width: expected a whole number (found None)"],
    "defaults: {optimizers: {inner: {decay: {0: 0.1}}}}": [
        "defaults.optimizers.inner.decay: expected {epoch: factor, …}, the rate's factors from these epochs on"
    ],
    "defaults: {optimizers: {inner: {decay: {cosine: 1}}}}": ["defaults.optimizers.inner.decay: expected {epoch: fact"],
    "batch_by: metod": [
        "batch_by: unknown 'metod'; did you mean 'method'? Valid: all, experiment, method, run, or a n"
    ],
    "defaults: {labels: al}": ["defaults.labels: expected how many, 0 or more, or 'all' (found 'al')"],
    # --- plug-ins' own keywords
    "methods: {mmd: {hyperparameters: {kernle: imq}}}": [
        "methods.mmd.hyperparameters.kernle: unknown 'kernle'; did you mean 'kernel'? Valid: kernel, scales, "
    ],
    "methods: {mmd: {hyperparameters: {normalise: 'false', scales: 0.5}}}": [
        "methods.mmd.hyperparameters.normalise: expected true or false (found 'false')",
        "methods.mmd.hyperparameters.scales: expected a list (found 0.5)",
    ],
    "methods: {mmd: {hyperparameters: {kernel: imqq, scales: [], statistic: w, norm: -1, backend: x}}}": [
        "methods.mmd.hyperparameters.kernel: unknown 'imqq'; did you mean 'imq'? Valid: imq, gaussian, energy",
        "methods.mmd.hyperparameters.scales: expected at least one (found [])",
        "methods.mmd.hyperparameters.statistic: unknown 'w'. Valid: u, v",
        "methods.mmd.hyperparameters.norm: expected at least 0 (found -1)",
        "methods.mmd.hyperparameters.backend: unknown 'x'. Valid: auto, dense, keops",
    ],
    "methods: {mmd: {hyperparameters: {kernel: energy, scales: [1.0]}}}": [
        "methods.mmd.hyperparameters.scales: has no effect with kernel: energy"
    ],
    "methods: {aae: {hyperparameters: {inner_steps: 1.5}}}": [
        "methods.aae.hyperparameters.inner_steps: expected a whole number (found 1.5)"
    ],
    "methods: {aae: {hyperparameters: {inner_steps: 0, width: 20001, penalty: 1000001}}}": [
        "methods.aae.hyperparameters.width: expected at most 20000 (found 20001)",
        "methods.aae.hyperparameters.inner_steps: expected at least 1 (found 0)",
        "methods.aae.hyperparameters.penalty: expected at most 1000000",
    ],
    "methods: {mmd: {regularizer: sinkhorn, hyperparameters: {blur: 0, scaling: 1.5}}}": [
        "methods.mmd.hyperparameters.blur: expected at least 0.0001 (found 0)",
        "methods.mmd.hyperparameters.scaling: expected at most 0.999 (found 1.5)",
    ],
    "methods: {mmd: {regularizer: wae_mmd, hyperparameters: {scales: [1, -1]}}}": [
        "methods.mmd.hyperparameters.scales.1: expected greater than 0 (found -1)"
    ],
    # --- priors
    "experiments: {density: {latents: {z: {settings: {scale: -1}}}}}": [
        f"{Z}.settings.scale: expected at least 0.001 (found -1)"
    ],
    "experiments: {density: {latents: {z: {settings: {scale: 1e-12}}}}}": [f"{Z}.settings.scale: expected at least 0"],
    "experiments: {informed: {latents: {z: {dim: 3, settings: {width: 0, components: 2.5, scal: 1}}}}}": [
        "experiments.informed.latents.z.settings.width: expected at least 0.001 (found 0)",
        "experiments.informed.latents.z.settings.components: expected a whole number (found 2.5)",
        "experiments.informed.latents.z.settings.scal: unknown 'scal'. Valid: components, radius, length, width",
        "experiments.informed.latents.z.dim: expected at most 2 (found 3)",
    ],
    MIXTURE % "means: [[0, 0], [1, 1]]": [f"{Z}.settings.covariances: missing; it has no default"],
    MIXTURE % "means: [[0, 0], [1, 1]], covariances: [1, 1], weights: [0.5, -0.5]": [
        f"{Z}.settings.weights.1: expected greater than 0 (found -0.5)"
    ],
    MIXTURE % "means: [[0, 0], [1.0e+30, 1]], covariances: [1, 1]": [
        f"{Z}.settings: means: expected numbers from -1000 to 1000"
    ],
    MIXTURE % "means: [[2, 1], [2, 1]], covariances: [0, 0]": [
        f"{Z}.settings: all components are at one point, which gives no unit of length"
    ],
    MIXTURE % "means: [[0, 0], [1, 1]], covariances: [1, [[1, 2], [2, 1]]]": [
        f"{Z}.settings: covariances.1: expected 0, or positive definite and within"
    ],
    "experiments: {density: {latents: {z: {prior: one_hot}}}}": [
        f"{Z}.prior: prior: one_hot needs head: categorical (found continuous)"
    ],
    "experiments: {clusters: {latents: {y: {prior: gaussian}}}}": [
        "experiments.clusters.latents.y.prior: prior: gaussian needs head: continuous (found categorical)"
    ],
    "experiments: {clusters: {latents: {y: {dim: 1}}}}": [
        "experiments.clusters.latents.y.dim: expected at least 2 (found 1)",
    ],
    "experiments: {clusters: {latents: {z: {head: categorical, prior: one_hot}}}}": [
        "experiments.clusters.latents.z.head: one latent can have head: categorical (found y, z)"
    ],
    "experiments: {informed: {latents: {z: {settings: {components: 7}}}}}": [
        "experiments.informed.latents.z.settings: given: label shares out the components to the 10 classes of digits "
        "(found 7 components of the prior petals)"
    ],
    "experiments: {density: {latents: {z: {given: label}}}}": [
        f"{Z}.given: given: label needs labels (found labels: 0)",
        f"{Z}.given: given: label shares out the components to the 10 classes of digits (found 1 component of",
    ],
    "experiments: {density: {latents: {type: {dim: 2}}}}": [
        "experiments.density.latents.type: expected text of the form '^[a-z][0-9]{0,3}$' (found 'type')"
    ],
    "experiments: {density: {latents: {w: {dim: 2}}}}": [
        "experiments.density.latents.w: has no effect: the decoder does not read it"
    ],
    # --- labels, classes and images
    "experiments: {classes: {labels: 5}}": [f"experiments.classes.labels: {COUNT} (found 5)"],
    "experiments: {classes: {labels: 1190}}": [f"experiments.classes.labels: {COUNT} (found 1190)"],
    "experiments: {classes: {labels: '100'}}": ["experiments.classes.labels: expected how many, 0 or more, or 'all' ("],
    "experiments: {classes: {labels: 0}}": [
        "experiments.classes.labels: terms: classification needs labels (found labels: 0)"
    ],
    "experiments: {density: {labels: 100}}": [
        "experiments.density.labels: has no effect without terms: classification, given: label or a decoder of the"
    ],
    "experiments: {density: {decoder: [z, label]}}": [
        "experiments.density.decoder: a decoder of the label needs labels: all (found 0)"
    ],
    "experiments: {density: {decoder: [z, w]}}": ["experiments.density.decoder: unknown 'w'. Valid: z, label"],
    "experiments: {density: {decoder: [z, z]}}": ["experiments.density.decoder: 'z' stands twice (found ['z', 'z'])"],
    "experiments: {density: {dataset: tfd, labels: all, decoder: [z, label]}}": [
        "experiments.density.decoder: a decoder of the label: not all training images of tfd have one"
    ],
    "experiments: {classes: {latents: {y: {dim: 3}}}}": [
        "experiments.classes.latents.y.dim: terms: classification needs the 10 classes of digits in y (found dim: 3)"
    ],
    "experiments: {classes: {latents: {y: {head: continuous, prior: gaussian}}}}": [
        "experiments.classes.latents.y.head: terms: classification needs a latent y with head: categorical (found cont"
    ],
    "defaults: {batch_size: 2000}": ["defaults.batch_size: digits has 1197 training images (found 2000)"],
    "defaults: {regularization_batch: 1198}": [
        "defaults.regularization_batch: digits has 1197 training images (found 1198)"
    ],
    "methods: {mmd: {regularization_every: 13}}": [
        "methods.mmd.regularization_every: an epoch has 12 steps (found 13)"
    ],
    # --- pairs that contradict each other
    "defaults: {loss: bernoulli, output: linear}": [
        "defaults.loss: loss: bernoulli needs output: sigmoid (found linear)"
    ],
    "defaults: {loss: bernoulli, normalisation: per_pixel}": [
        "defaults.loss: loss: bernoulli needs pixels from 0 to 1, normalisation: none (found per_pixel)",
        "defaults.normalisation: output: sigmoid needs pixels from 0 to 1, normalisation: none (found per_pixel)",
    ],
    "experiments: {density: {merge: add}}": [
        "experiments.density.merge: merge: add needs decoder: [a categorical latent or label, a continuous latent] ("
    ],
    "experiments: {clusters: {merge: add, decoder: [z, y]}}": ["experiments.clusters.merge: merge: add needs decoder"],
    "experiments: {clusters: {terms: [reconstruction, separation]}}": [
        "experiments.clusters.terms: terms: separation needs merge: add (found concatenate)"
    ],
    "methods: {mmd: {frozen_encoder: true}}": [
        "methods.mmd.frozen_encoder: frozen_encoder needs schedule: joint and terms with reconstruction and without"
    ],
    # --- measurements
    "experiments: {density: {evaluations: [reconstruction, classification, clustering]}}": [
        "experiments.density.evaluations: evaluations: classification needs terms: classification, which ties y",
        "experiments.density.evaluations: evaluations: clustering needs a latent y with head: categorical",
    ],
    "experiments: {classes: {evaluations: [ais]}}": [
        "experiments.classes.evaluations: evaluations: ais needs one latent, continuous, alone in the decoder (found y"
    ],
    "experiments: {density: {evaluations: [components]}}": [
        "experiments.density.evaluations: evaluations: components needs a continuous latent whose prior has a multiple"
    ],
    "experiments: {density: {evaluations: [probes, ais], latents: {z: {prior: mixture, settings: "
    "{means: [[0, 0], [1, 1]], covariances: [1, 0]}}}}}": [
        "experiments.density.evaluations: evaluations: ais needs priors with a density"
    ],
    "experiments: {density: {terms: [regularization]}}": [
        "experiments.density.terms: evaluations: likelihood needs terms: reconstruction, by which a decoder learns"
    ],
    "experiments: {density: {evaluations: [decomposition], methods: [mmd]}}": [
        "experiments.density.evaluations.decomposition: decomposition measures nothing without encoder: gaussian and"
    ],
    "experiments: {density: {evaluations: []}}": ["experiments.density.evaluations: expected at least one (found [])"],
    "experiments: {new: {methods: [ae], latents: {z: {dim: 2}}, decoder: [z]}}": [
        "experiments.new.evaluations: nothing is measured. Valid: reconstruction, likelihood, classification, "
    ],
    "experiments: {density: {evaluations: [likelihood, likelihood]}}": [
        "experiments.density.evaluations: 'likelihood' stands twice (found ['likelihood', 'likelihood'])"
    ],
    "experiments: {density: {parzen_samples: [500, 15000]}}": [
        "experiments.density.parzen_samples: expected at most 10000 first, then multiples of it (found 500, 15000)"
    ],
    "experiments: {density: {parzen_samples: [20000, 500]}, classes: {parzen_samples: [500]}}": [
        "experiments.density.parzen_samples: expected numbers in ascending order, each once (found [20000, 500])",
        "experiments.classes.parzen_samples: has no effect without evaluations: likelihood",
    ],
    "experiments: {density: {milestones: [2, 50]}, clusters: {milestones: [1]}}": [
        "experiments.density.milestones.50: 50 is beyond the 4 epochs",
        "experiments.clusters.milestones.1: has no effect without evaluations: likelihood or classification",
    ],
    "experiments: {density: {milestones: [2, 2]}}": [
        "experiments.density.milestones: expected numbers in ascending order, each once (found [2, 2])"
    ],
    # --- keys that nothing would read
    "defaults: {weights: {reconstruction: 1000, regularization: 0}}": [
        f"defaults.weights.reconstruction: {PENALISED}",
        f"defaults.weights.regularization: {PENALISED}",
    ],
    "experiments: {density: {weights: {y: 2, classification: 3}}}": [
        f"experiments.density.weights.y: {PENALISED}",
        f"experiments.density.weights.classification: {PENALISED}",
    ],
    "methods: {mmd: {noise_dim: 3, posterior_std: 0.3}}": [
        "methods.mmd.noise_dim: has no effect without encoder: universal",
        "methods.mmd.posterior_std: has no effect without encoder: gaussian and a continuous latent",
    ],
    "defaults: {separation_margin: 4}": ["defaults.separation_margin: has no effect without terms: separation"],
    "methods: {vae: {regularization_batch: 200, regularization_every: 2}}": [
        f"methods.vae.regularization_batch: {TURNS}",
        f"methods.vae.regularization_every: {TURNS}",
    ],
    "methods: {vae: {optimizers: {regularization: {lr: 0.1}, inner: {lr: 0.1}}}}": [
        "methods.vae.optimizers.regularization: has no effect: with schedule: joint it is reconstruction that count",
        "methods.vae.optimizers.inner: has no effect: with schedule: joint it is reconstruction that count",
    ],
    "methods: {ae: {weight: 5, schedule: alternating, weights: {z: 2}}}": [
        "methods.ae.weight: has no effect without a penalty and an encoder that learns",
        "methods.ae.schedule: has no effect without terms that take turns, and a penalty if regularization is one",
        "methods.ae.weights.z: " + PENALISED,
    ],
    "methods: {mmd: {optimizers: {inner: {lr: 0.1}}}}": ["methods.mmd.optimizers.inner: has no effect: with schedule"],
    "methods: {aae: {optimizers: {inner: {decay: {50: 0.1}}}}}": [
        "methods.aae.optimizers.inner.decay.50: is beyond the 4 epochs"
    ],
    "experiments: {clusters: {terms: [reconstruction], weights: {y: 2}, methods: {mmd: {schedule: joint}}}}": [
        f"experiments.clusters.weights.y: {PENALISED}"
    ],
    "methods: {idle: {regularizer: mmd}}": ["methods.idle: has no effect: no experiment has it among its methods"],
    "defaults: {evaluations: [reconstruction]}": [
        "defaults.evaluations: has no effect: experiments.density says otherwise"
    ],
    "experiments: {density: {schedule: joint, methods: [aae, mmd]}}": [
        "experiments.density.schedule: has no effect: methods.aae says otherwise"
    ],
    "experiments: {density: {methods: {mmd: {title: A}}}}": ["experiments.density.methods.mmd.title: unknown 'title'"],
    # --- seeds, methods, names and titles
    "seeds: [1, 1]": [f"seeds: {SEEDS} (found [1, 1])"],
    "seeds: 2.0": [f"seeds: {SEEDS} (found 2.0)"],
    "seeds: []": [f"seeds: {SEEDS} (found [])"],
    "seeds: [-1]": [f"seeds: {SEEDS} (found [-1])"],
    "experiments: {density: {seeds: 0, methods: {ae: {seeds: '2'}}}, classes: {seeds: [3, 3]}}": [
        f"experiments.density.seeds: {SEEDS} (found 0)",
        f"experiments.density.methods.ae.seeds: {SEEDS} (found '2')",
        f"experiments.classes.seeds: {SEEDS} (found [3, 3])",
    ],
    "methods: {mmd: {seeds: -2}}": [f"methods.mmd.seeds: {SEEDS} (found -2)"],
    "experiments: {density: {methods: [ae, ae, mmdd]}}": [
        "experiments.density.methods: 'ae' stands twice (found ['ae', 'ae', 'mmdd'])",
        "experiments.density.methods: unknown 'mmdd'; did you mean 'mmd'? Valid: ae, vae, aae, mmd",
    ],
    "experiments: {density: {methods: []}}": ["experiments.density.methods: expected at least one (found [])"],
    "experiments: {density: {methods: mmd}}": [
        "experiments.density.methods: expected a list of methods, or of method: "
    ],
    "experiments: {density: {methods: [[mmd]]}}": [
        "experiments.density.methods: expected a list of methods, or of met"
    ],
    "experiments: {density: {terms: [], decoder: []}}": [
        "experiments.density.decoder: expected at least one (found [])",
        "experiments.density.terms: expected at least one (found [])",
    ],
    "only: []": ["only: expected at least one (found [])"],
    "only: [densty]": ["only: unknown 'densty'; did you mean 'density'? Valid: density, classes, clusters, informed"],
    "methods: {'null': {regularizer: mmd}}": ["methods.null: 'null' is read back as something else than a name; ch"],
    "experiments: {'nan': {methods: [ae], latents: {z: {dim: 2}}, decoder: [z], evaluations: [reconstruction]}}": [
        "experiments.nan: 'nan' is read back as something else than a name; choose another"
    ],
    "methods: {null: {regularizer: mmd}, UPPER: {regularizer: mmd}, 1: {regularizer: mmd}}": [
        "methods.None: expected text (found None)",
        f"methods.UPPER: {NAME} (found 'UPPER')",
        "methods.1: expected text (found 1)",
    ],
    'methods: {mmd: {title: "two\\nlines"}}': [
        "methods.mmd.title: expected text on one line, without control characters (found 'two\\nlines')"
    ],
    "methods: {mmd: {title: ' '}, aae: {title: 3}}": [
        "methods.aae.title: expected text (found 3)",
        "methods.mmd.title: expected text (found ' ')",
    ],
    "experiments: {density: {title: A}, classes: {title: ' a '}}": [
        "experiments.classes.title: ' a ' is that of 'density' too"
    ],
    "methods: {mmd: {title: The same}, aae: {title: The same}}": ["methods.mmd.title: 'The same' is that of 'aae' too"],
    "methods: {mmd: {title: 'a  B'}, aae: {title: A b, short: x}, vae: {short: X}}": [
        "methods.aae.short: 'x' is that of 'vae' too",
        "methods.mmd.title: 'a  B' is that of 'aae' too",
    ],
    "methods: {mmd: {title: Aae}}": ["methods.mmd.title: 'Aae' is that of 'aae' too"],
    "methods: {mmd: {family: adverserial}}": [
        "methods.mmd.family: unknown 'adverserial'; did you mean 'adversarial'? Valid: adversarial, closed form,"
    ],
    # --- trials
    TUNING % ("2", "metric: nosuch,", "{weight: 2}"): [
        "tuning.metric: unknown 'nosuch'. Valid: validation_log_likelihood, validation_error"
    ],
    TUNING % ("[0]", "metric: validation_error,", "{weight: 2}"): [
        "tuning.metric: 'mmd' of 'density' does not measure 'classification'",
        "tuning.trials.mmd.0.evaluations: does not measure 'classification', which the choice is by",
    ],
    TUNING % ("[0, 7]", "", "{weight: 2}"): [
        "tuning.seeds: the default, 'mmd' of 'density', has no seed 7 to be compared with"
    ],
    TUNING % ("1", "", "{weight: 1}, {wieght: 3}, {seeds: 3}"): [
        "tuning.trials.mmd.1.wieght: unknown 'wieght'; did you mean 'weight'? Valid:",
        "tuning.trials.mmd.2.seeds: unknown 'seeds'",
    ],
    TUNING % ("1", "", "{weight: 1}, {loss: bernoulli, output: linear}, {width: 9}, {width: 9}"): [
        "tuning.trials.mmd.0: the same settings as the default",
        "tuning.trials.mmd.1.loss: loss: bernoulli needs output: sigmoid (found linear)",
        "tuning.trials.mmd.3: the same settings as trial 2",
    ],
    TUNING % ("1", "", "{title: A, width: 9}, {title: a, width: 10}"): [
        "tuning.trials.mmd.1.title: that of trial 0 too"
    ],
    "only: [density, tuning]\n" + TUNING % ("1", "settings: {evaluations: [latent]},", "{weight: 2}"): [
        "tuning.trials.mmd.0.evaluations: does not measure 'likelihood', which the choice is by"
    ],
    "only: [density]\n" + TUNING % ("1", "", "{weight: 2}"): ["tuning: has no effect: 'only' leaves out 'tuning'"],
    "tuning: {experiment: densty, trials: {mmd: [{weight: 2}], vae: []}}": [
        "tuning.trials: every method must have as many trials as the others, at least one; found mmd 1, vae 0 (found"
    ],
    "tuning: {experiment: densty, trials: {mmd: [{weight: 2}]}}": [
        "tuning.experiment: unknown 'densty'; did you mean 'density'? Valid: density, classes, clusters, informed",
    ],
    # --- YAML
    "seeds: 2\nseeds: 3": [None, "c.yaml:4: duplicate key 'seeds'"],
    "defaults: {<<: 3}": [None, "c.yaml:3: expected a mapping or list of mappings for merging, but found scalar"],
    "a:\tb\n\tc: 1": [None, "c.yaml:3: found character '\\t' that cannot start any token"],
    "x: !!python/object/apply:os.mkdir [exploded]": [None, "c.yaml:3: could not determine a constructor for the tag"],
    "? [1, 2]\n: 3": [None, "c.yaml:3: keys must be plain"],
    "methods: &m\n  mmd: {hyperparameters: *m}": [None, "c.yaml:3: found unconstructable recursive node"],
    # --- a section of another kind takes no others with it
    "defaults: [1]": ["defaults: expected settings, {key: value, …} (found [1])"],
    "methods: [mmd]": ["methods: expected settings, {key: value, …} (found ['mmd'])"],
    "methods: {mmd: mmd}\nseeds: 0": [
        f"seeds: {SEEDS} (found 0)",
        "methods.mmd: expected settings, {key: value, …} (found 'mmd')",
    ],
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text.split("\n")[0][:70])
def test_a_line_for_each_mistake_and_no_other(tmp_path, text):
    lines, expected = extended(tmp_path, text), MISTAKES[text]
    expected = expected[1:] if expected[0] is None else [f"c.yaml: {line}" for line in expected]
    assert isinstance(lines, list), "the config was accepted"
    assert len(lines) == len(expected), lines
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning)
        assert len(line) < 1000


SOUND = [
    "methods: {mmd: {regularizer: sinkhorn, hyperparameters: {blur: 1e-3}}}",
    "defaults: {optimizers: {reconstruction: {lr: 1e-3, decay: {cosine: 0.02, 2: 0.1}}}}",
    "methods: {a: &a {regularizer: mmd}, b: {<<: *a, title: R, short: r, family: KL}}\n"
    "experiments: {density: {methods: [a, b]}}",
    MIXTURE % "means: [[0, 0], [3, 0]], covariances: [1, [[0.5, 0], [0, 0.1]]], weights: [0.25, 0.75]",
    "methods: {mmd: {title: '$x_{$ & 50 % \"a\", b <c> 中'}}",
    "experiments: {classes: {labels: all}}",
    "defaults: {timeout: 3, deterministic: false}\nbatch_by: 3\nseeds: [5, 3]",
    "experiments: {density: {methods: {mmd: {seeds: 3, weight: 0}, ae: }, schedule: joint}}\nmethods: {mmd: {}}",
    "experiments: {density: {encoder: deterministic, weights: {z: 2}, milestones: [1, 4], parzen_samples: [9, 20000]}}",
    "only: [density]\nexperiments: {classes: {labels: 5}}",
    "experiments: {clusters: {latents: {y: {dim: 2}}}}",
    "methods: {aae: {hyperparameters: {inner_steps: 1, width: 20000, penalty: 1000000}}}",
]


@pytest.mark.parametrize("text", SOUND, ids=range(len(SOUND)))
def test_what_has_an_effect_is_accepted(tmp_path, text):
    assert isinstance(extended(tmp_path, text), Config)


def test_all_mistakes_come_at_once_and_the_file_of_each_is_named(tmp_path):
    (tmp_path / "middle.yaml").write_text("extends: base.yaml\ndefaults: {width: wide}\nmethods: {mmd: {weight: -1}}\n")
    lines = extended(tmp_path, "seeds: -1\n")
    path = tmp_path / "c.yaml"
    path.write_text(path.read_text().replace("base.yaml", "middle.yaml") + "experiments: {density: {labels: 100}}\n")
    with pytest.raises(ConfigError) as error:
        load(path)
    found = str(error.value).replace(f"{tmp_path}/", "").splitlines()
    assert [line[:40] for line in found] == [
        f"c.yaml: seeds: {SEEDS}"[:40],
        "middle.yaml: defaults.width: expected a whole number"[:40],
        "middle.yaml: methods.mmd.weight: expected at least"[:40],
        "c.yaml: experiments.density.labels: has no effect"[:40],
    ]
    assert lines == [f"c.yaml: seeds: {SEEDS} (found -1)"]


def test_what_an_extended_file_says_may_serve_other_configs(tmp_path):
    assert isinstance(extended(tmp_path, "defaults: {noise_dim: 3}\nmethods: {idle: {weight: 2}}\n"), list)
    (tmp_path / "grandchild.yaml").write_text("extends: c.yaml\nname: c\n")
    load(tmp_path / "grandchild.yaml")


def test_a_file_to_extend_that_is_not_there_is_named_with_the_one_that_extends_it(tmp_path):
    (tmp_path / "child.yaml").write_text("extends: nope.yaml\nname: child\n")
    with pytest.raises(
        ConfigError, match=r"/child\.yaml: extends: expected the name of a file .*, found 'nope\.yaml'$"
    ):
        load(tmp_path / "child.yaml")


def test_names_that_files_and_modules_have_already_are_those_that_are_refused():
    assert not [name for name in dir(torch.nn.ModuleDict()) if re.fullmatch("[a-z][0-9]*", name)]  # a latent's name
    assert {"null", "nan", "na", "none", "true", "inf"} <= NO_NAMES


def test_reading_needs_no_torch():
    code = (
        "import sys; from bench.config.reading import load; from bench.config.runs import expand;"
        "expand(load('config/mnist.yaml')); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_programs_print_the_lines_and_exit_with_2(tmp_path, capsys):
    extended(tmp_path, "defaults: {epochs: 0}")
    assert main(["train", str(tmp_path / "c.yaml")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/c.yaml: defaults.epochs: expected at least 1 (found 0)\n"


def test_a_key_that_is_a_word_of_pydantics_keeps_its_place():
    assert messages.where(("experiments", "list", "epochs")) == "experiments.list.epochs"
    assert messages.where(("seeds", "list[constrained-int]", 0)) == "seeds.0"
