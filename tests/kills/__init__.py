"""Workers that are killed at random while they send: nobody hears twice, nothing is lost."""
