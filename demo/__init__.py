"""The demo: a clinic that never was, and its story."""
