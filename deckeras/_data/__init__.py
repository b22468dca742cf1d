"""Rows, their checks, batches and seeds."""
