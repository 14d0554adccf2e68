"""Programmes: what is sent, counted from which occasion, approved by whom, and whom it reaches."""
