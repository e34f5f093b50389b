"""The benchmark: runs, data, model, training, evaluation and reports."""
