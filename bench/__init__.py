"""Measured figures: every entry times a part against a named baseline in the same run."""
