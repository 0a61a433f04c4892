"""Tests of weights files of other libraries."""
