"""Getting datasets ready for training: one module per dataset, used by ``tools/prepare_data.py``.

A dataset module offers ``HELP``, ``add_options(parser)``, ``prepare(options)`` and
``check(options)``, and is entered in ``DATASETS`` of the tool. The functions raise
:class:`mmca.dataprep.common.PrepareError` when the user has to act.
"""
