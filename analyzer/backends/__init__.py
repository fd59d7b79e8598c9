"""Detectors and attribute models behind two protocols; `choose` picks them by what is mounted."""
