"""Normal or abnormal? A sentence classifier that learns from study labels alone.

Nobody labels sentences, but a study's label says something about its sentences: every sentence of a normal study is
normal, and *at least one* sentence of an abnormal study is abnormal (more than half of them are not). That is
multiple-instance learning with a noisy-or bag, fitted by expectation maximisation around a logistic
regression (Maron & Lozano-Perez 1998; Zhang & Goldman 2001; Ray & Craven 2005):

    E  q_i = p_i / (1 - prod_j (1 - p_j))   for the sentences of an abnormal study, q_i = 0 in a normal study
    M  logistic regression on every sentence with the soft label q_i

Plain supervision with the study's label would call "the lungs are clear" abnormal wherever something else was found;
positive-unlabelled learning alone would not use that an abnormal study must contain its reason. The first E step
starts from the negation rules (`offclip.mentions`), which stay features beside TF-IDF n-grams, so that the regression
learns where the rules are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

try:
    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the sentence classifier needs scikit-learn ({error}); pip install 'offclip[text]'", name=error.name
    ) from None

from offclip.findings import NO_ACUTE_FINDING, NO_FINDING
from offclip.mentions import mentions, plain

RULE_START = {"affirmed": 0.9, "denied": 0.05, "silent": 0.1}
"""Abnormal probability of a sentence before anything is learnt, by what the rules read in it.

