"""How a patient wants to be contacted. Preferences only ever narrow what consent permits."""
