"""Carriers translate between Accord and whoever transports a message. They decide nothing."""
