"""Figures, tables and animations: of result files, and of plain arrays."""
