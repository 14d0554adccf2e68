"""The rules, as plain Python: no Django, no input or output, no clock."""
