"""Captions of the training studies: sentences, prompted form, normal or abnormal, filter, pair label."""
