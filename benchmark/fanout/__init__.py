"""`python -m benchmark fanout`: the items of decode, train and score side by side, on one machine or many, with Ray."""
