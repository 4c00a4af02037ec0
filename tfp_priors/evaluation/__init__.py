"""Measures of a model; they take functions and arrays, never a model class."""
