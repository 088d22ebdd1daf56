from mmca import registry  # noqa: F401  (first: says which libraries are missing)
