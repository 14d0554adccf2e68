"""Templates, the gate, delivery and the carriers."""