The silent one has the best cross-validated likelihood of the *study* labels among 0.02, 0.05, 0.1, 0.2, 0.3 and 0.5; a
higher one lets stock phrases that only accompany abnormal findings ("in the interval") drift towards abnormal.
"""


RULES = 5
"""Features that the rules give a sentence, beside its terms."""


def rule_features(sentence: str) -> tuple[float, ...]:
    """What the rules read: affirms a finding, only denies, is silent, speaks of the whole image, mixes both."""
    found = mentions(sentence)
    affirmed = any(not mention.denied for mention in found)
    denied = any(mention.denied for mention in found)
    whole = any(mention.finding in (NO_FINDING, NO_ACUTE_FINDING) for mention in found)
    return (float(affirmed), float(denied and not affirmed), float(not found), float(whole), float(affirmed and denied))


class SentenceClassifier:
    """P(abnormal | sentence), fitted without sentence labels. Deterministic: no random numbers are drawn."""

    def __init__(self, regularisation: float = 10.0, iterations: int = 15, tolerance: float = 1e-3) -> None:
        """Set C of the regression; iterate until q changes by less than the tolerance on average.

        The default C has the best cross-validated noisy-or likelihood of the *study* labels among 0.3, 1, 3, 10 and 30
        on the public training reports (all within 0.03 nats a study); no sentence label took part in the choice.
        """
        self.regularisation = regularisation
        self.iterations = iterations
        self.tolerance = tolerance
        self._words = _vectorizer()
        self._regression = LogisticRegression(C=regularisation, max_iter=1000)
        self._fitted = False

    def fit(self, studies: Sequence[Sequence[str]], normal: Sequence[bool]) -> SentenceClassifier:
        """Learn from studies.

        Args:
            studies: the sentences of each study.
            normal: the weak label of each study.

        Raises:
            ValueError: lengths differ, or one of the two classes is absent.
        """
        if len(studies) != len(normal):
            raise ValueError(f"Expected one label per study, found {len(studies)} studies and {len(normal)} labels.")
        if not any(normal) or all(normal):
            raise ValueError("Expected normal and abnormal studies to learn from, found one class only.")
        code: dict[str, int] = {}
        instance = np.array([code.setdefault(plain(text), len(code)) for study in studies for text in study])
        bag = np.repeat(np.arange(len(studies)), [len(study) for study in studies])
        abnormal_bag = ~np.asarray(normal, dtype=bool)[bag]
        sentences = list(code)
        rules = np.array([rule_features(sentence) for sentence in sentences])
        self._words.fit([text for study in studies for text in study])  # document frequencies count occurrences
        features = self._features(sentences, rules)
        start = np.array([RULE_START["affirmed"], RULE_START["denied"], RULE_START["silent"]])
        probability = rules[:, :3] @ start  # the first three are exclusive

        previous = np.zeros(len(instance))
        for _ in range(self.iterations):
            posterior = np.where(abnormal_bag, _noisy_or_posterior(probability[instance], bag), 0.0)
            abnormal = np.bincount(instance, weights=posterior, minlength=len(sentences))
            total = np.bincount(instance, minlength=len(sentences))
            self._fit_soft(features, abnormal, total - abnormal)
            probability = self._regression.predict_proba(features)[:, 1]
            if np.abs(posterior - previous).mean() < self.tolerance:
                break
            previous = posterior
        self._fitted = True
        return self

    def abnormal_probability(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """P(abnormal) of each sentence, float32 [len(sentences)].

        Raises:
            ValueError: the classifier has not been fitted.
        """
        self._check_fitted()
        if not len(sentences):
            return np.zeros(0, dtype=np.float32)
        code: dict[str, int] = {}
        instance = np.array([code.setdefault(plain(text), len(code)) for text in sentences])
        rules = np.array([rule_features(sentence) for sentence in code])
        features = self._features(list(code), rules)
        return self._regression.predict_proba(features)[instance, 1].astype(np.float32)

    def state(self) -> dict[str, Any]:
        """All that was learnt, as numbers and text for JSON; `from_state` gives the very same probabilities.

        The ``terms`` are phrases of up to three words out of the reports.

        Raises:
            ValueError: the classifier has not been fitted.
        """
        self._check_fitted()
        return {
            "regularisation": self.regularisation,
            "iterations": self.iterations,
            "tolerance": self.tolerance,
            "terms": self._words.get_feature_names_out().tolist(),
            "idf": self._words.idf_.tolist(),
            "coefficients": self._regression.coef_[0].tolist(),
            "intercept": float(self._regression.intercept_[0]),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SentenceClassifier:
        """A fitted classifier from what `state` gave.

        Raises:
            KeyError: something is missing.
            ValueError: the numbers do not belong together.
        """
        terms, idf, coefficients = state["terms"], state["idf"], state["coefficients"]
        if len(idf) != len(terms) or len(coefficients) != len(terms) + RULES:
            raise ValueError(
                f"expected {len(terms)} idf values and {len(terms) + RULES} coefficients for {len(terms)} terms, "
                f"found {len(idf)} and {len(coefficients)}"
            )
        classifier = cls(state["regularisation"], state["iterations"], state["tolerance"])
        classifier._words = _vectorizer(terms)
        classifier._words.idf_ = np.array(idf, dtype=np.float64)
        classifier._regression.classes_ = np.array([0, 1])
        classifier._regression.coef_ = np.array([coefficients], dtype=np.float64)
        classifier._regression.intercept_ = np.array([state["intercept"]], dtype=np.float64)
        classifier._fitted = True
        return classifier

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise ValueError("Expected a fitted sentence classifier; call fit(studies, normal) first.")

    def _features(self, sentences: list[str], rules: NDArray[np.float64]) -> sparse.csr_matrix:
        return sparse.hstack([self._words.transform(sentences), sparse.csr_matrix(rules)], format="csr")

    def _fit_soft(self, features: sparse.csr_matrix, abnormal: NDArray[Any], normal: NDArray[Any]) -> None:
        """Logistic regression on soft counts: each sentence once as abnormal and once as normal, weighted."""
        labels = np.repeat([1, 0], features.shape[0])
        weights = np.concatenate([abnormal, normal])
        used = weights > 0
        self._regression.fit(sparse.vstack([features, features], format="csr")[used], labels[used], weights[used])


def _vectorizer(terms: Sequence[str] | None = None) -> TfidfVectorizer:
    """TF-IDF of one to three words, of given terms or of those that it will be fitted on."""
    return TfidfVectorizer(
        preprocessor=plain,
        token_pattern=r"[a-z0-9]+",
        ngram_range=(1, 3),
        min_df=2,
        sublinear_tf=True,
        vocabulary=terms,
    )


def _noisy_or_posterior(probability: NDArray[np.float64], bag: NDArray[np.int64]) -> NDArray[np.float64]:
    """P(instance abnormal | its bag holds at least one abnormal instance), for every instance [n]."""
    log_all_normal = np.bincount(bag, weights=np.log1p(-np.clip(probability, 0, 1 - 1e-9)))
    at_least_one = -np.expm1(log_all_normal)
    return np.minimum(probability / np.maximum(at_least_one[bag], 1e-12), 1.0)
