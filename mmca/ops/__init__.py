"""Coordinate attention: the formula (:mod:`~mmca.ops.reference`), a layer of it, and fast kernels.

Imports torch alone, so that all of it also runs, and is tested, without the OpenMMLab libraries.
"""
