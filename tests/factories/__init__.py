"""Makes what tests need through the product's own operations."""
