"""The catalogue of tables: what is published, which config each row is, how a table is printed."""

from .catalogue import CLASSIFIER, DEEPLAB, SSDLITE, TABLES, Method, Metric, Table
from .rows import Row, UnknownRowError, all_rows, choose_rows, find_row, find_run, runs

__all__ = [
    'CLASSIFIER',
    'DEEPLAB',
    'SSDLITE',
    'TABLES',
    'Method',
    'Metric',
    'Row',
    'Table',
    'UnknownRowError',
    'all_rows',
    'choose_rows',
    'find_row',
    'find_run',
    'runs',
]
