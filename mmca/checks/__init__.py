"""What is looked at in a user's config and data before a run.

A check is a function ``(cfg, loaders) -> problems``: a config, the names of the dataloaders that
the run uses, and one line for each problem that names the file, the entry in it, and what to do.
:mod:`mmca.checks.run` holds the table of all checks.
"""
