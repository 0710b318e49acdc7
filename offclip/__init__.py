"""OFF-CLIP: off-diagonal term loss and sentence-level text filter for anybody's CLIP.

The objective needs torch alone; the sentence classifier needs scikit-learn. Knows no dataset, no file.
"""
