"""People and machines that sign in, and the tokens they show."""
