"""What ``tools/reproduce.py`` does: tables of rows, the steps of a row, records, reports."""
