"""Datasets for a fit in energy and position: cubes of single runs, and their sums."""
