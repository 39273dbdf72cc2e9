"""Reading of the data that users pass: sequences, data frames, targets and weights."""
